"""The two manners in which the API is spoken: each has a prefix, a document and its own names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from conversations.http.request import MKA1_PREFIX, OPENAI_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Face:
    """One of them, and how it differs from the other."""

    prefix: str
    file_name: str
    """Of the document, beside the function that sends it."""
    summary: str
    manner: str
    """In which items are shown."""
    order: str
    """Of a list, where the client names none."""
    include: str
    """The query's name for `include`, as the SDK sends it; the service takes the other one too."""
    include_is_open: bool
    """Whether a value of `include` that asks for nothing is let through."""
    operation_ids: Mapping[str, str]
    """By the name of the handler's function: as the SDK's own document has them."""


MKA1: Final = Face(
    prefix=MKA1_PREFIX,
    file_name="mka1.json",
    summary="The contract of the mka1 SDK.",
    manner="Items are returned as they were given.",
    order="asc",
    include="include",
    include_is_open=True,
    operation_ids={
        "create_conversation": "conversations.create",
        "list_conversations": "conversations.list",
        "get_conversation": "conversations.retrieve",
        "update_conversation": "conversations.update",
        "delete_conversation": "conversations.delete",
        "append_items": "conversations.items.create",
        "list_items": "conversations.items.list",
        "delete_items": "conversations.items.deleteMany",
        "get_item": "conversations.items.retrieve",
        "delete_item": "conversations.items.delete",
        "send_document": "openapi.retrieve",
    },
)
OPENAI: Final = Face(
    prefix=OPENAI_PREFIX,
    file_name="openai.json",
    summary="OpenAI's Conversations API.",
    manner="Items are returned as they were given, in shapes that fit the types of OpenAI's SDK.",
    order="desc",
    include="include[]",
    include_is_open=False,
    operation_ids={
        "create_conversation": "createConversation",
        "list_conversations": "listConversations",
        "get_conversation": "getConversation",
        "update_conversation": "updateConversation",
        "delete_conversation": "deleteConversation",
        "append_items": "createConversationItems",
        "list_items": "listConversationItems",
        "delete_items": "deleteConversationItems",
        "get_item": "getConversationItem",
        "delete_item": "deleteConversationItem",
        "send_document": "getOpenapi",
    },
)
FACES: Final = (MKA1, OPENAI)
