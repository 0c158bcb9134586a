"""The type of the `issue_key` fixture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from conversations.auth.api_keys import Scope


class IssueKey(Protocol):
    """Issue an API key and return it in plain text."""

    def __call__(
        self,
        account: str = ...,
        *,
        scopes: frozenset[Scope] = ...,
        may_delegate: bool = ...,
        expires_at: int | None = ...,
    ) -> str: ...
