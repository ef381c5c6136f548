"""Seeded chance: the same seed, name and number always fall the same way.

It decides nothing but luck.
"""

import hashlib


def falls(seed: int, name: str, number: int, chance: float) -> bool:
    """Whether the `number`-th throw of `name` falls, with a probability of `chance`."""
    if chance >= 1:
        return True
    text = f"{seed}:{name}:{number}".encode()
    thrown = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest())
    return thrown < chance * 2**64
