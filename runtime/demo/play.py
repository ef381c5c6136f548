"""Plays the demo from its first word to its last process.

It may not know the story; it opens the stage, has it told, serves on if wanted, and shuts down.
"""

import time

from rich.text import Text

from refunds.clock import monotonic_seconds
from runtime.demo.stage import DemoError, Stage, open_stage
from runtime.display import stdout
from runtime.processes import LOOK_EVERY_SECONDS, Stop


def play(*, once: bool) -> None:
    """Tell the story, then serve on until Ctrl-C unless `once`; raise `SluiceError` if it fails."""
    console = stdout()
    began = monotonic_seconds()

    def say(words: str) -> None:
        elapsed = f"{monotonic_seconds() - began:5.1f} s  "
        console.print(Text(elapsed, style="dim") + Text(words), soft_wrap=True)

    stop = Stop().listen()
    with open_stage(say, stop) as stage:
        # Loaded only now: the processes start meanwhile, and the first words come at once.
        from runtime.demo.story import invite, tell

        told = tell(stage, console, say)
        if not once:
            invite(stage, told, console)
            _serve_on(stage)
        say("Shutting everything down")
    say("All processes have ended; the database and the logs are removed")


def _serve_on(stage: Stage) -> None:
    while not stage.stop.asked:
        dead = stage.children.first_dead()
        if dead is not None:
            raise DemoError(f"the {dead.name} process ended by itself ({dead.process.returncode})")
        time.sleep(LOOK_EVERY_SECONDS)
