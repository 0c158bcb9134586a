"""Import of an archive's records: each is validated as a whole, then written."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from conversations.errors import (
    ConversationBusyError,
    ConversationNotFoundError,
    ItemAlreadyInConversationError,
)
from conversations.storage.restore import (
    PurgeUnderWayError,
    merge,
    restore,
    would_merge,
    would_restore,
)
from conversations.storage.restore_claim import ClaimLostError
from conversations_cli.archive_file import (
    ConversationLine,
    archived_conversation,
    archived_part,
    kind_of,
)
from conversations_cli.records import BadRecordError, Line, RecordCheck, checked, records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from conversations.storage.archive import ArchivedConversation, Part
    from conversations_cli.data_options import Data, Scope

BUSY = "other requests keep changing the conversation. Import it again."
SPOOL_BYTES = 8_000_000
"""Size of a record from which it is kept in a temporary file until it is validated."""

type Outcome = Literal[
    "imported", "present", "completed", "expired", "postponed", "conflicting", "bad"
]


class RejectedRecordError(Exception):
    """A valid record that was not written, or not completely."""

    def __init__(self, outcome: Outcome, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome


@dataclass
class Report:
    """Counts of the results of an import, by conversation; of a dry run, what they would be."""

    imported: int = 0
    present: int = 0
    """Conversations that existed; with --merge, those that had all batches of the file."""
    completed: int = 0
    expired: int = 0
    postponed: int = 0
    """Conversations that are being purged, or that another import writes: import them later."""
    conflicting: int = 0
    """Conversations that were not completed, because another item has the id of an item."""
    bad: int = 0
    """Invalid records, of which nothing was written."""
    items: int = 0

    @property
    def is_complete(self) -> bool:
        """False if a record was invalid or could not be written."""
        return not (self.bad or self.postponed or self.conflicting)

    def count(self, outcome: Outcome, items: int = 0) -> None:
        """Add a record, of which so many items were written."""
        setattr(self, outcome, getattr(self, outcome) + 1)
        self.items += items


@dataclass
class Importer:
    """Importer of records, for one owner or with the owners in the records."""

    data: Data
    scope: Scope
    report: Report
    warn: Callable[[str], None]
    """The function that is called with a sentence for each record that is not written."""
    merges: bool = False
    is_dry: bool = False
    owners: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    """The conversations that a dry run would have written."""

    def take(self, lines: Iterable[Line]) -> None:
        """Import all records of *lines*; those that cannot be written are reported and skipped."""
        for record in records(lines):
            first = next(record)
            try:
                self._take(first, record)
            except BadRecordError as error:
                self.report.count("bad")
                self.warn(str(error))
            except RejectedRecordError as error:
                self.report.count(error.outcome)
                self.warn(f"{first.place}: {error}")

    def _take(self, first: Line, lines: Iterator[Line]) -> None:
        with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as spool:
            conversation = checked(ConversationLine, first)
            check = RecordCheck(first.place, conversation)
            for line in lines:
                check.add(line)
                spool.write(line.text)
            check.end()
            archived = archived_conversation(
                conversation, self._owner(first.place, conversation), self.scope.account
            )
            spool.seek(0)
            parts = (archived_part(line) for line in spool if kind_of(line) != "end")
            try:
                self._write(archived, parts, check.items)
            except PurgeUnderWayError as error:
                raise RejectedRecordError(
                    "postponed",
                    "the conversation was deleted here less than 15 minutes ago, and its purge may"
                    " still run. Import it again after 15 minutes.",
                ) from error

    def _owner(self, place: str, conversation: ConversationLine) -> str:
        if self.scope.owner is None:
            return conversation["owner"]
        self.owners.add(conversation["owner"])
        if len(self.owners) > 1:
            raise BadRecordError(
                place,
                "the file has conversations of several owners. Use --all-end-users to keep the"
                " owners, or export and import the conversations of one end user at a time.",
            )
        return self.scope.owner

    def _write(self, archived: ArchivedConversation, parts: Iterator[Part], items: int) -> None:
        if archived.is_expired:
            self.report.count("expired")
        elif self._restore(archived, parts):
            self.report.count("imported", items)
        elif self.merges:
            added = self._merge(archived, parts)
            self.report.count("completed" if added else "present", added)
        else:
            self.report.count("present")

    def _restore(self, archived: ArchivedConversation, parts: Iterator[Part]) -> bool:
        if self.is_dry:
            is_new = archived.pk not in self.seen and would_restore(self.data.table, archived)
            self.seen |= {archived.pk} if is_new else set()
            return is_new
        try:
            return restore(self.data.table, self.data.payloads, archived, parts)
        except ClaimLostError as error:
            raise RejectedRecordError(
                "postponed",
                "another import is writing the conversation. Wait until that import ends.",
            ) from error
        except ConversationBusyError as error:
            raise RejectedRecordError("postponed", BUSY) from error

    def _merge(self, archived: ArchivedConversation, parts: Iterator[Part]) -> int:
        if self.is_dry and archived.pk in self.seen:
            return 0
        if self.is_dry:
            return would_merge(self.data.table, archived, parts)
        added = 0
        try:
            for items in merge(self.data.table, self.data.payloads, archived, parts):
                added += items
        except ItemAlreadyInConversationError as error:
            self.report.items += added
            raise RejectedRecordError(
                "conflicting", f"{error.message} The other batches are not merged."
            ) from error
        except ConversationNotFoundError as error:
            raise RejectedRecordError(
                "postponed", "the conversation was deleted during the import. Import it again."
            ) from error
        except ConversationBusyError as error:
            self.report.items += added
            raise RejectedRecordError("postponed", BUSY) from error
        return added
