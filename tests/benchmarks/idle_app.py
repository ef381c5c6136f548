"""The yardstick: a Flask view that does nothing, run by the same gunicorn configuration.

It may not do anything.
"""

from flask import Flask

app = Flask(__name__)


@app.post("/webhooks/stripe")
def nothing() -> tuple[str, int]:
    """Answer 204."""
    return "", 204


@app.get("/healthz")
def alive() -> str:
    """Tell the starter that gunicorn answers."""
    return "ok"
