"""JSON text of items and responses, and its size in a response of Lambda."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def compact_json(value: Mapping[str, object]) -> str:
    """Return the JSON of an object: without spaces, and with the fewest escapes."""
    return _ENCODER.encode(value)


def response_bytes(text: bytes) -> int:
    """Return the size of JSON in a response of Lambda, which escapes quotes and backslashes."""
    return len(text) + text.count(b'"') + text.count(b"\\")
