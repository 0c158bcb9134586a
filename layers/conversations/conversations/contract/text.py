"""Text of an item: the words that a person would search for, without ids and encoded data."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from conversations.contract.items import ITEM_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NESTED_FIELDS = frozenset(
    {
        "code",
        "command",
        "commands",
        "content",
        "description",
        "diff",
        "filename",
        "logs",
        "message",
        "name",
        "path",
        "pattern",
        "queries",
        "query",
        "refusal",
        "annotations",
        "sources",
        "stderr",
        "stdout",
        "text",
        "title",
        "url",
    }
)
"""Names, inside such a field, of text and of the objects and lists that contain text."""
_DATA_URL = re.compile(
    # In JSON in a string, "/", "+" and "=" may be escaped.
    r"data:[^,:\s]*;base64,[A-Za-z0-9+/=_%-]*(?:\\(?:/|u00(?:2[BbFf]|3[Dd]))[A-Za-z0-9+/=_%-]*+)*+"
)
_ESCAPES = re.compile(r"(?:\\u[0-9A-Fa-f]{4})++")


def item_texts(item: Mapping[str, object]) -> Iterator[str]:
    r"""Yield the texts of a valid *item*: words of people, models and tools, and names of files.

    Tool calls and outputs are often JSON in a string. After a text with escaped characters, such as
    `"Z\u00fcrich"`, the text without escapes follows. Data URLs are removed from texts.
    """
    item_type = ITEM_TYPES.get(str(item["type"]))
    if item_type is None:  # a newer release stored it
        return
    for name in item_type.text:
        yield from _texts(item.get(name), any_json=item_type.any_json)


def _texts(value: object, *, any_json: bool) -> Iterator[str]:
    match value:
        case str():
            yield from _readable(value)
        case list():
            for entry in value:
                yield from _texts(entry, any_json=any_json)
        case dict():
            for name, inner in value.items():
                if any_json or name in _NESTED_FIELDS:
                    yield from _texts(inner, any_json=any_json)


def _readable(text: str) -> Iterator[str]:
    if "base64," in text:
        text = _DATA_URL.sub(" ", text)
        if text.isspace():
            return
    yield text
    if "\\u" in text:
        yield _ESCAPES.sub(_unescaped, text)


def _unescaped(escapes: re.Match[str]) -> str:
    units = bytes.fromhex(escapes[0].replace("\\u", ""))
    return units.decode("utf-16-be", errors="replace")
