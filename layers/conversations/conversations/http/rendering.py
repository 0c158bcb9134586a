"""Renderer of items and other resources as JSON.

An item is stored once, as the client sent it, and rendered for each request. `include` omits large
fields that it does not select. OpenAI's types require more than mka1's contract: in OpenAI's
dialect, missing required fields get defaults, and the few shapes that differ are converted. Types
that OpenAI does not have, such as audio, stay as they are.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, TypedDict

from pydantic import Field, with_config

from conversations.contract.bodies import MAX_METADATA_PAIRS, MetadataKey, MetadataValue
from conversations.contract.fields import CLOSED, Id
from conversations.json_text import compact_json, response_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conversations.model import Conversation, Page, ReturnedItem

    type Json = dict[str, object]

INCLUDABLE_FIELDS: dict[str, tuple[str, ...]] = {
    "code_interpreter_call.outputs": ("outputs",),
    "computer_call_output.output.image_url": ("output", "image_url"),
    "file_search_call.results": ("results",),
    "message.input_image.image_url": ("content", "input_image", "image_url"),
    "message.output_text.logprobs": ("content", "output_text", "logprobs"),
    "reasoning.encrypted_content": ("encrypted_content",),
    "web_search_call.action.sources": ("action", "sources"),
    "web_search_call.results": ("results",),
}
"""The path of the field that each value of `include` selects; a value begins with an item's type.

In a list, a step of the path selects the parts of that type. The values are those of openai's
`ResponseIncludable`, the meanings those of its documentation. The mka1 SDK has all but the last,
for responses; for conversations it allows any text.
"""
REQUIRED_FIELDS = frozenset({"code_interpreter_call.outputs"})
"""Fields that both contracts require: instead of being omitted, they become null."""
MAX_ADDED_BYTES = 2_500
"""Maximum growth of an item in OpenAI's dialect; a page of 100 still fits into a response."""

_DEFAULTS: dict[str, Json] = {
    "message": {"status": "completed"},
    "computer_call_output": {"status": "completed"},
    "function_call": {"status": "completed"},
    "function_call_output": {"status": "completed"},
    "shell_call": {"status": "completed"},
    "shell_call_output": {"status": "completed"},
    "tool_search_call": {"status": "completed", "execution": "server"},
    "tool_search_output": {"status": "completed", "execution": "server"},
    "output_text": {"annotations": []},
    "input_image": {"detail": "auto"},
}
"""Fields that OpenAI requires in responses but not in requests, by the type of item or part."""


@with_config(CLOSED)
class ConversationObject(TypedDict):
    """A conversation without its items."""

    id: Id
    object: Literal["conversation"]
    created_at: Annotated[int, Field(ge=0, description="Unix time in seconds.")]
    deleted_at: Annotated[
        None, Field(description="Always null: deleted conversations are never returned.")
    ]
    metadata: Annotated[dict[MetadataKey, MetadataValue], Field(max_length=MAX_METADATA_PAIRS)]
    identity: Annotated[
        str,
        Field(
            pattern="^[0-9a-f]{64}$",
            description="The owner: SHA-256 of the API key's account and the end user.",
        ),
    ]


@dataclass(frozen=True, slots=True)
class ItemRenderer:
    """Renderer of the items of one response."""

    is_openai: bool = False
    included: frozenset[str] = frozenset()
    """The selected keys of `INCLUDABLE_FIELDS`; if it is empty, every field is returned."""

    def render(self, text: str) -> str:
        """Return the JSON of an item for this response, from the stored JSON."""
        if not self.is_openai and not self.included:
            return text
        item: Json = json.loads(text)
        if self.is_openai:
            converted = to_openai(item)
            converted_text = compact_json(converted)
            added = response_bytes(converted_text.encode()) - response_bytes(text.encode())
            if added <= MAX_ADDED_BYTES:
                item, text = converted, converted_text
        return compact_json(apply_include(self.included, item)) if self.included else text


def to_openai(item: Json) -> Json:
    """Return the *item* in OpenAI's shape; other fields stay."""
    convert = _CONVERSIONS.get(str(item["type"]))
    return _with_defaults(convert(item) if convert else item)


def apply_include(included: frozenset[str], item: Json) -> Json:
    """Return the *item* without the large fields that are not *included*."""
    for name, path in INCLUDABLE_FIELDS.items():
        if name in included or name.partition(".")[0] != item["type"]:
            continue
        item = {**item, path[0]: None} if name in REQUIRED_FIELDS else _omit(item, path)
    return item


def conversation_json(conversation: Conversation) -> str:
    """Return the JSON of a conversation."""
    fields: ConversationObject = {
        "id": conversation.conversation_id,
        "object": "conversation",
        "created_at": conversation.created_at // 1000,
        "deleted_at": None,
        "metadata": conversation.metadata,
        "identity": conversation.owner,
    }
    return compact_json(fields)


