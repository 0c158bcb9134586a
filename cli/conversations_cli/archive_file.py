"""File format of an export: JSON Lines, with several lines for each record.

A record is a line `conversation`, a line `batch` for each append, lines `tombstone` and `pointer`
for deleted items, and a line `end` with counts. The file begins with a line `header` and ends with
a line `trailer`. So a long conversation is written and read in little memory, and a truncated
record is detected.
"""

from __future__ import annotations

import functools
import gzip
import json
import re
import zlib
from typing import IO, TYPE_CHECKING, Annotated, Literal, NotRequired, TypedDict, cast

import click
from pydantic import FailFast, Field, TypeAdapter, with_config

from conversations.contract.bodies import (
    MAX_METADATA_PAIRS,
    MetadataKey,
    MetadataValue,
    normalize_items,
)
from conversations.contract.fields import CLOSED, Id, ListOf
from conversations.contract.items import MAX_BATCH_ITEMS, AnyItem
from conversations.contract.validation import parse
from conversations.json_text import compact_json
from conversations.model import Conversation
from conversations.storage.archive import ArchivedBatch, ArchivedConversation, Pointer, Tombstone
from conversations.storage.rows import RECENT_BATCHES

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator
    from pathlib import Path

    from conversations.storage.archive import Part

FORMAT: Literal["lambda-conversations"] = "lambda-conversations"
VERSION: Literal[1] = 1
MAX_MILLISECONDS = 253_402_300_799_999
"""The end of the year 9999, beyond which no date can be shown."""
_KIND = re.compile(rb'\{"type":"(\w+)"')

