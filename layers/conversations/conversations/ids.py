"""Ids that clients see, and the sequence keys that order items.

A sequence key is 26 characters of base32hex: 48 bits of milliseconds, 64 of the batch's nonce, 16
of the item's slot in its batch. Keys sort as strings in the order of the batches' commits and never
repeat in a conversation.
"""

import base64
import hashlib
import itertools
import re
import secrets
from collections.abc import Iterable

ID_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"
"""Pattern of every id in a path, query or body, generated or the client's."""
ID_RULE = "1 to 64 of the characters A-Z, a-z, 0-9, '_' and '-'"
"""`ID_PATTERN` in words, for error messages."""

SEARCH_CURSOR = r"^[A-Za-z0-9_-]{1,64}(~[0-9a-v]{26}~[0-9a-f]{1,32})?$"
"""Pattern of `after` in a list of conversations: an id, or the place inside a conversation where a
search was interrupted."""

_KEY_LENGTH = 26
_DIGITS = "0123456789abcdefghijklmnopqrstuv"
_PAIRS = ["".join(pair) for pair in itertools.product(_DIGITS, repeat=2)]
"""All values of ten bits in base32hex."""
_FIRST_SLOT = {digit: f"{'08go'[value >> 3]}000" for value, digit in enumerate(_DIGITS)}
"""The last four characters of a batch's first key, by the fourth last character of any key."""
_GENERATED_ID = re.compile(rf"[a-z]+_([0-9a-v]{{{_KEY_LENGTH}}})")


def is_id(text: str) -> bool:
    """Return whether *text* has the form of an id."""
    return re.fullmatch(ID_PATTERN, text) is not None


def is_search_cursor(text: str) -> bool:
    """Return whether *text* has the form of a cursor in a list of conversations."""
    return re.fullmatch(SEARCH_CURSOR, text) is not None


def owner_of(account: str, end_user: str) -> str:
    """Return the public identity of an owner: 64 hexadecimal digits, which never change.

    *account* contains no colon. *end_user* is empty for the account itself, which is an owner
    beside its end users.
    """
    return hashlib.sha256(f"{account}:{end_user}".encode()).hexdigest()


def new_conversation_id() -> str:
    """Return a conversation id that cannot be guessed: it has 128 random bits."""
    return f"conv_{secrets.token_hex(16)}"


def new_batch_number(now: int) -> int:
    """Return the number of a new batch, with which its keys begin; *now* is in milliseconds."""
    return now << 64 | secrets.randbits(62)


def batch_number_after(last_key: str) -> int:
    """Return the number of a new batch that sorts after *last_key*, regardless of the clocks.

    The step is random: two writers that move behind the same key get different keys, so a row at a
    writer's first key proves that this writer committed.
    """
    return (_number(last_key) >> 16) + 1 + secrets.randbits(48)


def sequence_keys(batch_number: int, size: int) -> list[str]:
    """Return the keys of the slots 0 to *size* - 1 of a batch, in order.

    They differ in their last four characters: two bits of the nonce, the slot, two unused bits.
    """
    start = (
        base64.b32hexencode((batch_number << 16).to_bytes(16)).decode().lower()[: _KEY_LENGTH - 4]
    )
    first_tail = (batch_number & 0b11) << 18
    tails = range(first_tail, first_tail + (size << 2), 1 << 2)
    return [start + _PAIRS[tail >> 10] + _PAIRS[tail & 0x3FF] for tail in tails]


def keys_of_batch(last_key: str) -> list[str]:
    """Return all keys of the batch that ends with *last_key*."""
    return sequence_keys(_number(last_key) >> 16, slot_of(last_key) + 1)


def first_key(key: str) -> str:
    """Return the key of slot 0 in the batch that *key* belongs to."""
    return f"{key[:-4]}{_FIRST_SLOT[key[-4]]}"


def keys_at(key: str, slots: Iterable[int]) -> list[str]:
    """Return the keys of *slots* in the batch that *key* belongs to."""
    start, nonce = key[:-4], int(key[-4], 32) >> 3 << 18
    tails = (nonce | slot << 2 for slot in slots)
    return [start + _PAIRS[tail >> 10] + _PAIRS[tail & 0x3FF] for tail in tails]


def slot_of(key: str) -> int:
    """Return the slot of *key* in its batch, from 0."""
    return (int(key[-4:], 32) & 0x3FFFF) >> 2


def milliseconds_of(key: str) -> int:
    """Return the time at which the batch of *key* was written, or slightly later."""
    return int(key[:10], 32) >> 2


def key_in(item_id: str) -> str | None:
    """Return the sequence key in *item_id*; None if this service cannot have generated the id.

    A client's own id can have the same form: compare it with the id of the item at the key.
    """
    match = _GENERATED_ID.fullmatch(item_id)
    return match[1] if match else None


def _number(key: str) -> int:
    return int(key, 32) >> 2
