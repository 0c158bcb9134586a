"""Validation of an archive's records, line by line and as a whole."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

from conversations import ids
from conversations.contract.bodies import normalize_items
from conversations.contract.items import generated_id
from conversations.errors import InvalidRequestError
from conversations.json_text import response_bytes
from conversations.storage.archive import ArchivedBatch
from conversations.storage.payloads import MAX_RESPONSE_PAYLOAD_BYTES
from conversations_cli.archive_file import (
    MAX_MILLISECONDS,
    BatchLine,
    ConversationLine,
    End,
    PointerLine,
    TombstoneLine,
    kind_of,
    read_line,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from conversations.contract.items import Item

MALFORMED = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""Errors of reading fields of any JSON that are not as another service sends them."""


def fault_text(error: Exception) -> str:
    """Return what is wrong, without content: `repr` of a Unicode error has the whole text."""
    return f"{type(error).__name__}: {error}" if isinstance(error, UnicodeError) else repr(error)


class Line(NamedTuple):
    """A line, and its place as text for people."""

    place: str
    text: bytes


class BadRecordError(Exception):
    """An invalid record. Nothing of it was written."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}")


def records(lines: Iterable[Line]) -> Iterator[Iterator[Line]]:
    """Yield the records of *lines*, each as its lines; read one before the next."""
    upcoming = iter(lines)
    held: list[Line] = []

    def record(first: Line) -> Iterator[Line]:
        yield first
        for line in upcoming:
            kind = kind_of(line.text)
            if kind in {"conversation", "trailer"}:
                held.append(line)
                return
            yield line
            if kind == "end":
                return

    while line := held.pop() if held else next(upcoming, None):
        if kind_of(line.text) == "trailer":
            continue
        lines_of_record = record(line)
        yield lines_of_record
        for _ in lines_of_record:  # the rest of an invalid record
            pass


class RecordCheck:
    """Validator of the lines of one record together."""

    def __init__(self, place: str, conversation: ConversationLine) -> None:
        self._place = place
        self._id = conversation["id"]
        self._last_key = max(conversation["recent_keys"], default="")
        self._key = ""
        self._ids: set[str] = set()
        self._generated = array("q")
        """Hashes of the generated ids; a record can have a million of them."""
        self._ids_like_generated: list[tuple[str, str, str]] = []
        """Line, path and id of each client's id that has the form of a generated id."""
        self._traces: set[str] = set()
        self._end: End | None = None
        self.batches = self.items = 0
        if [*conversation["recent_keys"]] != sorted({*conversation["recent_keys"]}, reverse=True):
            raise BadRecordError(place, "recent_keys: must be unique, in descending order.")
        if not all(map(_is_sequence_key, conversation["recent_keys"])):
            raise BadRecordError(place, "recent_keys: must be sequence keys up to the year 9999.")

    def add(self, line: Line) -> None:
        """Validate a line after the first one.

        Raises:
            BadRecordError: the message names the line and the path.
        """
        match kind_of(line.text):
            case "batch":
                self._add_batch(line, checked(BatchLine, line))
            case "tombstone":
                tombstone = checked(TombstoneLine, line)
                self._check_first_key(line, tombstone["key"], tombstone["written"])
                self._add_trace(line, f"t {tombstone['key']}")
            case "pointer":
                pointer = checked(PointerLine, line)
                self._check_first_key(line, ids.first_key(pointer["key"]), 1)
                self._add_trace(line, f"p {pointer['id']}")
                self._claim(line, "id", pointer["id"])
            case "end":
                self._end = checked(End, line)
            case kind:
                raise BadRecordError(
                    line.place, f"type: must be batch, tombstone, pointer or end, got '{kind}'."
                )

    def end(self) -> None:
        """Validate that the record is complete."""
        expected = {"type": "end", "id": self._id, "batches": self.batches, "items": self.items}
        if self._end is None:
            raise BadRecordError(self._place, "the record is truncated: it has no line 'end'.")
        if dict(self._end) != expected:
            raise BadRecordError(self._place, "the record is incomplete: the counts differ.")
        generated = {*self._generated} if self._ids_like_generated else set()
        for place, path, item_id in self._ids_like_generated:
            if hash(item_id) in generated:
                raise _not_unique(place, path, item_id)

    def _add_batch(self, line: Line, batch: BatchLine) -> None:
        key, written = batch["key"], batch["written"]
        slots = batch.get("slots", [*range(written)])
        if key <= self._key:
            raise BadRecordError(line.place, "key: must be greater than the previous key.")
        self._check_first_key(line, key, written)
        if (
            slots != sorted({*slots})
            or slots[-1:] >= [written]
            or len(slots) != len(batch["items"])
        ):
            raise BadRecordError(line.place, "slots: must be ascending, one for each item.")
        self._key = key
        self.batches += 1
        self.items += len(slots)
        self._add_items(line, batch["items"], ids.keys_at(key, slots))
        _check_size(line, ArchivedBatch.of(key, written, slots, batch["items"], None).lines)

    def _check_first_key(self, line: Line, key: str, written: int) -> None:
        if ids.first_key(key) != key:
            raise BadRecordError(line.place, "key: must be the first key of a batch.")
        if ids.keys_at(key, [written - 1])[0] > self._last_key:
            raise BadRecordError(line.place, "key: must not be greater than recent_keys[0].")

    def _add_items(self, line: Line, items: list[Item], keys: Sequence[str]) -> None:
        try:
            normalize_items(items)
        except InvalidRequestError as error:
            raise BadRecordError(line.place, error.message) from error
        for index, (item, key) in enumerate(zip(items, keys, strict=True)):
            item_id = item.get("id")
            if item_id is None:
                raise BadRecordError(line.place, f"items[{index}] must have the field 'id'.")
            own_id = generated_id(str(item["type"]), key)
            if item_id == own_id or item["type"] == "item_reference":
                self._generated.append(hash(own_id))
            else:
                self._claim(line, f"items[{index}].id", str(item_id))

    def _add_trace(self, line: Line, name: str) -> None:
        if name in self._traces:
            raise BadRecordError(line.place, "the record has this line twice.")
        self._traces.add(name)

    def _claim(self, line: Line, path: str, item_id: str) -> None:
        if item_id in self._ids:
            raise _not_unique(line.place, path, item_id)
        self._ids.add(item_id)
        if ids.key_in(item_id):
            self._ids_like_generated.append((line.place, path, item_id))


