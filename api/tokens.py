"""Who may ask for what: named tokens with scopes, compared without telling how near a guess was.

It may not keep a token itself, only its digest; nothing here can show one.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from refunds.errors import SluiceError

TOKEN_CHARACTERS_MIN: Final = 12
"""Shorter ones could be guessed; `openssl rand -hex 32` makes one of 64."""
TOKENS_MAX: Final = 256
NAMELESS: Final = "default"

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,40}", re.ASCII)
_TOKEN: Final = re.compile(r"[!-~]+", re.ASCII)
_BEARER: Final = re.compile(r"bearer +([!-~]+) *", re.ASCII | re.IGNORECASE)


class Scope(StrEnum):
    """What a token may do."""

    READ = "read"
    """See requests and accounts."""
    REQUEST = "request"
    """Ask for refunds, try a wish out, withdraw one."""
    APPROVE = "approve"
    """Decide what is in review, and close."""
    COVER = "cover"
    """Release uncovered, at the platform's expense."""


DEFAULT_SCOPES: Final = frozenset({Scope.READ, Scope.REQUEST})


class TokenFormError(SluiceError):
    """A token can't be used; the message says which and why, and never shows one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A caller: its name, what it may do, and the digest its secret is known by."""

    name: str
    scopes: frozenset[Scope]
    digest: bytes = field(repr=False)

    @property
    def actor(self) -> str:
        """Who is recorded beside what is done with this token."""
        return f"api:{self.name}"


def parse_tokens(texts: Sequence[str]) -> tuple[Token, ...]:
    """Return the tokens written as `name:token[:scope+scope]`, or bare.

    One name may have several tokens: an old and a new one, while callers change over. Raise
    `TokenFormError` for what can't be used.
    """
    if len(texts) > TOKENS_MAX:
        raise TokenFormError(f"there are {len(texts)} tokens; {TOKENS_MAX} are possible")
    tokens: list[Token] = []
    for position, text in enumerate(texts, start=1):
        token = _parse(text, position)
        if any(other.digest == token.digest for other in tokens):
            raise TokenFormError(f"number {position} is the same token as an earlier one")
        tokens.append(token)
    return tuple(tokens)


def _parse(text: str, position: int) -> Token:
    name, secret, scopes = _parts(text, position)
    if not _NAME.fullmatch(name):
        raise TokenFormError(
            f"number {position} has a name that is not 1 to 40 letters, digits, '.', '_' or '-'"
        )
    if not _TOKEN.fullmatch(secret) or len(secret) < TOKEN_CHARACTERS_MIN:
        raise TokenFormError(
            f"number {position} ({name}) needs a token of at least {TOKEN_CHARACTERS_MIN} "
            "printable ASCII characters; make one with: openssl rand -hex 32"
        )
    return Token(name=name, scopes=_scopes(scopes, position, name), digest=_digest(secret))


def _parts(text: str, position: int) -> tuple[str, str, str | None]:
    match text.split(":"):
        case [secret]:
            return NAMELESS, secret, None
        case [name, secret]:
            return name, secret, None
        case [name, secret, scopes]:
            return name, secret, scopes
        case _:
            raise TokenFormError(
                f"number {position} has more than two colons; write name:token:scope+scope"
            )


def _scopes(text: str | None, position: int, name: str) -> frozenset[Scope]:
    if text is None:
        return DEFAULT_SCOPES
    try:
        return frozenset(Scope(word.strip()) for word in text.split("+"))
    except ValueError:
        # `from None`: the original repeats the text, where a token may stand in the wrong place.
        raise TokenFormError(
            f"number {position} ({name}) has a scope that does not exist; there are "
            f"{', '.join(Scope)}, joined with +"
        ) from None


def find_token(tokens: Sequence[Token], authorization: str | None) -> Token | None:
    """Return whose token an `Authorization: Bearer …` header carries; `None` if it is nobody's.

    Every token is compared, each in full: the time taken says nothing about any of them.
    """
    match = None if authorization is None else _BEARER.fullmatch(authorization)
    if match is None:
        return None
    digest = _digest(match[1])
    found = None
    for token in tokens:
        if hmac.compare_digest(digest, token.digest):
            found = token
    return found


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("ascii")).digest()
