"""Reads the policy file and says on which line something stands.

It may not know what a key means; `refunds/policy_form.py` does.
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from refunds.errors import PolicyError, SluiceError
from refunds.policy import DEFAULT_BOOK, PolicyBook
from refunds.policy_form import Remark, read_policy, remarks_on
from refunds.policy_values import KeyPath

FILE_BYTES_MAX: Final = 1 << 20

_HEADER: Final = re.compile(r"\s*\[{1,2}([^\[\]]+)\]{1,2}\s*(?:#.*)?")
_KEY_PART: Final = re.compile(r'\s*(?:"([^"]*)"|\'([^\']*)\'|([A-Za-z0-9_-]+))\s*')
_AT_LINE: Final = re.compile(r"(.*?) ?\(at line (\d+), column \d+\)", re.DOTALL)


class PolicyFileError(SluiceError):
    """The policy file can't be used; the message names file and line, and what is right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFile:
    """A policy as it was read, with its remarks as lines `file:line: …`."""

    path: Path | None
    book: PolicyBook
    remarks: tuple[str, ...]


def load_policy(path: Path | None) -> PolicyFile:
    """Return the policy of a file, or the defaults without one. Raise `PolicyFileError`."""
    if path is None:
        return PolicyFile(path=None, book=DEFAULT_BOOK, remarks=())
    text = _read(path)
    try:
        book = read_policy(tomllib.loads(text))
    except PolicyError as error:
        raise PolicyFileError(_located(path, text, error.path, str(error))) from error
    except tomllib.TOMLDecodeError as error:
        raise PolicyFileError(_not_toml(path, text, str(error))) from error
    except (ValueError, RecursionError) as error:
        # A number of thousands of digits, or tables nested a thousand deep.
        raise PolicyFileError(f"{path}: is not a policy: {error}") from error
    return PolicyFile(
        path=path,
        book=book,
        remarks=tuple(_remark(path, text, remark) for remark in remarks_on(book)),
    )


def line_of(text: str, path: KeyPath) -> int | None:
    """Return the line (from 1) on which a key stands, or the nearest thing around it."""
    section: KeyPath = ()
    depth, found = 0, None
    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.fullmatch(line)
        if header:
            section = here = _split(header[1])
        else:
            key, equals, _ = line.partition("=")
            if not equals or line.lstrip().startswith("#"):
                continue
            here = (*section, *_split(key))
        if here == path[: len(here)] and len(here) > depth:
            depth, found = len(here), number
    return found


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise PolicyFileError(
            f"the policy file {path} can't be read: {error.strerror}. SLUICE_POLICY_FILE names it; "
            "leave it unset for the built-in policy"
        ) from error
    if len(raw) > FILE_BYTES_MAX:
        raise PolicyFileError(f"{path}: is larger than a policy can be ({FILE_BYTES_MAX} bytes)")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise PolicyFileError(f"{path}:{line}: is not UTF-8 text; save it as UTF-8") from error


def _not_toml(path: Path, text: str, message: str) -> str:
    match = _AT_LINE.fullmatch(message)
    if match is not None:
        return f"{path}:{match[2]}: is not TOML: {match[1]}"
    last = len(text.splitlines())
    return f"{path}:{last}: is not TOML: {message.removesuffix(' (at end of document)')}"


def _remark(path: Path, text: str, remark: Remark) -> str:
    return _located(path, text, remark.path, f"{'.'.join(remark.path)} {remark.text}")


def _located(path: Path, text: str, key: KeyPath, said: str) -> str:
    line = line_of(text, key)
    return f"{path}: {said}" if line is None else f"{path}:{line}: {said}"


def _split(dotted: str) -> KeyPath:
    """Return the parts of a dotted key; a part in quotes may hold dots itself."""
    return tuple(a or b or c for a, b, c in _KEY_PART.findall(dotted))
