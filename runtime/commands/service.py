"""The long-running commands and what they need first: serve, worker, migrate.

They may not do the work themselves: gunicorn, `runtime.worker` and `store.migrate` do.
"""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

import click
import structlog
from rich.text import Text

from gateway.port import UnavailableError
from handlers.services import Services
from refunds.clock import monotonic_seconds
from refunds.steps import Trouble
from runtime.bootstrap import open_database, open_services
from runtime.channels import build_channels
from runtime.commands.arguments import json_option
from runtime.commands.failures import Failure
from runtime.display import print_json, stderr, stdout
from runtime.logs import configure_logs
from runtime.processes import LOOK_EVERY_SECONDS, WEB, WORKER, Children, Stop
from runtime.settings import Settings, load_settings
from runtime.worker import Worker
from store.database import Database
from store.schema import current_heads_match

_STRIPE_AGAIN_SECONDS: Final = 5.0

_log = structlog.get_logger(__name__)


@click.command()
@json_option
def migrate(*, as_json: bool) -> None:
    """Bring the database to the newest schema.

    Safe to run again, and by several processes at once: it is done once, whole or not at all. Run
    it before each new version starts (Heroku: the release phase in the Procfile).
    """
    from store.migrate import upgrade

    settings = load_settings()
    url = settings.database_url.get_secret_value()
    database = Database(url)
    try:
        new = not current_heads_match(database)
        if new:
            upgrade(url)
        where = repr(database).removeprefix("Database(").removesuffix(")")
    finally:
        database.dispose()
    if as_json:
        print_json({"object": "migration", "changed": new})
        return
    did = "Migrated to" if new else "Nothing to do, already at"
    stdout().print(Text(f"{did} the newest schema: {where}"))


@click.command()
def serve() -> None:
    """Run the web and a worker together, until Ctrl-C or SIGTERM.

    For one machine. Both are child processes: if one of them ends, the other is stopped too and the
    command exits with 1, so that whoever supervises it starts both again. A stop drains what is
    under way, within 10 seconds.

    \b
      sluice serve                      http://127.0.0.1:8000, as HOST and PORT say
      PORT=9000 sluice serve

    On several machines run the two lines of the Procfile instead, as often as you like.
    """
    configure_logs()
    settings = load_settings()
    settings.require_api_key()
    settings.require_webhook_secrets()
    with open_database(settings):
        # Only to say now, and once, what would stop both children.
        stop = Stop().listen()
    say = stderr()
    with Children() as children:
        children.start("web", WEB)
        children.start("worker", WORKER)
        say.print(
            Text(
                f"Serving at http://{settings.host}:{settings.port} (webhooks: /webhooks/stripe). "
                "Ctrl-C stops."
            )
        )
        while not stop.asked:
            dead = children.first_dead()
            if dead is not None:
                children.end()
                raise Failure(
                    f"the {dead.name} process ended with code {dead.process.returncode}; "
                    "everything was stopped",
                    hint="See its last log lines above, put the cause right, and run it again.",
                )
            time.sleep(LOOK_EVERY_SECONDS)
        in_time = children.end()
    if not in_time:
        raise Failure(
            "not everything ended within 10 seconds, and was killed",
            hint="Nothing is lost: what was under way is recovered at the next start.",
        )
    say.print(Text("Stopped."))


@click.command()
@click.option("--once", is_flag=True, help="Work until nothing is due, then end.")
def worker(*, once: bool) -> None:
    """Process events, release what is covered, settle what is unsettled; until SIGTERM.

    Any number of workers may run on one database. SIGTERM and Ctrl-C drain: no new work is taken,
    and what is under way ends within 10 seconds.

    \b
      sluice worker             for good
      sluice worker --once      do all that is due now, say how much it was, and end
    """
    configure_logs()
    settings = load_settings()
    stop = Stop().listen()
    with _services_when_stripe_answers(settings, stop, once=once) as services:
        if services is None:
            return
        made = Worker(services, build_channels(settings, services.gateway))

        def drain(_number: int, _frame: FrameType | None) -> None:
            # From a thread: the signal may arrive while this one holds the event's own lock.
            threading.Thread(target=made.stop, daemon=True).start()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, drain)
        if stop.asked:
            made.stop()
        if once:
            done = made.run_once()
            stdout().print(Text(f"Nothing is due any more (rounds of work done: {done})."))
            return
        if not made.run():
            raise Failure(
                "not everything under way ended in time",
                hint="Nothing is lost: another worker, or the next start, recovers it.",
            )


@contextmanager
def _services_when_stripe_answers(
    settings: Settings, stop: Stop, *, once: bool
) -> Iterator[Services | None]:
    """Yield the services once Stripe says whose key it is; `None` if stopped before.

    A worker that starts while Stripe is away waits: it must not be restarted in circles.
    """
    while not stop.asked:
        try:
            opened = open_services(settings)
            services = opened.__enter__()
        except UnavailableError as error:
            if once or error.trouble is Trouble.DENIED:
                raise
            _log.warning("worker.waits_for_stripe", reason=str(error))
            _pause(stop, _STRIPE_AGAIN_SECONDS)
            continue
        try:
            yield services
        finally:
            opened.__exit__(None, None, None)
        return
    yield None


def _pause(stop: Stop, seconds: float) -> None:
    deadline = monotonic_seconds() + seconds
    while not stop.asked and monotonic_seconds() < deadline:
        time.sleep(LOOK_EVERY_SECONDS)
