"""Declarations of routes, for the resolver and the OpenAPI documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

type Parameter = Literal[
    "after",
    "limit",
    "order",
    "include",
    "metadata",
    "search",
    "Idempotency-Key",
    "x-stainless-retry-count",
]

CONVERSATIONS = "/conversations"
CONVERSATION = f"{CONVERSATIONS}/{{conversation_id}}"
ITEMS = f"{CONVERSATION}/items"
ITEM = f"{ITEMS}/{{item_id}}"
MAX_PAGE_CONVERSATIONS = 50
MAX_PAGE_ITEMS = 100
PAGING: tuple[Parameter, ...] = ("after", "limit", "order")
NEW_ITEM_ERRORS = ("unknown_item_type", "array_above_max_length", "string_below_min_length")
"""Errors of a body with new items."""
_PATH_ERRORS = ("route_not_found", "conversation_not_found")
_BODY_ERRORS = (
    "invalid_json",
    "invalid_type",
    "missing_required_parameter",
    "unknown_parameter",
    "string_above_max_length",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A method and path under both prefixes.

    Requests are routed by `method`, `path` and `handler`. The other fields only describe the route
    in the OpenAPI documents.
    """

    method: str
    path: str
    """The path without the prefix; ids are in braces."""
    handler: Callable[..., str]
    """The handler; its docstring is the summary and, after a blank line, the description."""
    operation_ids: Sequence[str]
    """The operation's id in each document of `DIALECTS`, taken from the SDK's own document."""
    returns: str
    """The schema of a successful response."""
    body: str | None = None
    """The schema of the request's body."""
    parameters: Sequence[Parameter] = ()
    """Parameters in the query and headers, beside `X-On-Behalf-Of`."""
    max_limit: int | None = None
    """The greatest `limit` of a page."""
    errors: Sequence[str] = ()
    """Codes of the errors that it can return, beside those of all paths of a conversation, of all
    bodies and of all requests."""
    links: Sequence[str] = ()
    """Names of the handlers whose routes take the id of the response's last item."""
    is_open: bool = False
    """True if it needs no API key."""

    @property
    def own_errors(self) -> list[str]:
        """The codes of the errors that it can return, beside those of every request."""
        of_path = _PATH_ERRORS if "{conversation_id}" in self.path else ()
        return [*of_path, *(_BODY_ERRORS if self.body else ()), *self.errors]