type Json = dict[str, object]
SequenceKey = Annotated[str, Field(pattern=r"^[0-9a-v]{26}$")]
Count = Annotated[int, Field(ge=0)]
Milliseconds = Annotated[int, Field(ge=0, le=MAX_MILLISECONDS)]
Seconds = Annotated[int, Field(ge=0, le=MAX_MILLISECONDS // 1000)]


@with_config(CLOSED)
class Header(TypedDict):
    """The first line of a file."""

    type: Literal["header"]
    format: Literal["lambda-conversations"]
    version: Literal[1]
    account: Id
    owner: str | None
    """The owner whose conversations were exported; null for the account and all its end users."""
    conversations: Count
    """The number of conversations when the export began; the trailer has the number in the file."""


@with_config(CLOSED)
class ConversationLine(TypedDict):
    """The first line of a record; times are milliseconds, `expires_at` is seconds."""

    type: Literal["conversation"]
    id: Id
    owner: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    account: Id
    created_at: Milliseconds
    updated_at: Milliseconds
    appended_at: Milliseconds
    expires_at: NotRequired[Seconds]
    metadata: Annotated[
        dict[MetadataKey, MetadataValue], FailFast(), Field(max_length=MAX_METADATA_PAIRS)
    ]
    recent_keys: Annotated[list[SequenceKey], Field(max_length=len(RECENT_BATCHES))]


@with_config(CLOSED)
class BatchLine(TypedDict):
    """Items that were appended together; *slots* are their slots if some were deleted."""

    type: Literal["batch"]
    key: SequenceKey
    written: Annotated[int, Field(ge=1, le=MAX_BATCH_ITEMS)]
    slots: NotRequired[list[Count]]
    expires_at: NotRequired[Seconds]
    items: Annotated[ListOf[AnyItem], Field(min_length=1, max_length=MAX_BATCH_ITEMS)]


@with_config(CLOSED)
class TombstoneLine(TypedDict):
    """A batch whose items are all deleted."""

    type: Literal["tombstone"]
    key: SequenceKey
    written: Annotated[int, Field(ge=1, le=MAX_BATCH_ITEMS)]
    expires_at: NotRequired[Seconds]


@with_config(CLOSED)
class PointerLine(TypedDict):
    """The place of a deleted item with a client's id."""

    type: Literal["pointer"]
    id: Id
    key: SequenceKey
    expires_at: NotRequired[Seconds]


@with_config(CLOSED)
class End(TypedDict):
    """The last line of a record."""

    type: Literal["end"]
    id: Id
    batches: Count
    items: Count


@with_config(CLOSED)
class Trailer(TypedDict):
    """The last line of a file."""

    type: Literal["trailer"]
    conversations: Count
    items: Count


@functools.cache
def _adapter(kind: Hashable) -> TypeAdapter[object]:
    return TypeAdapter(cast("type[object]", kind))


def read_line[Line](kind: type[Line], line: bytes) -> Line:
    """Parse a line that must be of a *kind*.

    Raises:
        InvalidRequestError: the line is not valid; `param` is the path of the first fault.
    """
    return cast("Line", parse(_adapter(cast("Hashable", kind)), line))


def kind_of(line: bytes) -> str | None:
    """Return the `type` of a line, if it has one; lines of an export begin with it."""
    if match := _KIND.match(line):
        return match[1].decode()
    try:
        found: object = json.loads(line)
    except (ValueError, RecursionError):
        return None
    kind = found.get("type") if isinstance(found, dict) else None
    return kind if isinstance(kind, str) else None


def line_of(fields: Json) -> bytes:
    """Return a line with these fields; null fields are omitted."""
    kept = {name: value for name, value in fields.items() if value is not None}
    return f"{compact_json(kept)}\n".encode()


def header_line(account: str, owner: str | None, conversations: int) -> bytes:
    """Return the first line of a file."""
    fields = {"type": "header", "format": FORMAT, "version": VERSION, "account": account}
    counted = {**fields, "owner": owner, "conversations": conversations}
    return f"{compact_json(counted)}\n".encode()


def conversation_line(archived: ArchivedConversation) -> bytes:
    """Return the first line of a record."""
    conversation = archived.conversation
    return line_of(
        {
            "type": "conversation",
            "id": conversation.conversation_id,
            "owner": conversation.owner,
            "account": conversation.account,
            "created_at": conversation.created_at,
            "updated_at": conversation.updated_at,
            "appended_at": conversation.appended_at,
            "expires_at": archived.expires_at,
            "metadata": conversation.metadata,
            "recent_keys": archived.recent_keys,
        }
    )


def record_lines(archived: ArchivedConversation, parts: Iterable[Part]) -> Iterator[bytes]:
    """Yield the lines of a record."""
    yield conversation_line(archived)
    batches = items = 0
    for part in parts:
        if isinstance(part, ArchivedBatch):
            batches, items = batches + 1, items + len(part.slots)
        yield _part_line(part)
    yield end_line(archived, batches, items)


def end_line(archived: ArchivedConversation, batches: int, items: int) -> bytes:
    """Return the last line of a record."""
    conversation_id = archived.conversation.conversation_id
    return line_of({"type": "end", "id": conversation_id, "batches": batches, "items": items})


def _part_line(part: Part) -> bytes:
    match part:
        case ArchivedBatch():
            slots = [*part.slots] if len(part.slots) < part.written else None
            fields = {"type": "batch", "key": part.key, "written": part.written, "slots": slots}
            start = line_of({**fields, "expires_at": part.expires_at}).rstrip(b"}\n")
            return start + f',"items":[{",".join(part.items())}]}}\n'.encode()
        case Tombstone():
            return line_of({"type": "tombstone", **part._asdict()})
        case _:
            return line_of(
                {"type": "pointer", "id": part.item_id, **part._asdict(), "item_id": None}
            )


def archived_conversation(line: ConversationLine, owner: str, account: str) -> ArchivedConversation:
    """Return the conversation of a line, as one of *owner* in an *account*."""
    conversation = Conversation(
        line["id"],
        owner,
        account,
        created_at=line["created_at"],
        updated_at=line["updated_at"],
        appended_at=line["appended_at"],
        metadata=line["metadata"],
    )
    return ArchivedConversation(conversation, line.get("expires_at"), line["recent_keys"])


def archived_part(line: bytes) -> Part:
    """Return the part of a valid line."""
    fields = json.loads(line)
    match fields["type"]:
        case "batch":
            slots = fields.get("slots", range(fields["written"]))
            expires_at = fields.get("expires_at")
            key, written = fields["key"], fields["written"]
            normalize_items(fields["items"])
            return ArchivedBatch.of(key, written, slots, fields["items"], expires_at)
        case "tombstone":
            return Tombstone(fields["key"], fields["written"], fields.get("expires_at"))
    return Pointer(fields["id"], fields["key"], fields.get("expires_at"))


def lines_in(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file, unpacked if its name ends with .gz.

    Raises:
        click.ClickException: it cannot be unpacked from some line on.
    """
    with cast("IO[bytes]", gzip.open(path) if path.suffix == ".gz" else path.open("rb")) as opened:
        try:
            yield from opened
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise click.ClickException(
                f"{path} is damaged or cut off: {error}. The whole records before that were read."
            ) from error
