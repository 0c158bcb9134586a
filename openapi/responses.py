"""Responses of the service: schemas of success, and error responses by status."""

from __future__ import annotations

from collections import defaultdict
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from conversations.errors import ERRORS
from conversations.http.rendering import ConversationObject
from openapi.schemas import ID, Json, ref, schema_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CURSOR: Final[Json] = {"type": "string", "pattern": "^[A-Za-z0-9_-]{0,64}$"}


def _object(description: str, **properties: Json) -> Json:
    """Return the schema of an object with exactly these properties."""
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }


def _page(description: str, entry: Json, max_items: int) -> Json:
    last = "Pass it as `after` to read the next page. Empty if the page is empty and the last one."
    return _object(
        description,
        object={"const": "list"},
        data={"type": "array", "items": entry, "maxItems": max_items},
        first_id={**_CURSOR, "description": "Empty if the page is empty."},
        last_id={**_CURSOR, "description": last},
        has_more={"type": "boolean", "description": "Whether another page follows `last_id`."},
    )


def success_schemas(max_conversations: int, max_items: int) -> dict[str, Json]:
    """Return the schemas of all successful responses, by name; the limits are those of one page."""
    return {
        "Conversation": schema_of(ConversationObject),
        "DeletedConversation": _object(
            "The confirmation that a conversation was deleted.",
            id=ID,
            object={"const": "conversation.deleted"},
            deleted={"const": True},
        ),
        "ConversationPage": _page(
            "A page of conversations.", ref("Conversation"), max_conversations
        ),
        "ItemPage": _page("A page of items.", ref("ReturnedItem"), max_items),
        "Document": {
            "type": "object",
            "description": "An OpenAPI 3.1 document.",
            "properties": {"openapi": {"type": "string", "pattern": r"^3\.1\.\d+$"}},
            "required": ["openapi"],
        },
    }


def success(schema: str, examples: Mapping[str, Any]) -> Json:
    """Return the successful response of an operation."""
    named = {name: {"value": value} for name, value in examples.items()}
    media: Json = {"schema": ref(schema)} | ({"examples": named} if named else {})
    return {
        "description": "The request succeeded.",
        "headers": {"x-request-id": _header("x-request-id")},
        "content": {"application/json": media},
    }


def error_responses(codes: Sequence[str]) -> dict[str, Json]:
    """Return the error responses of an operation, by status."""
    by_status: dict[int, list[str]] = defaultdict(list)
    for code in codes:
        for status in ERRORS[code].statuses:
            by_status[status].append(code)
    return {str(status): _error_response(status, by_status[status]) for status in sorted(by_status)}


def _error_response(status: int, codes: Sequence[str]) -> Json:
    names = {"x-request-id", *(name for code in codes for name in ERRORS[code].headers)}
    listed = ", ".join(f"`{code}`" for code in codes)
    one_of = "one of: " if len(codes) > 1 else ""
    return {
        "description": f"{HTTPStatus(status).phrase}. `error.code` is {one_of}{listed}.",
        "headers": {name: _header(name) for name in sorted(names)},
        "content": {
            "application/json": {
                "schema": ref("ErrorEnvelope"),
                "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in codes},
            }
        },
    }


def error_examples() -> dict[str, Json]:
    """Return an example envelope for each error code."""
    return {
        code: {
            "summary": kind.description,
            "value": {
                "error": {
                    "message": kind.description,
                    "type": kind.type,
                    "param": None,
                    "code": code,
                }
            },
        }
        for code, kind in ERRORS.items()
    }


HEADERS: Final[Mapping[str, Json]] = {
    "x-request-id": {
        "description": "Id of the request in the service's logs.",
        "required": True,
        "schema": {"type": "string", "minLength": 1},
    },
    "Retry-After": {
        "description": "Seconds to wait before retrying the request.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "x-should-retry": {
        "description": "`false` tells the openai SDK not to retry the request.",
        "schema": {"const": "false"},
    },
    "WWW-Authenticate": {
        "description": "The authentication scheme.",
        "schema": {"const": "Bearer"},
    },
}
"""Headers of responses, by name."""


def _header(name: str) -> Json:
    return {"$ref": f"#/components/headers/{name}"}
