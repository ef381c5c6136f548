"""Plays many seeds in several processes at once, and tells of each as it is done.

It may not play one itself or judge it.
"""

import argparse
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Final

from tests.support.repository import ROOT

FROM: Final = 0
SEEDS: Final = 100


def play_crowd(seeds: Sequence[int], jobs: int, tell: Callable[[str], None]) -> bool:
    """Play the seeds in `jobs` processes; return whether none was broken."""
    shares = [seeds[number::jobs] for number in range(jobs)]
    fine: list[bool] = []
    threads = [
        threading.Thread(target=lambda share=share: fine.append(_play(share, tell)))
        for share in shares
        if share
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return all(fine) and len(fine) == len(threads)


def _play(seeds: Sequence[int], tell: Callable[[str], None]) -> bool:
    # `-u`: a line is told when its seed is done, not when a buffer is full.
    command = [sys.executable, "-u", "-m", "tests.simulation.run", "--brief", *map(str, seeds)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None, "piped above"
        for line in process.stdout:
            tell(line.rstrip("\n"))
    return process.returncode == 0


def main() -> int:
    """Play the seeds asked for, with progress; 1 if one was broken."""
    parser = argparse.ArgumentParser(description="Play many simulations; broken ones are told.")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many (default 100)")
    parser.add_argument("--from", type=int, default=FROM, dest="first", help="the first seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    asked = parser.parse_args()
    done = 0
    lock = threading.Lock()

    def tell(line: str) -> None:
        nonlocal done
        with lock:
            done += line.startswith("seed ")
            sys.stdout.write(f"[{done}/{asked.seeds}] {line}\n")
            sys.stdout.flush()

    seeds = range(asked.first, asked.first + asked.seeds)
    return 0 if play_crowd(seeds, max(1, asked.jobs), tell) else 1


if __name__ == "__main__":
    sys.exit(main())