def items_json(items: Sequence[ReturnedItem], renderer: ItemRenderer, *, has_more: bool) -> str:
    """Return the JSON of a page of items; stored JSON that stays as it is, is not encoded again."""
    ends = (items[0].cursor, items[-1].cursor) if items else ("", "")
    return list_json([renderer.render(item.json) for item in items], *ends, has_more=has_more)


def deleted_json(conversation_id: str) -> str:
    """Return the JSON of the response to the deletion of a conversation."""
    deleted = {"id": conversation_id, "object": "conversation.deleted", "deleted": True}
    return compact_json(deleted)


def conversations_json(page: Page[Conversation]) -> str:
    """Return the JSON of a page of conversations; `last_id` is its cursor, also if it is empty."""
    first_id = page.entries[0].conversation_id if page.entries else ""
    entries = list(map(conversation_json, page.entries))
    return list_json(entries, first_id, page.cursor, has_more=page.has_more)


def list_json(entries: Sequence[str], first_id: str, last_id: str, *, has_more: bool) -> str:
    """Return the JSON of a page of *entries*, which are JSON themselves."""
    return (
        f'{{"object":"list","data":[{",".join(entries)}],'
        f'"first_id":"{first_id}","last_id":"{last_id}","has_more":{json.dumps(has_more)}}}'
    )


def _omit(holder: Json, path: Sequence[str]) -> Json:
    """Return the *holder* without the field at the end of *path*."""
    name, *rest = path
    if not rest:
        return {key: value for key, value in holder.items() if key != name}
    return {**holder, name: _omit_inside(holder[name], rest)} if name in holder else holder


def _omit_inside(value: object, path: Sequence[str]) -> object:
    """Return a *value* without the field at the end of *path*, if it is an object or a list."""
    if isinstance(value, dict):
        return _omit(value, path)
    if not isinstance(value, list):
        return value
    part_type, *rest = path
    return [
        _omit(part, rest) if isinstance(part, dict) and part["type"] == part_type else part
        for part in value
    ]


def _with_defaults(value: Json) -> Json:
    """Return an item or a part with the fields that OpenAI requires in responses."""
    defaults = _DEFAULTS.get(str(value["type"]), {})
    return value | {name: default for name, default in defaults.items() if value.get(name) is None}


def _parts_with_defaults(parts: Sequence[object]) -> list[object]:
    return [_with_defaults(part) if isinstance(part, dict) else part for part in parts]


def _convert_message(item: Json) -> Json:
    """Convert the content to a list of parts; text is output text only in assistant messages."""
    text_type = "output_text" if item["role"] == "assistant" else "input_text"
    content = item["content"]
    parts = content if isinstance(content, list) else [content]
    whole = [{"type": text_type, "text": p} if isinstance(p, str) else p for p in parts]
    return {**item, "content": _parts_with_defaults(whole)}


def _convert_tool_output(item: Json) -> Json:
    output = item["output"]
    if not isinstance(output, list):
        return item
    return {**item, "output": _parts_with_defaults(output)}


def _convert_shell_call(item: Json) -> Json:
    """Convert mka1's optional `command` to the list `commands`."""
    action = item["action"]
    if not isinstance(action, dict) or action.get("commands") is not None:
        return item
    command = action.get("command")
    commands = [] if command is None else [command]
    return {**item, "action": {**action, "commands": commands}}


def _convert_shell_call_output(item: Json) -> Json:
    """Convert mka1's one output to a list, unless it lacks the exit code that OpenAI requires."""
    output = item["output"]
    if not isinstance(output, dict) or _has_no_exit_code(output["outcome"]):
        return item
    return {**item, "output": [output]}


def _has_no_exit_code(outcome: Json) -> bool:
    return outcome["type"] == "exit" and outcome["exit_code"] is None


def _convert_web_search_call(item: Json) -> Json:
    action = item["action"]
    if not isinstance(action, dict) or action["type"] != "find":
        return item
    return {**item, "action": {**action, "type": "find_in_page"}}


def _convert_mcp_call(item: Json) -> Json:
    """Convert an error that is a string, mka1's form, to OpenAI's object."""
    error = item.get("error")
    if not isinstance(error, str):
        return item
    return {**item, "error": {"type": "mcp_tool_execution_error", "content": error}}


_CONVERSIONS: dict[str, Callable[[Json], Json]] = {
    "message": _convert_message,
    "function_call_output": _convert_tool_output,
    "custom_tool_call_output": _convert_tool_output,
    "shell_call": _convert_shell_call,
    "shell_call_output": _convert_shell_call_output,
    "web_search_call": _convert_web_search_call,
    "mcp_call": _convert_mcp_call,
}
"""Conversions of the item types whose shape differs in OpenAI's dialect."""
