"""The two dialects of the API: the same routes under two prefixes, with other defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conversations.model import Order


@dataclass(frozen=True, slots=True)
class Dialect:
    """Differences of one prefix from the other."""

    name: str
    prefix: str
    """The start of every path."""
    order: Order
    """The default order of lists."""
    include: str
    """The query's name for `include`, as the SDK sends it; both names work under both prefixes."""
    include_is_open: bool
    """True if unknown values of `include` are ignored, because the contract allows any text."""


MKA1 = Dialect("mka1", "/api/v1/llm", "asc", "include", include_is_open=True)
OPENAI = Dialect("openai", "/v1", "desc", "include[]", include_is_open=False)
DIALECTS = (MKA1, OPENAI)
PREFIXES = tuple(dialect.prefix for dialect in DIALECTS)
