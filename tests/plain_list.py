"""What a conversation should be, as a plain list: what the store is compared with."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conversations.contract.items import PLACEHOLDER_ID

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wire import Json

    from conversations.listing import Order
    from conversations.rows import StoredItem

type Plan = Sequence[tuple[str, int, str]]


@dataclass
class Entry:
    """An item that was appended, and where it went."""

    cursor: str
    json: str
    is_live: bool = True


@dataclass
class Known:
    """What a conversation should be."""

    conversation_id: str
    updated_at: int
    metadata: dict[str, str]
    entries: list[Entry] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    last_body: str = ""
    last_answer: list[StoredItem] = field(default_factory=list)
    memories: dict[str, tuple[str, list[StoredItem]]] = field(default_factory=dict)
    is_live: bool = True

    def live(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.is_live]

    def behind(self, place: int | None, order: Order) -> list[Entry]:
        """The live entries behind that of a place, which may be deleted."""
        entries = self.entries if order == "asc" else self.entries[::-1]
        if place is not None:
            entries = entries[1 + entries.index(self.entries[place]) :]
        return [entry for entry in entries if entry.is_live]

    def take(self, items: Sequence[Json], answer: Sequence[StoredItem]) -> None:
        """Put what was appended at the end of the list; its ids must be right."""
        for item, stored in zip(items, answer, strict=True):
            given = {name: value for name, value in item.items() if value != PLACEHOLDER_ID}
            shown = json.loads(stored.json)
            assert shown == {"type": item["type"], "id": shown["id"], **given}
            if item["type"] != "item_reference":
                assert stored.cursor == shown["id"]
            assert stored.cursor not in self.taken
            self.taken.add(stored.cursor)
            self.entries.append(Entry(stored.cursor, stored.json))


def listed(entries: Iterable[StoredItem | Entry]) -> list[tuple[str, str]]:
    return [(entry.cursor, entry.json) for entry in entries]
