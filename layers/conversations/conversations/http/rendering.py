"""An item as a request wants it shown: it is kept once, as it was given, for all of them.

`include` leaves out what is heavy and was not asked for. OpenAI's types ask for more than the
contract of mka1: what is missing there is filled in, and the few shapes that differ are given in
OpenAI's. Nothing is made up: sound, references, and what else OpenAI has no word for stay as given.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from conversations.model import Conversation, Page, StoredItem

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
"""Each value of `include`, which begins with an item's type, and the field that it asks for; a
step into a list goes to the parts of that type.

The values are those of openai's `ResponseIncludable`, the meanings those of its documentation. The
mka1 SDK has all but the last, for responses; for conversations it takes any text.
"""
REQUIRED_FIELDS = frozenset({"code_interpreter_call.outputs"})
"""Those that both contracts require: null takes their place."""
MAX_ADDED_BYTES = 2_500
"""What the view may add to an item: 100 of them still fit into an answer that is full without."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
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
"""What OpenAI requires of an answer, and not of a request: by the type of an item or a part."""


@dataclass(frozen=True, slots=True)
class ItemRenderer:
    """How the items of one answer are shown."""

    as_openai: bool = False
    included: frozenset[str] = frozenset()
    """The keys of `INCLUDABLE_FIELDS` that were asked for; none of them asks for all."""

    def render(self, text: str) -> str:
        """The view of an item's JSON; where nothing else is asked for, the same text."""
        if not self.as_openai and not self.included:
            return text
        item: Json = json.loads(text)
        if self.as_openai:
            fuller = as_openai(item)
            shown = compact_json(fuller)
            if _carried_bytes(shown) <= _carried_bytes(text) + MAX_ADDED_BYTES:
                item, text = fuller, shown
        return compact_json(apply_include(self.included, item)) if self.included else text


def as_openai(item: Json) -> Json:
    """The *item* as OpenAI's types have it, with whatever else it holds."""
    change = _CHANGES.get(str(item["type"]))
    return _completed(change(item) if change else item)


def apply_include(included: frozenset[str], item: Json) -> Json:
    """The *item* without the heavy fields that are not *included*."""
    for name, path in INCLUDABLE_FIELDS.items():
        if name in included or name.partition(".")[0] != item["type"]:
            continue
        item = {**item, path[0]: None} if name in REQUIRED_FIELDS else _without(item, path)
    return item


def conversation_json(conversation: Conversation) -> str:
    """A conversation as every answer shows it."""
    return compact_json(
        {
            "id": conversation.conversation_id,
            "object": "conversation",
            "created_at": conversation.created_at // 1000,
            "deleted_at": None,
            "metadata": conversation.metadata,
            "identity": conversation.owner,
        }
    )


def items_json(page: Sequence[StoredItem], renderer: ItemRenderer, *, has_more: bool) -> str:
    """A page of items: where the view is what is kept, joined and not encoded again."""
    ends = (page[0].cursor, page[-1].cursor) if page else ("", "")
    return list_json([renderer.render(item.json) for item in page], *ends, has_more=has_more)


def deleted_json(conversation_id: str) -> str:
    """Return the response to the deletion of a conversation."""
    deleted = {"id": conversation_id, "object": "conversation.deleted", "deleted": True}
    return compact_json(deleted)


def conversations_json(page: Page[Conversation]) -> str:
    """Return a page of conversations; `last_id` is its cursor, also where it is empty."""
    first_id = page.entries[0].conversation_id if page.entries else ""
    entries = list(map(conversation_json, page.entries))
    return list_json(entries, first_id, page.cursor, has_more=page.has_more)


def list_json(entries: Sequence[str], first_id: str, last_id: str, *, has_more: bool) -> str:
    """A page of entries that are JSON already."""
    return (
        f'{{"object":"list","data":[{",".join(entries)}],'
        f'"first_id":"{first_id}","last_id":"{last_id}","has_more":{json.dumps(has_more)}}}'
    )


def _without(holder: Json, path: Sequence[str]) -> Json:
    """The *holder* without what is at the end of *path*, if it is there."""
    name, *rest = path
    if not rest:
        return {key: value for key, value in holder.items() if key != name}
    return {**holder, name: _inside(holder[name], rest)} if name in holder else holder


def _inside(value: object, path: Sequence[str]) -> object:
    """The same for whatever is on the way: an object, or a list of parts, or neither."""
    if isinstance(value, dict):
        return _without(value, path)
    if not isinstance(value, list):
        return value
    part_type, *rest = path
    return [
        _without(part, rest) if isinstance(part, dict) and part["type"] == part_type else part
        for part in value
    ]


def compact_json(value: Mapping[str, object]) -> str:
    """Return JSON in the one style of all responses: compact, and not escaped beyond need."""
    return _ENCODER.encode(value)


def _carried_bytes(text: str) -> int:
    """What an answer of Lambda takes for the ASCII of *text*: it escapes quotes once more."""
    return len(text) + text.count('"')


def _completed(value: Json) -> Json:
    """An item or a part, with what OpenAI requires of an answer."""
    defaults = _DEFAULTS.get(str(value["type"]), {})
    return value | {name: default for name, default in defaults.items() if value.get(name) is None}


def _completed_parts(parts: Sequence[object]) -> list[object]:
    return [_completed(part) if isinstance(part, dict) else part for part in parts]


def _message(item: Json) -> Json:
    """The content is a list of parts: text is the model's own only where the assistant speaks."""
    text_type = "output_text" if item["role"] == "assistant" else "input_text"
    content = item["content"]
    parts = content if isinstance(content, list) else [content]
    whole = [{"type": text_type, "text": p} if isinstance(p, str) else p for p in parts]
    return {**item, "content": _completed_parts(whole)}


def _tool_output(item: Json) -> Json:
    output = item["output"]
    if not isinstance(output, list):
        return item
    return {**item, "output": _completed_parts(output)}


def _shell_call(item: Json) -> Json:
    """Several commands, where mka1 has one, or none."""
    action = item["action"]
    if not isinstance(action, dict) or action.get("commands") is not None:
        return item
    command = action.get("command")
    commands = [] if command is None else [command]
    return {**item, "action": {**action, "commands": commands}}


def _shell_call_output(item: Json) -> Json:
    """A list, where mka1 has the output of its one command, which may have no exit code."""
    output = item["output"]
    if not isinstance(output, dict) or _has_no_exit_code(output["outcome"]):
        return item
    return {**item, "output": [output]}


def _has_no_exit_code(outcome: Json) -> bool:
    return outcome["type"] == "exit" and outcome["exit_code"] is None


def _web_search_call(item: Json) -> Json:
    action = item["action"]
    if not isinstance(action, dict) or action["type"] != "find":
        return item
    return {**item, "action": {**action, "type": "find_in_page"}}


def _mcp_call(item: Json) -> Json:
    """An error that says why, where mka1 has its text."""
    error = item.get("error")
    if not isinstance(error, str):
        return item
    return {**item, "error": {"type": "mcp_tool_execution_error", "content": error}}


_CHANGES: dict[str, Callable[[Json], Json]] = {
    "message": _message,
    "function_call_output": _tool_output,
    "custom_tool_call_output": _tool_output,
    "shell_call": _shell_call,
    "shell_call_output": _shell_call_output,
    "web_search_call": _web_search_call,
    "mcp_call": _mcp_call,
}
"""Where OpenAI's shape is another one."""
