"""Object ids that look like Stripe's and depend only on the seed and the order of making.

It makes names and may not keep objects.
"""

import hashlib

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Ids:
    """A sequence of ids per seed; the same seed and story give the same ids."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._count = 0

    def make(self, prefix: str, *, length: int = 24) -> str:
        """A new id such as `re_…`; `length` counts the characters after the prefix."""
        self._count += 1
        return f"{prefix}_{token(f'{self._seed}:{self._count}', length)}"


def token(text: str, length: int) -> str:
    """Letters and digits derived from `text`, the same ones every time."""
    number = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=32).digest())
    letters = []
    for _ in range(length):
        number, rest = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[rest])
    return "".join(letters)
