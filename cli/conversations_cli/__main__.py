"""The operator's command line, `conversations`."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import click

from conversations.storage.payloads import PayloadStore
from conversations.storage.purge import find_orphans, find_unfinished_purges, requeue_purge
from conversations.storage.transactions import Table
from conversations_cli.command_line import Aws, aws_options
from conversations_cli.erase import erase
from conversations_cli.export import export_conversations
from conversations_cli.import_command import import_conversations
from conversations_cli.key_commands import keys
from conversations_cli.transcripts import list_conversations, show
from conversations_cli.usage import usage

REMOVED_AT_ONCE = 1_000
"""Objects that S3 removes in one request."""


@click.group()
def main() -> None:
    """Operate a Conversations API, with the AWS credentials of your shell."""


COMMANDS = (
    keys,
    list_conversations,
    show,
    usage,
    export_conversations,
    import_conversations,
    erase,
)
for command in COMMANDS:
    main.add_command(command)


@main.group()
def objects() -> None:
    """Look after the bucket of payloads that are too large for a row."""


@objects.command()
@aws_options
@click.option("--table", help="The table of conversations itself.")
@click.option("--bucket", help="The bucket itself.")
@click.option(
    "--hours",
    type=click.IntRange(1),
    default=24,
    show_default=True,
    help="The least age of an object: a younger one may belong to a request under way.",
)
@click.option("--delete", "deletes", is_flag=True, help="Remove them as well.")
def orphans(
    aws: Aws,
    table: str | None,
    bucket: str | None,
    hours: int,
    deletes: bool,  # noqa: FBT001 - click's flag
) -> None:
    """Show the keys of objects that no row names, one a line."""
    if (table is None) != (bucket is None) or (aws.stack is None) == (table is None):
        raise click.UsageError("Give either --stack, or --table and --bucket.")
    outputs = aws.outputs() if aws.stack else {}
    s3 = aws.session.client("s3")
    with ThreadPoolExecutor(1) as executor:
        payloads = PayloadStore(bucket or outputs["PayloadBucketName"], lambda: s3, executor)
        dynamodb = aws.session.client("dynamodb")
        conversations = Table(dynamodb, table or outputs["ConversationsTableName"])
        moment = datetime.now(UTC) - timedelta(hours=hours)
        found = find_orphans(conversations, payloads, moment)
        for batch in itertools.batched(found, REMOVED_AT_ONCE, strict=False):
            click.echo("\n".join(batch))
            if deletes:
                payloads.delete(batch)


@main.group()
def purges() -> None:
    """Look after what deleted conversations leave behind."""


@purges.command()
@aws_options
@click.option("--table", help="The table of conversations itself, instead of --stack.")
@click.option(
    "--hours",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="How long ago a conversation was deleted at least: a younger purge may be under way.",
)
@click.option("--again", "begins", is_flag=True, help="Begin their purges again as well.")
def unfinished(
    aws: Aws,
    table: str | None,
    hours: int,
    begins: bool,  # noqa: FBT001 - click's flag
) -> None:
    """Show the deleted or expired conversations of which something is left, one a line."""
    if (aws.stack is None) == (table is None):
        raise click.UsageError("Give either --stack or --table.")
    name = table or aws.outputs()["ConversationsTableName"]
    conversations = Table(aws.session.client("dynamodb"), name)
    for pk in find_unfinished_purges(conversations, datetime.now(UTC) - timedelta(hours=hours)):
        click.echo(pk)
        if begins:
            requeue_purge(conversations, pk)


if __name__ == "__main__":
    main()
