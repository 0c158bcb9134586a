"""`conversations import`: import of an export, of OpenAI's conversations or of thread dumps."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from conversations.errors import InvalidRequestError
from conversations_cli.archive_file import Header, kind_of, lines_in, read_line
from conversations_cli.command_line import visible
from conversations_cli.data_options import (
    Data,
    Scope,
    data_command,
    progress,
    scope_options,
    warn,
)
from conversations_cli.importing import Importer, Report
from conversations_cli.openai_source import openai_lines
from conversations_cli.records import Line
from conversations_cli.threads import is_thread_dump, thread_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from conversations_cli.data_options import Show

INPUT_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("import")
@data_command
@scope_options
@click.argument("file", required=False, type=INPUT_FILE)
@click.option(
    "--from-openai",
    "openai_ids",
    multiple=True,
    metavar="CONVERSATION",
    help="An OpenAI conversation to read, with the key in OPENAI_API_KEY. May be repeated.",
)
@click.option(
    "--ids",
    type=INPUT_FILE,
    help="A file of ids of OpenAI conversations, one per line.",
)
@click.option("--merge", "merges", is_flag=True, help="Add missing batches to conversations.")
@click.option(
    "--dry-run", "is_dry", is_flag=True, help="Write nothing; count what an import would write."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def import_conversations(  # noqa: PLR0913, PLR0917 - one parameter an option
    data: Data,
    scope: Scope,
    file: Path | None,
    openai_ids: Sequence[str],
    ids: Path | None,
    merges: bool,  # noqa: FBT001 - click's flag
    is_dry: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    """Import conversations with their ids, order and times.

    FILE is an export, or a dump of Assistants threads: messages as the Threads API lists them.
    Existing conversations are not changed, unless --merge is used. After an interruption, run the
    command again to continue.
    """
    wanted = [*openai_ids, *(ids.read_text(encoding="utf-8-sig").split() if ids else ())]
    if (file is None) == (not wanted):
        raise click.UsageError("Use either FILE, or --from-openai and --ids.")
    report = Report()

    def reject(sentence: str) -> None:
        report.count("bad")
        warn(sentence)

    with progress() as show:
        importer = Importer(data, scope, report, warn, merges=merges, is_dry=is_dry)
        if file is None:
            if scope.is_whole_account:
                raise click.UsageError(
                    "--all-end-users requires an export: OpenAI's conversations have no owner."
                )
            lines = openai_lines(scope, wanted, reject)
        else:
            lines = _lines_of(file, scope, reject)
        importer.take(_with_progress(lines, report, show))
    click.echo(
        json.dumps(dataclasses.asdict(report)) if as_json else _sentence(report, is_dry=is_dry)
    )
    if not report.is_complete:
        raise click.exceptions.Exit(1)


def _lines_of(file: Path, scope: Scope, reject: Callable[[str], None]) -> Iterator[Line]:
    """Yield the lines of the records of a file.

    Raises:
        click.ClickException: the file has another format, or is of another account.
    """
    lines = lines_in(file)
    first = next(lines, b"")
    if kind_of(first) != "header" and is_thread_dump(first):
        yield from thread_lines(file, scope, warn, reject)
        return
    try:
        header = read_line(Header, first)
    except InvalidRequestError as error:
        raise click.ClickException(visible(f"{file}, line 1: {error.message}")) from error
    if scope.is_whole_account and header["account"] != scope.account:
        raise click.ClickException(
            f"{file} is an export of account '{header['account']}'. With --all-end-users, the"
            f" account must be the same: use --account {header['account']}. To change the account,"
            " export and import one end user at a time."
        )
    kind = None
    for number, text in enumerate(lines, 2):
        kind = kind_of(text)
        yield Line(f"line {number}", text)
    if kind != "trailer":
        warn(f"{file}: the last line is missing, so the file may be truncated.")


def _with_progress(lines: Iterator[Line], report: Report, show: Show) -> Iterator[Line]:
    for line in lines:
        yield line
        done = report.imported + report.present + report.completed
        show(f"{done:,} conversations, {report.items:,} items")


def _sentence(report: Report, *, is_dry: bool) -> str:
    counts = [
        (report.imported, "new" if is_dry else "imported"),
        (report.present, "already present"),
        (report.completed, "to complete" if is_dry else "completed"),
        (report.expired, "expired"),
        (report.postponed, "to import later"),
        (report.conflicting, "in conflict"),
        (report.bad, "invalid"),
    ]
    items = f"{report.items:,} items {'would be ' if is_dry else ''}written"
    return f"{', '.join(f'{count:,} {outcome}' for count, outcome in counts)}; {items}."
