"""Examples in the documents: request bodies and responses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from conversations.http.dialects import OPENAI
from conversations.http.rendering import conversation_json, to_openai
from conversations.model import Conversation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conversations.http.dialects import Dialect

_CONVERSATION_ID: Final = "conv_abc123"
_QUESTION: Final = {"type": "message", "role": "user", "content": "What is the weather today?"}
_CALL: Final = {
    "type": "function_call",
    "call_id": "call_1",
    "name": "get_weather",
    "arguments": '{"city": "Oslo"}',
}
_RESULT: Final = {"type": "function_call_output", "call_id": "call_1", "output": "-3 °C, snow"}
_RETURNED: Final[dict[str, object]] = {"id": "msg_06f1e2v9m0c8i4a7k3p5s1q2to", **_QUESTION}
_CONVERSATION: Final[dict[str, object]] = json.loads(
    conversation_json(
        Conversation.new(
            conversation_id=_CONVERSATION_ID,
            owner="b5a2c96250612366ea272ffac6d9744aaf4b45aacd96aa7cfcb931ee3b558259",
            account="acme",
            created_at=1763942400000,
            metadata={"topic": "weather"},
        )
    )
)

BODIES: Final[Mapping[str, Mapping[str, Any]]] = {
    "create_conversation": {
        "empty": {},
        "with an item": {"items": [_QUESTION], "metadata": {"topic": "weather"}},
    },
    "update_conversation": {
        "set": {"metadata": {"topic": "weather"}},
        "removed": {"metadata": {"topic": None}},
    },
    "append_items": {
        "message": {"items": [_QUESTION]},
        "tool": {"items": [_CALL, _RESULT]},
    },
    "delete_items": {"two": {"item_ids": [_RETURNED["id"], "msg_mine"]}},
}
"""Examples of bodies by name, by the name of the handler."""


def _page(entry: Mapping[str, Any]) -> dict[str, Any]:
    ends = {"first_id": entry["id"], "last_id": entry["id"], "has_more": False}
    return {"object": "list", "data": [entry], **ends}


def responses_by_schema(dialect: Dialect) -> Mapping[str, Mapping[str, Any]]:
    """Return the examples of responses by name, by the name of their schema.

    Items are as the dialect renders them.
    """
    item = to_openai(_RETURNED) if dialect is OPENAI else _RETURNED
    return {
        "Conversation": {"conversation": _CONVERSATION},
        "DeletedConversation": {
            "deleted": {"id": _CONVERSATION_ID, "object": "conversation.deleted", "deleted": True}
        },
        "ConversationPage": {"page": _page(_CONVERSATION)},
        "ItemPage": {"page": _page(item)},
        "ReturnedItem": {"message": item},
        "Document": {},
    }
