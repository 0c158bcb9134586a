"""The types that a request, the store and a response share."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

type Order = Literal["asc", "desc"]
"""The order of a list: the oldest entry first, or the newest."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation without its items; times are milliseconds since the epoch."""

    conversation_id: str
    owner: str
    account: str
    """The account of the API key that created it."""
    created_at: int
    updated_at: int
    appended_at: int
    metadata: dict[str, str]

    @classmethod
    def new(
        cls,
        conversation_id: str,
        owner: str,
        account: str,
        created_at: int,
        metadata: dict[str, str],
    ) -> Conversation:
        """Return a conversation that has not changed since its creation."""
        return cls(
            conversation_id,
            owner,
            account,
            created_at=created_at,
            updated_at=created_at,
            appended_at=created_at,
            metadata=metadata,
        )


@dataclass(slots=True)  # a page makes 100 of them: a NamedTuple takes three times as long
class ReturnedItem:
    """An item, and its cursor in the conversation."""

    cursor: str
    """The value of `after` for the items behind this one, and the id to read it by: its own id.
    The id of an `item_reference` names another item, so its cursor is a generated id."""
    json: str
    """The item as the client sent it, with `id` and `type`."""


@dataclass(frozen=True, slots=True)
class Page[Entry]:
    """Entries in the requested order."""

    entries: list[Entry]
    has_more: bool
    """Exact for items. For conversations, it can be true although no other one matches."""
    cursor: str
    """The value of `after` for the next page; empty if the page is empty and has no next page."""


@dataclass(frozen=True, slots=True)
class IdempotencyInfo:
    """Properties by which a replay of a request is recognized."""

    body_hash: str
    """The SHA-256 of the body's bytes."""
    key: str | None = None
    """The `Idempotency-Key`."""
    is_marked_retry: bool = False
    """True if the client marked the request as a retry (`x-stainless-retry-count`) and sent no
    key."""

    @classmethod
    def of(cls, body: bytes, key: str | None = None, *, is_retry: bool) -> IdempotencyInfo:
        """Return the information for *body*, which the client may have marked as a retry."""
        return cls(hashlib.sha256(body).hexdigest(), key, is_retry and key is None)
