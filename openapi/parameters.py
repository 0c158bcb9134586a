"""Parameters of requests: in the path, the query and the headers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from conversations import ids
from conversations.http.rendering import INCLUDABLE_FIELDS
from conversations.http.request import (
    DEFAULT_LIMIT,
    MAX_END_USER_LENGTH,
    MAX_IDEMPOTENCY_KEY_LENGTH,
    MAX_SEARCH_LENGTH,
)
from conversations.model import Order
from conversations.storage.append import IDEMPOTENCY_SECONDS, REPLAY_SECONDS
from openapi.schemas import ID, Json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conversations.http.dialects import Dialect
    from conversations.http.routes import Route

# HTTP strips whitespace at the ends of a header's value.
_VISIBLE: Final = "^[!-~]([ -~]{{0,{}}}[!-~])?$"
_END_USER: Final = _VISIBLE.format(MAX_END_USER_LENGTH - 2)
_KEY: Final = _VISIBLE.format(MAX_IDEMPOTENCY_KEY_LENGTH - 2)


def _path(name: str, description: str) -> Json:
    return _parameter("path", name, description, ID) | {"required": True}


def _parameter(location: str, name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": location, "description": description, "schema": schema}


PATH: Final[Mapping[str, Json]] = {
    "conversation_id": _path("conversation_id", "Id of the conversation."),
    "item_id": _path("item_id", "Id of the item."),
}
"""Path parameters, by name."""

ON_BEHALF_OF: Final = _parameter(
    "header",
    "X-On-Behalf-Of",
    "The end user on whose behalf the request is made. Each end user owns separate conversations."
    " The API key must be allowed to delegate.",
    {"type": "string", "pattern": _END_USER},
)
IDEMPOTENCY_KEY: Final = _parameter(
    "header",
    "Idempotency-Key",
    "A unique text that makes the request safe to retry for"
    f" {IDEMPOTENCY_SECONDS // 3600} hours: requests with the same"
    " `Idempotency-Key` and body take effect once, and each retry returns the first response.",
    {"type": "string", "pattern": _KEY},
)
RETRY_COUNT: Final = _parameter(
    "header",
    "x-stainless-retry-count",
    "Number of times the SDK has retried the request. If it is above 0 and there is no"
    " `Idempotency-Key`, the request counts as a replay of the conversation's last append, provided"
    f" that both bodies are equal and the append is at most {REPLAY_SECONDS} seconds old.",
    {"type": "string"},
)
METADATA: Final[Json] = {
    "name": "metadata",
    "in": "query",
    "description": "Return only conversations that have all these pairs. A pair may also be a query"
    " parameter of its own: `?topic=weather`.",
    "content": {
        "application/json": {
            "schema": {"type": "object", "additionalProperties": {"type": "string"}},
            # Without an example, Swagger UI sends pairs that no conversation has.
            "example": {},
        }
    },
}
_SEARCH: Final = _parameter(
    "query",
    "search",
    "Return only conversations that contain every word of this text, in the texts of items (also"
    " file names, tool calls and their outputs) or in values of metadata. A word also matches a"
    " part of a longer word. Case is ignored. At least one character must not be a"
    " space. A request reads a limited amount of data, so a page may be short or empty while"
    " `has_more` is true.",
    {"type": "string", "minLength": 1, "maxLength": MAX_SEARCH_LENGTH, "pattern": r"\S"},
)
_AFTER_CONVERSATION: Final = _parameter(
    "query",
    "after",
    "Return the page that starts after this conversation: pass the `last_id` of the previous page."
    " Without `search`, the id of any conversation is valid, also of a deleted one.",
    {"type": "string", "pattern": ids.SEARCH_CURSOR},
)
_AFTER: Final = _parameter(
    "query",
    "after",
    "Return the page that starts after this id. The item may be deleted.",
    ID,
)


def parameters_of(route: Route, dialect: Dialect) -> list[Json]:
    """Return the parameters of a route's query and headers, as a dialect names them."""
    is_search = "search" in route.parameters
    found: dict[str, Json] = {
        "after": _AFTER_CONVERSATION if is_search else _AFTER,
        "limit": _limit(route.max_limit),
        "order": _order(dialect, "last change" if is_search else "order of appends"),
        "include": _include(dialect),
        "metadata": METADATA,
        "search": _SEARCH,
        "Idempotency-Key": IDEMPOTENCY_KEY,
        "x-stainless-retry-count": RETRY_COUNT,
    }
    end_user = [] if route.is_open else [ON_BEHALF_OF]
    return [*(found[name] for name in route.parameters), *end_user]


def included(dialect: Dialect) -> Json:
    """Return the schema of a value of `include`."""
    return {"type": "string"} if dialect.include_is_open else {"enum": [*INCLUDABLE_FIELDS]}


def _limit(maximum: int | None) -> Json:
    schema = {"type": "integer", "minimum": 1, "maximum": maximum, "default": DEFAULT_LIMIT}
    return _parameter("query", "limit", "Maximum number of entries in the page.", schema)


def _order(dialect: Dialect, time: str) -> Json:
    """Return the order of a list that is sorted by *time*."""
    schema = {"enum": [*get_args(Order.__value__)], "default": dialect.order}
    text = f"Sort by {time}: `asc` returns the oldest first, `desc` the newest first."
    return _parameter("query", "order", text, schema)


def _include(dialect: Dialect) -> Json:
    fields = ", ".join(f"`{name}`" for name in INCLUDABLE_FIELDS)
    text = (
        "Select which large fields of items are returned; the other large fields are omitted."
        f" Without `include`, every field is returned. The large fields are: {fields}."
    )
    return _parameter("query", dialect.include, text, {"type": "array", "items": included(dialect)})
