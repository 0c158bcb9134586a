"""Text of an item: the words that a person would search for, without ids and encoded data."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TEXT_FIELDS: Mapping[str, tuple[str, ...]] = {
    "message": ("content",),
    "output_audio": ("transcript",),
    "file_search_call": ("queries", "results"),
    "computer_call": ("action", "actions", "pending_safety_checks"),
    "computer_call_output": ("acknowledged_safety_checks",),
    "web_search_call": ("action", "results"),
    "function_call": ("name", "arguments"),
    "function_call_output": ("name", "output"),
    "reasoning": ("summary", "content"),
    "image_generation_call": ("revised_prompt", "error"),
    "code_interpreter_call": ("code", "outputs"),
    "local_shell_call": ("action",),
    "local_shell_call_output": ("output",),
    "shell_call": ("action",),
    "shell_call_output": ("output",),
    "mcp_list_tools": ("server_label", "tools", "error"),
    "mcp_approval_request": ("server_label", "name", "arguments"),
    "mcp_approval_response": ("reason",),
    "mcp_call": ("server_label", "name", "arguments", "output", "error"),
    "custom_tool_call": ("name", "input"),
    "custom_tool_call_output": ("output",),
    "compaction": ("content",),
    "apply_patch_call": ("operation",),
    "apply_patch_call_output": ("output",),
    "tool_search_call": ("arguments",),
    "tool_search_output": ("tools",),
    "additional_tools": ("tools",),
    "program": ("code",),
    "program_output": ("result",),
}
"""Fields with text, by the type of the item; other types have no text."""
_FREE_TYPES = frozenset({"tool_search_call"})
"""Types whose fields can hold any JSON; every string in it is text."""
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
_DATA_URL = re.compile(r"data:[^,]*;base64,")
_ESCAPES = re.compile(r"(?:\\u[0-9A-Fa-f]{4})+")


def item_texts(item: Mapping[str, object]) -> Iterator[str]:
    r"""Yield the texts of a valid *item*: words of people, models and tools, and names of files.

    Tool calls and outputs are often JSON in a string. After a text with escaped characters, such as
    `"Z\u00fcrich"`, the text without escapes follows.
    """
    item_type = str(item["type"])
    for name in _TEXT_FIELDS.get(item_type, ()):
        yield from _texts(item.get(name), is_free=item_type in _FREE_TYPES)


def _texts(value: object, *, is_free: bool) -> Iterator[str]:
    match value:
        case str():
            yield from _readable(value)
        case list():
            for entry in value:
                yield from _texts(entry, is_free=is_free)
        case dict():
            for name, inner in value.items():
                if is_free or name in _NESTED_FIELDS:
                    yield from _texts(inner, is_free=is_free)


def _readable(text: str) -> Iterator[str]:
    if _DATA_URL.match(text):
        return
    yield text
    if "\\u" in text:
        yield _ESCAPES.sub(_unescaped, text)


def _unescaped(escapes: re.Match[str]) -> str:
    units = bytes.fromhex(escapes[0].replace("\\u", ""))
    return units.decode("utf-16-be", errors="replace")
