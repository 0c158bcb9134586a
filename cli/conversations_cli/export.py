"""`conversations export`: a file with consistent snapshots of conversations."""

from __future__ import annotations

import fcntl
import gzip
import io
import json
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click
from pydantic import TypeAdapter

from conversations.errors import ConversationBusyError, ConversationNotFoundError
from conversations.storage.archive import ConversationChangedError, read_archived, read_parts
from conversations.storage.payloads import ObjectMissingError
from conversations.storage.scan import scan_index
from conversations_cli.archive_file import End, header_line, line_of, read_line, record_lines
from conversations_cli.data_options import (
    Data,
    Scope,
    amount,
    data_command,
    progress,
    scope_options,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

READ_ATTEMPTS = 10
"""Number of attempts to read a conversation while its items change."""
SPOOL_BYTES = 8_000_000
"""Size of a record from which it is kept in a temporary file before it is written."""


@dataclass
class Checkpoint:
    """Progress of an export: up to *offset*, its file consists of whole records."""

    place: str
    table: str
    bucket: str
    account: str
    owner: str | None
    offset: int = 0
    after: str = ""
    conversations: int = 0
    items: int = 0

    @property
    def source(self) -> tuple[str, str, str, str, str | None]:
        """The place, table, bucket, account and owner that the file is an export of."""
        return self.place, self.table, self.bucket, self.account, self.owner


class ExportFile:
    """A file that grows by whole records, and continues after an interruption.

    Until it is complete, its name is `FILE.partial`, and `FILE.progress` has the checkpoint.
    """

    def __init__(self, out: Path, data: Data, scope: Scope) -> None:
        self._out = out
        self._partial = out.with_name(f"{out.name}.partial")
        self._progress = out.with_name(f"{out.name}.progress")
        self.checkpoint = Checkpoint(
            data.aws.place, data.table.name, data.bucket, scope.account, scope.owner
        )
        if self._progress.exists():
            self.checkpoint = self._resumed(self.checkpoint)

    def _resumed(self, fresh: Checkpoint) -> Checkpoint:
        try:
            found = TypeAdapter(Checkpoint).validate_json(self._progress.read_bytes())
        except ValueError as error:
            raise click.ClickException(
                f"{self._progress} is damaged. Delete it and {self._partial}, and start the export"
                " again."
            ) from error
        if found.source != fresh.source:
            raise click.ClickException(
                f"{self._partial} is of another stack, account or end user. Delete it and"
                f" {self._progress}, or use another --out."
            )
        size = self._partial.stat().st_size if self._partial.exists() else 0
        if size < found.offset:
            raise click.ClickException(
                f"{self._partial} is shorter than {self._progress} requires. Delete both files, and"
                " start the export again."
            )
        return found

    def __enter__(self) -> Self:
        """Open the file after its last whole record."""
        self._file = self._partial.open("r+b" if self._partial.exists() else "w+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise click.ClickException(f"Another export is writing {self._partial}.") from error
        self._file.truncate(self.checkpoint.offset)
        self._file.seek(self.checkpoint.offset)
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()

    def add(self, record: IO[bytes], after: str = "", items: int | None = None) -> None:
        """Append a record, and note that the file is whole up to its end."""
        self._append(record)
        self.checkpoint.offset = self._file.tell()
        if items is not None:
            self.checkpoint.after = after
            self.checkpoint.conversations += 1
            self.checkpoint.items += items
        self._save()

    def _append(self, record: IO[bytes]) -> None:
        record.seek(0)
        if self._out.suffix == ".gz":
            # One member for each record, without time and name, so that equal data is equal bytes.
            with gzip.GzipFile("", "wb", 6, self._file, mtime=0) as packed:
                shutil.copyfileobj(record, packed)
        else:
            shutil.copyfileobj(record, self._file)
        self._file.flush()

    def finish(self, trailer: bytes) -> None:
        """Append the last line, and rename the file. A resumed export writes this line again."""
        self._append(io.BytesIO(trailer))
        os.fsync(self._file.fileno())
        self._partial.replace(self._out)
        self._progress.unlink(missing_ok=True)

    def _save(self) -> None:
        written = self._progress.with_name(f"{self._progress.name}.new")
        written.write_text(json.dumps(asdict(self.checkpoint)), encoding="utf-8")
        written.replace(self._progress)


@click.command("export")
@data_command
@scope_options
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write. It is compressed if its name ends with .gz.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def export_conversations(data: Data, scope: Scope, out: Path, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """Write conversations to a file, as JSON Lines.

    Each conversation is a consistent snapshot. After an interruption, run the command again to
    continue.
    """
    if out.exists():
        raise click.ClickException(f"{out} exists. Delete it, or use another --out.")
    with (
        ExportFile(out, data, scope) as file,
        closing(sqlite3.connect("")) as keys,
        progress() as show,
    ):
        count = _collect(keys, scan_index(data.table, scope.account, scope.owner))
        done = file.checkpoint
        if not done.offset:
            file.add(io.BytesIO(header_line(scope.account, scope.owner, count)))
        for pk in _after(keys, done.after):
            with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as record:
                if items := _write(data, pk, record):
                    file.add(record, pk, int(items["items"]))
            show(f"{done.conversations:,} of {count:,} conversations, {done.items:,} items")
        counts = {"conversations": done.conversations, "items": done.items}
        file.finish(line_of({"type": "trailer", **counts}))
    if as_json:
        click.echo(json.dumps({**counts, "file": str(out)}))
        return
    click.echo(f"{amount(done.conversations, 'conversation')}, {amount(done.items, 'item')}: {out}")


def _collect(keys: sqlite3.Connection, found: Iterator[str]) -> int:
    """Sort partition keys in a temporary database, and return their number."""
    keys.execute("CREATE TABLE found (pk TEXT PRIMARY KEY) WITHOUT ROWID")
    keys.executemany("INSERT OR IGNORE INTO found VALUES (?)", ((pk,) for pk in found))
    [[count]] = keys.execute("SELECT count(*) FROM found")
    return int(count)


def _after(keys: sqlite3.Connection, after: str) -> Iterator[str]:
    for [pk] in keys.execute("SELECT pk FROM found WHERE pk > ? ORDER BY pk", (after,)):
        yield str(pk)


def _write(data: Data, pk: str, record: IO[bytes]) -> End | None:
    """Write a record, and return its last line; None if the conversation was deleted.

    Raises:
        click.ClickException: items changed during every attempt to read the conversation.
    """
    for _ in range(READ_ATTEMPTS):
        record.seek(0)
        record.truncate()
        line = b""
        try:
            archived, row = read_archived(data.table, pk)
            for line in record_lines(archived, read_parts(data.table, data.payloads, row)):
                record.write(line)
        except (ConversationChangedError, ConversationBusyError):
            continue
        except ConversationNotFoundError:
            return None
        except ObjectMissingError as error:
            raise click.ClickException(
                f"Conversation '{pk.partition('/')[2]}' cannot be exported: the bucket has no"
                f" object {error.object_key}."
            ) from error
        return read_line(End, line)
    raise click.ClickException(
        f"Items of conversation '{pk.partition('/')[2]}' changed during every attempt to read it."
        " Run the command again to continue."
    )
