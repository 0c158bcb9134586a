"""Shared parts of the commands on conversations: options for table, bucket and owner; progress."""

from __future__ import annotations

import contextlib
import functools
import itertools
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from conversations import aws_clients, ids
from conversations.storage.payloads import PayloadStore
from conversations.storage.transactions import Table
from conversations_cli.command_line import Aws, Text, aws_options, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3.client import S3Client

    type Show = Callable[[str], None]


@dataclass(frozen=True)
class Data:
    """The table and the bucket of a stack."""

    aws: Aws
    table: Table
    s3: S3Client
    bucket: str
    payloads: PayloadStore


@dataclass(frozen=True, slots=True)
class Scope:
    """The owners whose conversations a command selects."""

    account: str
    end_user: str | None
    is_whole_account: bool

    @property
    def owner(self) -> str | None:
        """The owner's identity; None for all end users of the account and the account itself."""
        return None if self.is_whole_account else ids.owner_of(self.account, self.end_user or "")

    @property
    def label(self) -> str:
        """The text of the scope for people."""
        if self.is_whole_account:
            return f"account '{self.account}' and all its end users"
        if self.end_user is None:
            return f"account '{self.account}' itself"
        return f"end user '{self.end_user}' of account '{self.account}'"


def data_command(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that name table and bucket to a command, and pass both as `Data`."""

    @aws_options
    @click.option("--table", help="The table of conversations; use with --bucket.")
    @click.option("--bucket", help="The bucket of payloads; use with --table.")
    @functools.wraps(command)
    def run(aws: Aws, table: str | None, bucket: str | None, **options: object) -> None:
        if (table is None) != (bucket is None) or (aws.stack is None) == (table is None):
            raise click.UsageError("Use one of --stack, --local, or --table with --bucket.")
        outputs: Any = {"ConversationsTableName": table, "PayloadBucketName": bucket}
        if table is None:
            outputs = aws.outputs()
        s3, name = aws.session.client("s3"), outputs["PayloadBucketName"]
        dynamodb = aws.session.client("dynamodb")
        aws_clients.record_tries(dynamodb)
        conversations = Table(dynamodb, outputs["ConversationsTableName"])
        with ThreadPoolExecutor(1) as executor:
            payloads = PayloadStore(name, lambda: s3, executor)
            command(Data(aws, conversations, s3, name, payloads), **options)

    return run


def scope_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that select owners to a command, and pass them as `scope`."""

    @click.option("--account", required=True, help="The account that owns the conversations.")
    @click.option(
        "--end-user", type=Text(), help="An end user of the account.  [default: the account itself]"
    )
    @click.option(
        "--all-end-users", "is_whole_account", is_flag=True, help="The account and all end users."
    )
    @functools.wraps(command)
    def run(
        *args: object,
        account: str,
        end_user: str | None,
        is_whole_account: bool,
        **options: object,
    ) -> None:
        if end_user is not None and is_whole_account:
            raise click.UsageError("Use either --end-user or --all-end-users.")
        if not ids.is_id(account):
            raise click.UsageError(f"The account must be {ids.ID_RULE}, got '{account}'.")
        command(*args, scope=Scope(account, end_user, is_whole_account), **options)

    return run


@contextlib.contextmanager
def progress() -> Iterator[Show]:
    """Show progress on a terminal's standard error; the function replaces the line's text."""
    with click.progressbar(
        itertools.repeat(""),
        bar_template="%(info)s",
        item_show_func=lambda text: text,
        file=sys.stderr,
        hidden=not _is_terminal(),
    ) as bar:
        yield lambda text: bar.update(1, text)


def warn(sentence: str) -> None:
    """Print a sentence to standard error, in place of the line of progress."""
    start_of_line = "\r\x1b[K" if _is_terminal() else ""
    click.echo(f"{start_of_line}{visible(sentence)}", err=True)


def amount(count: int, noun: str) -> str:
    """Return a count with its noun: "1 conversation", "2,000 items"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _is_terminal() -> bool:
    """Return whether standard error is a terminal; it is None if the shell closed it."""
    return sys.stderr is not None and sys.stderr.isatty()
