"""Reference model of a conversation, a plain list that tests compare the store with."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conversations import ids
from conversations.contract.items import PLACEHOLDER_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from conversations.model import Order, ReturnedItem
    from tests.support.http_helpers import Json

type Plan = Sequence[tuple[str, int, str]]


@dataclass
class Entry:
    """Appended item, with its position."""

    cursor: str
    json: str
    expires_at: int | None
    is_deleted: bool = False


@dataclass
class Known:
    """Expected state of a conversation at *clock*, in milliseconds."""

    conversation_id: str
    clock: Callable[[], int]
    updated_at: int
    metadata: dict[str, str]
    appended_at: int = 0
    expires_at: int | None = None
    entries: list[Entry] = field(default_factory=list)
    last_body: str = ""
    last_response: list[ReturnedItem] = field(default_factory=list)
    replays: dict[str, tuple[str, list[ReturnedItem], int]] = field(default_factory=dict)
    is_deleted: bool = False
    is_removed: bool = False
    """Whether its row expired and DynamoDB has removed it."""

    @property
    def is_live(self) -> bool:
        return not self.is_deleted and self.is_kept(self.expires_at)

    def is_kept(self, expires_at: int | None) -> bool:
        return expires_at is None or expires_at > self.clock() // 1000

    def live(self) -> list[Entry]:
        return [
            entry
            for entry in self.entries
            if not entry.is_deleted and self.is_kept(entry.expires_at)
        ]

    def find(self, cursor: str) -> Entry | None:
        """Return the live item with that id."""
        return next((entry for entry in self.live() if entry.cursor == cursor), None)

    def position(self, cursor: str) -> int | None:
        """Return the position of the latest item with an id; for a generated id, of the first."""
        indexes = [index for index, entry in enumerate(self.entries) if entry.cursor == cursor]
        if ids.key_in(cursor) is None:
            indexes = indexes[-1:]
        kept = [index for index in indexes if self.is_kept(self.entries[index].expires_at)]
        if kept and kept[-1] == indexes[-1]:
            return kept[-1]
        return kept[0] if kept and kept[0] == indexes[0] else None

    def behind(self, index: int | None, order: Order) -> list[Entry]:
        """Return the live items after a position."""
        entries = self.entries
        if index is not None:
            entries = entries[index + 1 :] if order == "asc" else entries[:index]
        live = [
            entry for entry in entries if not entry.is_deleted and self.is_kept(entry.expires_at)
        ]
        return live if order == "asc" else live[::-1]

    def take(
        self, items: Sequence[Json], returned: Sequence[ReturnedItem], lifetime: int | None
    ) -> None:
        """Append items to the list, and check that their ids are valid and unique."""
        self.appended_at = self.clock()
        self.expires_at = None if lifetime is None else self.clock() // 1000 + lifetime
        for item, stored in zip(items, returned, strict=True):
            given = {name: value for name, value in item.items() if value != PLACEHOLDER_ID}
            shown = json.loads(stored.json)
            assert shown == {"type": item["type"], "id": shown["id"], **given}
            if item["type"] != "item_reference":
                assert stored.cursor == shown["id"]
            assert self.find(stored.cursor) is None
            self.entries.append(Entry(stored.cursor, stored.json, self.expires_at))


def listed(entries: Iterable[ReturnedItem | Entry]) -> list[tuple[str, str]]:
    return [(entry.cursor, entry.json) for entry in entries]
