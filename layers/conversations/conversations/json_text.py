"""JSON text of items and responses, and its size in a response of Lambda."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic_core import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping


def compact_json(value: Mapping[str, object]) -> str:
    """Return the JSON of an object: without spaces, and with the fewest escapes."""
    return to_json(value).decode()


def response_bytes(text: bytes) -> int:
    """Return the size of JSON in a response of Lambda, which escapes quotes and backslashes."""
    return len(text) + text.count(b'"') + text.count(b"\\")
