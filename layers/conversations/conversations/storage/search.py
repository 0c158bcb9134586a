"""Search in an owner's conversations: a bounded scan that a cursor continues.

The scan needs no index: appended items are found immediately, deleted items never. A conversation
matches if every word occurs in the texts of its items or the values of its metadata, also as a part
of another word. Words and texts are compared without regard to case, after NFKC.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from conversations.contract.text import item_texts
from conversations.errors import ConversationNotFoundError
from conversations.model import Page
from conversations.storage import rows
from conversations.storage.reads import BATCH_GET_MAX
from conversations.storage.scan import read_batch, scan_batches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from conversations.model import Conversation
    from conversations.storage.conversation_pages import OwnerIndex
    from conversations.storage.payloads import PayloadStore
    from conversations.storage.rows import Row
    from conversations.storage.transactions import Table

CONCURRENT_SCANS = 8
"""Number of conversations that are read concurrently."""
ROW_BYTES = 300
"""Approximate size of a row without its payload."""


class SearchLimits(NamedTuple):
    """Limits of the reads of one request."""

    bytes: int = 16_000_000
    milliseconds: int = 5_000

    @classmethod
    def configured(cls, environment: Mapping[str, str]) -> SearchLimits:
        """Return the limits in the function's environment variables, which the template sets."""
        return cls(int(environment["SEARCH_BYTES"]), int(environment["SEARCH_MILLISECONDS"]))


class SearchCursor(NamedTuple):
    """Place at which a search continues: after a conversation, or inside one after a batch."""

    conversation_id: str
    key: str = ""
    """The batch that was searched last; empty after a conversation."""
    found: int = 0
    """A bit for each word of the search that was found up to that batch."""

    @classmethod
    def parse(cls, text: str) -> SearchCursor:
        """Return the cursor of a *text*; see `ids.SEARCH_CURSOR`."""
        conversation_id, _, inside = text.partition("~")
        key, _, found = inside.partition("~")
        return cls(conversation_id, key, int(found or "0", 16))

    def __str__(self) -> str:
        """Return the cursor as the client sees it: an id, unless it is inside a conversation."""
        return f"{self.conversation_id}~{self.key}~{self.found:x}" if self.key else self[0]


class Words:
    """The words of a search; a conversation matches if it has all of them."""

    def __init__(self, search: str) -> None:
        self._words = [*dict.fromkeys(normalized(search).split())]

    def found_in(self, texts: Iterable[str], found: int = 0) -> int:
        """Return *found* with the bits of the words that occur in *texts*."""
        text = normalized("\n".join(texts))
        for index, word in enumerate(self._words):
            if not found >> index & 1 and word in text:
                found |= 1 << index
        return found

    def are_all_in(self, found: int) -> bool:
        """Return whether *found* has the bits of all words."""
        return found.bit_count() == len(self._words)


class Candidate(NamedTuple):
    """A conversation to search, from its start or from inside it."""

    row: Row
    key: str = ""
    found: int = 0

    @property
    def conversation_id(self) -> str:
        """The id of the conversation."""
        return self.row["pk"]["S"].partition("/")[2]


class Wave(NamedTuple):
    """Conversations that are searched concurrently."""

    candidates: Sequence[Candidate]
    end: str
    """The id of the conversation after which the search continues."""
    is_last: bool


class SearchReader:
    """Reader of pages of the conversations that match a search."""

    def __init__(
        self,
        table: Table,
        payloads: PayloadStore,
        index: OwnerIndex,
        search: str,
        limits: SearchLimits,
    ) -> None:
        self._table = table
        self._payloads = payloads
        self._index = index
        self._words = Words(search)
        self._bytes_left = limits.bytes
        self._deadline = time.monotonic() + limits.milliseconds / 1000
        self._lock = threading.Lock()

    def read(self, after: str | None, limit: int) -> Page[Conversation]:
        """Return the page of up to *limit* conversations that match; see `SearchCursor`.

        Its `has_more` is true if others are left to search. A page ends early when the request
        reaches its limits.

        Raises:
            ConversationNotFoundError: the owner never had the conversation *after*.
        """
        found: dict[str, Conversation] = {}
        for wave in self._waves(SearchCursor.parse(after) if after else None):
            stops = [*self._payloads.executor.map(self._search, wave.candidates)]
            for number, (candidate, stop) in enumerate(zip(wave.candidates, stops, strict=True), 1):
                if isinstance(stop, SearchCursor):
                    return Page([*found.values()], has_more=True, cursor=str(stop))
                if stop:
                    conversation = rows.read_conversation(candidate.row)
                    found.setdefault(candidate.conversation_id, conversation)
                if len(found) == limit:
                    has_more = number < len(wave.candidates) or not wave.is_last
                    return Page([*found.values()], has_more, candidate.conversation_id)
            if self._is_spent() and not wave.is_last:
                return Page([*found.values()], has_more=True, cursor=wave.end)
        return Page([*found.values()], has_more=False, cursor=next(reversed(found), ""))

    def _waves(self, cursor: SearchCursor | None) -> Iterator[Wave]:
        """Yield the owner's conversations in the order of the index, each once."""
        start = self._index.start_after(str(cursor)) if cursor else None
        if cursor and cursor.key and start:
            interrupted = [Candidate(row, *cursor[1:]) for row in self._index.matching([start])]
            yield Wave(interrupted, cursor.conversation_id, is_last=False)
        seen: set[str] = set()
        while True:
            entries, start = self._index.query(start, BATCH_GET_MAX)
            candidates = [
                Candidate(row)
                for row in self._index.matching(entries)
                if row["pk"]["S"] not in seen
            ]
            seen |= {candidate.row["pk"]["S"] for candidate in candidates}
            waves = [*itertools.batched(candidates, CONCURRENT_SCANS, strict=False)]
            for number, wave in enumerate(waves, 1):
                is_last = start is None and number == len(waves)
                yield Wave(wave, wave[-1].conversation_id, is_last)
            if start is None:
                return
            yield Wave((), start["pk"]["S"].partition("/")[2], is_last=False)

    def _search(self, candidate: Candidate) -> bool | SearchCursor:
        """Return whether a conversation has all words, or where its search was interrupted."""
        pairs = rows.read_metadata(candidate.row)
        found = self._words.found_in(pairs.values(), candidate.found)
        if self._words.are_all_in(found):
            return True
        self._spend(ROW_BYTES)
        try:
            for row in scan_batches(self._table, candidate.row, candidate.key or None):
                found = self._words.found_in(self._texts(row), found)
                if self._words.are_all_in(found):
                    return True
                if self._is_spent():
                    return SearchCursor(candidate.conversation_id, rows.batch_key(row), found)
        except ConversationNotFoundError:  # deleted meanwhile
            return False
        return False

    def _texts(self, row: Row) -> Iterator[str]:
        batch = read_batch(self._table, self._payloads, row)
        self._spend(ROW_BYTES + batch.kept_bytes)
        return itertools.chain.from_iterable(item_texts(json.loads(line)) for line in batch.lines)

    def _spend(self, size: int) -> None:
        with self._lock:
            self._bytes_left -= size

    def _is_spent(self) -> bool:
        return self._bytes_left <= 0 or time.monotonic() >= self._deadline


def normalized(text: str) -> str:
    """Return *text* in the form that is compared: case-folded, in NFKC."""
    if text.isascii():
        return text.lower()
    # Unicode's caseless match decomposes first, because an iota subscript folds to a letter.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", text).casefold())
