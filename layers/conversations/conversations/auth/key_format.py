"""Format of generated keys: `lck_`, 43 random base62 characters (256 bits), 6 for their CRC-32.

The checksum reveals a typing error without a read of the table, and lets secret scanners recognize
a leaked key. A key that somebody chose, as for the local stack, can have any form without `lck_`.
"""

from __future__ import annotations

import hashlib
import secrets
import string
import zlib

PREFIX = "lck_"

_ALPHABET = string.digits + string.ascii_letters
_SECRET_LENGTH = 43
_CHECKSUM_LENGTH = 6


def new_key() -> str:
    """Return a new random key."""
    secret = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_LENGTH))
    return f"{PREFIX}{secret}{_checksum(secret)}"


def has_valid_checksum(key: str) -> bool:
    """Return whether the checksum of *key* is right; a key without our prefix needs none."""
    secret = key[len(PREFIX) : -_CHECKSUM_LENGTH]
    return not key.startswith(PREFIX) or key[-_CHECKSUM_LENGTH:] == _checksum(secret)


def hash_key(key: str) -> str:
    """Return the hash by which a key is stored; 256 random bits need no salt."""
    return hashlib.sha256(key.encode()).hexdigest()


def key_id_of(key: str) -> str:
    """Return the public id of a key, for people and logs; the key cannot be derived from it."""
    return f"key_{hash_key(key)[:16]}"


def _checksum(secret: str) -> str:
    number = zlib.crc32(secret.encode())
    digits = ""
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
