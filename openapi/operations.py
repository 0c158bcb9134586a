"""What each function of the handler takes and answers, beside what its route says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from functions.api.app import MAX_PAGE_CONVERSATIONS, MAX_PAGE_ITEMS
from openapi import parameters

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from openapi.dialects import Face
    from openapi.schemas import Json

CONVERSATIONS: Final = "Conversations"
ITEMS: Final = "Items"
DOCUMENT: Final = "Document"
TAGS: Final = {
    CONVERSATIONS: "Conversations and their metadata.",
    ITEMS: "The items of a conversation: messages, tool calls and their outputs, reasoning.",
    DOCUMENT: "This description of the API.",
}

_OPEN: Final = (
    "request_refused",
    "request_too_large",
    "unsupported_content_encoding",
    "rate_limit_exceeded",
    "server_error",
)
_ALWAYS: Final = (
    *_OPEN,
    "invalid_value",
    "invalid_api_key",
    "insufficient_scope",
    "delegation_not_allowed",
    "overloaded",
)
_ANY_BODY: Final = ("invalid_json", "invalid_type")
_FIELDS: Final = (*_ANY_BODY, "missing_required_parameter", "string_above_max_length")
_NEW_ITEMS: Final = (
    *_FIELDS,
    "unknown_item_type",
    "array_above_max_length",
    "string_below_min_length",
)
_PLACE: Final = ("route_not_found", "conversation_not_found")


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation under either prefix."""

    tag: str
    answer: str
    """The schema of its success."""
    codes: Sequence[str]
    """Of the errors by which it may be refused, beside those that may meet every request."""
    body: str | None = None
    """The schema of its body."""
    is_body_required: bool = True
    parameters: Sequence[Json] = ()
    includes: bool = False
    """Whether the query says which heavy fields are shown."""
    most: int | None = None
    """Entries of a page, if it is a list."""
    leads_to: Sequence[str] = ()
    """Functions that take an item that it answers."""
    is_open: bool = False
    """Whether it asks for no key."""

    def refusals(self) -> list[str]:
        """The codes of all errors by which it may be refused."""
        return [*self.codes, *(_OPEN if self.is_open else _ALWAYS)]

    def all_parameters(self, face: Face) -> list[Json]:
        """What its query and its headers may say."""
        paging: list[Json] = []
        if self.most:
            paging = [parameters.AFTER, parameters.limit(self.most), parameters.order(face)]
        heavy = [parameters.include(face)] if self.includes else []
        end_user = [] if self.is_open else [parameters.ON_BEHALF_OF]
        return [*paging, *heavy, *self.parameters, *end_user]


OPERATIONS: Final[Mapping[str, Operation]] = {
    "create_conversation": Operation(
        CONVERSATIONS,
        "Conversation",
        (*_NEW_ITEMS, "conversation_busy", "idempotency_key_reused"),
        body="CreateConversation",
        is_body_required=False,
        parameters=(parameters.IDEMPOTENCY_KEY,),
    ),
    "list_conversations": Operation(
        CONVERSATIONS,
        "ConversationPage",
        ("conversation_not_found", "unknown_parameter"),
        parameters=(parameters.METADATA,),
        most=MAX_PAGE_CONVERSATIONS,
    ),
    "get_conversation": Operation(CONVERSATIONS, "Conversation", _PLACE),
    "update_conversation": Operation(
        CONVERSATIONS,
        "Conversation",
        (*_PLACE, *_FIELDS, "string_below_min_length", "conversation_busy"),
        body="UpdateConversation",
    ),
    "delete_conversation": Operation(CONVERSATIONS, "DeletedConversation", _PLACE),
    "append_items": Operation(
        ITEMS,
        "ItemPage",
        (
            *_PLACE,
            *_NEW_ITEMS,
            "array_below_min_length",
            "item_already_in_conversation",
            "conversation_busy",
            "idempotency_key_reused",
        ),
        body="Batch",
        parameters=(parameters.IDEMPOTENCY_KEY, parameters.RETRY_COUNT),
        includes=True,
        leads_to=("get_item", "delete_item"),
    ),
    "list_items": Operation(
        ITEMS, "ItemPage", (*_PLACE, "item_not_found"), includes=True, most=MAX_PAGE_ITEMS
    ),
    "delete_items": Operation(
        ITEMS,
        "Conversation",
        (
            *_PLACE,
            *_FIELDS,
            "item_not_found",
            "array_above_max_length",
            "array_below_min_length",
            "string_below_min_length",
            "conversation_busy",
        ),
        body="DeleteItems",
    ),
    "get_item": Operation(ITEMS, "AnsweredItem", (*_PLACE, "item_not_found"), includes=True),
    "delete_item": Operation(
        ITEMS, "Conversation", (*_PLACE, "item_not_found", "conversation_busy")
    ),
    "send_document": Operation(DOCUMENT, "Document", (), is_open=True),
}
"""By the name of the handler's function."""
