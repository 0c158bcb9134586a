"""The operator's command line, `conversations`."""

from __future__ import annotations

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import click

from conversations import ids
from conversations.storage.payloads import PayloadStore
from conversations.storage.purge import find_orphans, find_unfinished_purges, requeue_purge
from conversations.storage.transactions import Table
from conversations_cli.command_line import Aws, Text, aws_options, report_count
from conversations_cli.erase import erase
from conversations_cli.export import export_conversations
from conversations_cli.import_command import import_conversations
from conversations_cli.key_commands import keys
from conversations_cli.leftovers import leftovers
from conversations_cli.transcripts import list_conversations, show
from conversations_cli.usage import usage

DELETE_OBJECTS_MAX = 1_000
"""Maximum number of objects in one request of S3 that deletes them."""


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object per line."
)


@click.group()
@click.version_option(package_name="lambda-conversations", prog_name="conversations")
def main() -> None:
    """Operate a Conversations API with the AWS credentials of your shell."""


COMMANDS = (
    keys,
    list_conversations,
    show,
    usage,
    export_conversations,
    import_conversations,
    erase,
    leftovers,
)
for command in COMMANDS:
    main.add_command(command)


@main.command()
@click.argument("account")
@click.argument("end_user", default="", type=Text())
@json_option
def owner(account: str, end_user: str, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """Print the identity by which logs, table and bucket name an account or end user.

    END_USER is a value of the header X-On-Behalf-Of. Without END_USER, the command prints the
    identity of the account itself.
    """
    if not ids.is_id(account):
        raise click.UsageError(f"The account must be {ids.ID_RULE}, got '{account}'.")
    identity = ids.owner_of(account, end_user)
    line = {"account": account, "end_user": end_user or None, "owner": identity}
    click.echo(json.dumps(line) if as_json else identity)


@main.group()
def objects() -> None:
    """Manage the bucket of payloads that are too large for a row."""


@objects.command()
@aws_options
@click.option("--table", help="The table of conversations; use with --bucket.")
@click.option("--bucket", help="The bucket of payloads; use with --table.")
@click.option(
    "--hours",
    type=click.IntRange(1),
    default=24,
    show_default=True,
    help="The minimum age of an object. A newer object may belong to a request in flight.",
)
@click.option("--delete", "deletes", is_flag=True, help="Delete the objects.")
@json_option
def orphans(  # noqa: PLR0913, PLR0917 - one parameter an option
    aws: Aws,
    table: str | None,
    bucket: str | None,
    hours: int,
    deletes: bool,  # noqa: FBT001 - click's flag
    as_json: bool,  # noqa: FBT001 - click's flag
) -> None:
    """List the keys of objects that no row names, one per line."""
    if (table is None) != (bucket is None) or (aws.stack is None) == (table is None):
        raise click.UsageError("Use one of --stack, --local, or --table with --bucket.")
    outputs = aws.outputs() if aws.stack else {}
    s3 = aws.session.client("s3")
    with ThreadPoolExecutor(1) as executor:
        payloads = PayloadStore(bucket or outputs["PayloadBucketName"], lambda: s3, executor)
        dynamodb = aws.session.client("dynamodb")
        conversations = Table(dynamodb, table or outputs["ConversationsTableName"])
        cutoff = datetime.now(UTC) - timedelta(hours=hours)
        found = find_orphans(conversations, payloads, cutoff)
        count = 0
        for batch in itertools.batched(found, DELETE_OBJECTS_MAX, strict=False):
            count += len(batch)
            lines = (json.dumps({"object": key}) if as_json else key for key in batch)
            click.echo("\n".join(lines))
            if deletes:
                payloads.delete(batch)
    report_count(count)


@main.group()
def purges() -> None:
    """Manage the purges of deleted conversations."""


@purges.command()
@aws_options
@click.option("--table", help="The table of conversations, instead of --stack.")
@click.option(
    "--hours",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="The minimum time since the deletion, or since the start of an import. A newer purge or"
    " import may be running.",
)
@click.option(
    "--again", "begins", is_flag=True, help="Start the purges of these conversations again."
)
@json_option
def unfinished(
    aws: Aws,
    table: str | None,
    hours: int,
    begins: bool,  # noqa: FBT001 - click's flag
    as_json: bool,  # noqa: FBT001 - click's flag
) -> None:
    """List deleted, expired or partly imported conversations that still have rows, one per line."""
    if (aws.stack is None) == (table is None):
        raise click.UsageError("Use one of --stack, --local or --table.")
    name = table or aws.outputs()["ConversationsTableName"]
    conversations = Table(aws.session.client("dynamodb"), name)
    count, cutoff = 0, datetime.now(UTC) - timedelta(hours=hours)
    for pk in find_unfinished_purges(conversations, cutoff):
        count += 1
        click.echo(json.dumps({"conversation": pk}) if as_json else pk)
        if begins:
            requeue_purge(conversations, pk)
    report_count(count)


if __name__ == "__main__":
    main()
