"""Where the project's files are, for tests that read the project itself.

It may not judge what it lists.
"""

import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]


def rooms() -> list[str]:
    """The top-level packages, by name."""
    return sorted(each.parent.name for each in ROOT.glob("[a-z]*/__init__.py"))


def modules_of(room: str) -> list[Path]:
    """Every module of a room, relative to the project's folder."""
    return sorted(each.relative_to(ROOT) for each in (ROOT / room).rglob("*.py"))


def files() -> list[Path]:
    """Every file that is committed or about to be, relative to the project's folder."""
    if not (ROOT / ".git").exists():  # an unpacked archive: all there is was committed once
        return sorted(
            each.relative_to(ROOT)
            for each in ROOT.rglob("*")
            if each.is_file() and not _is_generated(each.relative_to(ROOT))
        )
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    names = {Path(name) for name in listed.stdout.split("\0") if name}
    return sorted(name for name in names if (ROOT / name).is_file())


def _is_generated(name: Path) -> bool:
    top = name.parts[0]
    return top in {"build", "dist", "node_modules"} or (
        top.startswith(".") and top not in {".ci", ".github", ".env.example", ".gitignore"}
    )
