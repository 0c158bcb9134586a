"""Parameters of requests: in the path, the query and the headers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from conversations import ids
from conversations.http.rendering import INCLUDABLE_FIELDS
from conversations.http.request import DEFAULT_LIMIT, MAX_SEARCH_LENGTH
from conversations.model import Order
from openapi.schemas import ID, Json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conversations.http.dialects import Dialect
    from conversations.http.routes import Route

# HTTP strips whitespace at the ends of a header's value.
_VISIBLE: Final = "^[!-~]([ -~]{{0,{}}}[!-~])?$"
_END_USER: Final = _VISIBLE.format(256 - 2)
_KEY: Final = _VISIBLE.format(255 - 2)


def _path(name: str, description: str) -> Json:
    return _parameter("path", name, description, ID) | {"required": True}


def _parameter(place: str, name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": place, "description": description, "schema": schema}


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
    "Makes the request safe to retry for 24 hours: with the same key and body it takes effect once,"
    " and each retry returns the first response.",
    {"type": "string", "pattern": _KEY},
)
RETRY_COUNT: Final = _parameter(
    "header",
    "x-stainless-retry-count",
    "How many times the SDK has retried the request. Above 0 and without an `Idempotency-Key`, a"
    " body equal to that of the conversation's last append counts as a replay of it, for 40 seconds"
    " after that append.",
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
            # Swagger UI would else send pairs that no conversation has.
            "example": {},
        }
    },
}
_SEARCH: Final = _parameter(
    "query",
    "search",
    "Only conversations in which every word of this text occurs, perhaps as a part of a word: in"
    " texts of items, names of files, tool calls, their outputs, or values of metadata. Case does"
    " not matter. One character at least is not a space. A request reads a limited amount: a page"
    " may be short or empty while `has_more` is true.",
    {"type": "string", "minLength": 1, "maxLength": MAX_SEARCH_LENGTH, "pattern": r"\S"},
)
_AFTER_CONVERSATION: Final = _parameter(
    "query",
    "after",
    "The conversation that the page begins behind; a deleted one is good too. In a search, the"
    " `last_id` of the page before.",
    {"type": "string", "pattern": ids.SEARCH_CURSOR},
)
_AFTER: Final = _parameter(
    "query",
    "after",
    "Return the page that starts after this id. The id may be of a deleted entry.",
    ID,
)


def parameters_of(route: Route, dialect: Dialect) -> list[Json]:
    """Return the parameters of a route's query and headers, as a dialect names them."""
    found: dict[str, Json] = {
        "after": _AFTER_CONVERSATION if "search" in route.parameters else _AFTER,
        "limit": _limit(route.max_limit),
        "order": _order(dialect),
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


def _order(dialect: Dialect) -> Json:
    schema = {"enum": [*get_args(Order.__value__)], "default": dialect.order}
    return _parameter(
        "query", "order", "`asc` returns the oldest first, `desc` the newest first.", schema
    )


def _include(dialect: Dialect) -> Json:
    fields = ", ".join(f"`{name}`" for name in INCLUDABLE_FIELDS)
    text = (
        "Select optional large fields; large fields it does not list are omitted. Without it, every"
        f" field is returned. The fields are: {fields}."
    )
    return _parameter("query", dialect.include, text, {"type": "array", "items": included(dialect)})
