"""What a key looks like: `lck_`, 43 random base62 characters (256 bits) and 6 of their CRC-32.

So a typing error is found without a read, and a leaked key by whoever scans for them.
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
    """A key that nobody has seen."""
    secret = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_LENGTH))
    return f"{PREFIX}{secret}{_checksum(secret)}"


def is_well_formed(key: str) -> bool:
    """Whether a text is worth a look-up: it does not pretend to be one of ours."""
    secret = key[len(PREFIX) : -_CHECKSUM_LENGTH]
    return not key.startswith(PREFIX) or key[-_CHECKSUM_LENGTH:] == _checksum(secret)


def hash_key(key: str) -> str:
    """The only form in which a key is kept; 256 random bits need no salt."""
    return hashlib.sha256(key.encode()).hexdigest()


def key_id_of(key: str) -> str:
    """What people and logs call a key; it does not help to guess it."""
    return f"key_{hash_key(key)[:16]}"


def _checksum(secret: str) -> str:
    number = zlib.crc32(secret.encode())
    digits = ""
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
