"""Runs the command line with a clock that is wrong: `skewed_cli.py SECONDS COMMAND …`.

It may not change anything but `refunds.clock`, before anybody else reads it.
"""

import sys
from datetime import datetime, timedelta

import refunds.clock


def main() -> None:
    """Put the clock wrong by the first argument, then be `sluice` with the rest."""
    skew = timedelta(seconds=float(sys.argv[1]))
    right = refunds.clock.utc_now

    def wrong() -> datetime:
        return right() + skew

    refunds.clock.utc_now = wrong
    # Only now: modules that import the clock by name must get the wrong one.
    from runtime.cli import main as run

    sys.argv = ["sluice", *sys.argv[2:]]
    run()


if __name__ == "__main__":
    main()
