"""Ids that clients see, and the keys by which rows sort.

An entry key is 26 characters of base32hex: 48 bits of milliseconds, 64 of a batch's nonce, 16 of
the item's index in its batch. Keys sort as strings by arrival, and never repeat in a conversation.
"""

import base64
import hashlib
import itertools
import re
import secrets

ID_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"
"""What every id in a path, a query or a body may look like, ours and the client's."""

_KEY_LENGTH = 26
_PAIRS = ["".join(pair) for pair in itertools.product("0123456789abcdefghijklmnopqrstuv", repeat=2)]
"""Ten bits in base32hex."""
_GENERATED_ID = re.compile(rf"[a-z]+_([0-9a-v]{{{_KEY_LENGTH}}})")
_PREFIXES = {
    "message": "msg",
    "output_audio": "aud",
    "file_search_call": "fs",
    "computer_call": "cu",
    "computer_call_output": "cuo",
    "web_search_call": "ws",
    "function_call": "fc",
    "function_call_output": "fco",
    "reasoning": "rs",
    "image_generation_call": "ig",
    "code_interpreter_call": "ci",
    "local_shell_call": "lsh",
    "local_shell_call_output": "lsho",
    "shell_call": "sh",
    "shell_call_output": "sho",
    "mcp_list_tools": "mcpl",
    "mcp_approval_request": "mcpr",
    "mcp_approval_response": "mcpa",
    "mcp_call": "mcp",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "compaction": "cmp",
    "tool_search_call": "tsc",
    "tool_search_output": "tso",
    "apply_patch_call": "apc",
    "apply_patch_call_output": "apco",
}


def is_id(text: str) -> bool:
    """Whether *text* may stand as an id at all; says nothing of existence."""
    return re.fullmatch(ID_PATTERN, text) is not None and not text.endswith("\n")


def owner_of(account: str, end_user: str) -> str:
    """The owner's public identity: 64 hexadecimal digits, the same for ever.

    *account* holds no colon; *end_user* is empty for the account itself, so two end users of one
    account, and the account, are three owners.
    """
    return hashlib.sha256(f"{account}:{end_user}".encode()).hexdigest()


def new_conversation_id() -> str:
    """A conversation id nobody can guess (128 random bits)."""
    return f"conv_{secrets.token_hex(16)}"


def new_batch(now: int) -> int:
    """The number that the keys of a batch written at *now*, in milliseconds, begin with."""
    return now << 64 | secrets.randbits(62)


def batch_after(last_key: str) -> int:
    """The number for a batch that must sort after *last_key*, whatever the clocks say.

    The step is random: two writers that move behind the same key still get keys of their own, so
    a row at one's own first key proves one's own write.
    """
    return (_number(last_key) >> 16) + 1 + secrets.randbits(48)


def entry_keys(batch: int, size: int) -> list[str]:
    """The sort keys of a batch's items, in their order.

    They differ in their last four characters: two bits of the nonce, the index, two bits unused.
    """
    start = base64.b32hexencode((batch << 16).to_bytes(16)).decode().lower()[: _KEY_LENGTH - 4]
    tails = range((batch & 0b11) << 18, ((batch & 0b11) << 18) + (size << 2), 1 << 2)
    return [start + _PAIRS[tail >> 10] + _PAIRS[tail & 0x3FF] for tail in tails]


def keys_of_batch(last_key: str) -> list[str]:
    """All keys of the batch that ends with *last_key*."""
    number = _number(last_key)
    return entry_keys(number >> 16, (number & 0xFFFF) + 1)


def time_of(key: str) -> float:
    """When a key was made, in seconds since the epoch, by the clock of whoever made it.

    A key that had to sort after another one's tells that one's time.
    """
    return (_number(key) >> 80) / 1000


def generated_id(item_type: str, key: str) -> str:
    """The id of an item that came without one: OpenAI's prefix for its type, and its key."""
    return f"{_PREFIXES.get(item_type, 'item')}_{key}"


def key_in(item_id: str) -> str | None:
    """The entry key that *item_id* carries if this service may have generated it, or None.

    A client's own id may look the same: whoever follows the key compares the row's id.
    """
    match = _GENERATED_ID.fullmatch(item_id)
    return match[1] if match else None


def _number(key: str) -> int:
    return int.from_bytes(base64.b32hexdecode(key.upper() + "======"))
