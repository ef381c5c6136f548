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
    parser.add_argument("--port", type=_port, default=12111, help="0 takes a free one")
    parser.add_argument("--seed", type=int, default=0, help="the same seed makes the same ids")
    parser.add_argument(
        "--start-time",
        type=_moment,
        metavar="ISO",
        help="begin at this moment instead of now, and tick",
    )
    parser.add_argument(
        "--freeze", action="store_true", help="let the clock stand still until advanced"
    )
    parser.add_argument(
        "--webhook-url", type=_address, metavar="URL", help="where events are delivered"
    )
    parser.add_argument("--webhook-secret", metavar="whsec_…", help="signs deliveries")
    parser.add_argument(
        "--connect-webhook-url",
        type=_address,
        metavar="URL",
        help="where connected accounts' events go instead",
    )
    parser.add_argument(
        "--api-key", metavar="sk_test_…", help="the only key that works; any test key otherwise"
    )
    options = parser.parse_args()
    running = Clock.running(start=options.start_time)
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


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)


def _moment(text: str) -> int:
    try:
        return moment_from_iso(text)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a moment such as 2026-11-23T07:00:00Z"
        ) from None


def _address(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"{text!r} does not begin with http:// or https://")
    return text


if __name__ == "__main__":
    main()
