"""`python -m sandbox`: serve a sandbox on this machine.

It reads arguments and may not do anything else.
"""

import argparse
import signal

from sandbox.clock import Clock, moment_from_iso
from sandbox.server import run


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="A local Stripe with Connect balances. Control verbs: sandbox/README.md.",
    )
    parser.add_argument("--port", type=int, default=12111, help="0 takes a free one")
    parser.add_argument("--seed", type=int, default=0, help="the same seed makes the same ids")
    parser.add_argument(
        "--start-time", metavar="ISO", help="begin at this moment instead of now, and tick"
    )
    parser.add_argument(
        "--freeze", action="store_true", help="let the clock stand still until advanced"
    )
    parser.add_argument("--webhook-url", metavar="URL", help="where events are delivered")
    parser.add_argument("--webhook-secret", metavar="whsec_…", help="signs deliveries")
    parser.add_argument(
        "--connect-webhook-url", metavar="URL", help="where connected accounts' events go instead"
    )
    parser.add_argument(
        "--api-key", metavar="sk_test_…", help="the only key that works; any test key otherwise"
    )
    options = parser.parse_args()
    start = moment_from_iso(options.start_time) if options.start_time else None
    running = Clock.running(start=start)
    clock = Clock(start=running.now()) if options.freeze else running
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    run(
        port=options.port,
        seed=options.seed,
        clock=clock,
        webhook_url=options.webhook_url,
        webhook_secret=options.webhook_secret,
        connect_webhook_url=options.connect_webhook_url,
        api_key=options.api_key,
    )


if __name__ == "__main__":
    main()