def _not_unique(place: str, path: str, item_id: str) -> BadRecordError:
    return BadRecordError(place, f"{path}: '{item_id}' is also the id of another item.")


def _check_size(line: Line, lines: Sequence[str]) -> None:
    """Validate that the items of a batch fit into a response, as the API does for an append.

    *lines* are without generated ids, because the API does not count them either.
    """
    size = response_bytes("\n".join(lines).encode())
    if size > MAX_RESPONSE_PAYLOAD_BYTES:
        raise BadRecordError(
            line.place,
            f"items: are too large: the response would have {size} bytes. The limit is"
            f" {MAX_RESPONSE_PAYLOAD_BYTES} bytes.",
        )


def _is_sequence_key(key: str) -> bool:
    """Return whether *key* can be one of ours, and leaves room for those of later batches."""
    is_whole = ids.keys_at(ids.first_key(key), [ids.slot_of(key)]) == [key]
    return is_whole and ids.milliseconds_of(key) <= MAX_MILLISECONDS


def checked[Kind](kind: type[Kind], line: Line) -> Kind:
    """Parse a line that must be of a *kind*.

    Raises:
        BadRecordError: the line is not valid.
    """
    try:
        return read_line(kind, line.text)
    except InvalidRequestError as error:
        raise BadRecordError(line.place, error.message) from error
