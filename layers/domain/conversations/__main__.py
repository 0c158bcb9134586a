"""The operator's command line: `conversations keys ...` and `conversations objects ...`."""

from __future__ import annotations

import dataclasses
import itertools
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import cast

import boto3
import click

from conversations.api_keys import SCOPES, ApiKey, ApiKeys, Scope
from conversations.payloads import PayloadBucket
from conversations.purging import find_orphans
from conversations.transactions import Table

SECONDS_A_DAY = 86_400
REMOVED_AT_ONCE = 1_000
"""Objects that S3 removes in one request."""


@click.group()
def main() -> None:
    """Operate a Conversations API, with the AWS credentials of your shell."""


@main.group()
@click.option("--stack", help="The CloudFormation stack, whose outputs name the table of keys.")
@click.option("--table", help="The table of keys itself.")
@click.pass_context
def keys(context: click.Context, stack: str | None, table: str | None) -> None:
    """Issue API keys, list them and revoke them."""
    if (stack is None) == (table is None):
        raise click.UsageError("Give either --stack or --table.")
    context.obj = ApiKeys(
        boto3.client("dynamodb"), table or _outputs_of(cast("str", stack))["ApiKeysTableName"]
    )


@keys.command()
@click.option("--account", required=True, help="Whose conversations the key opens.")
@click.option("--name", required=True, help="What the key is for, for people.")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(sorted(SCOPES)),
    multiple=True,
    default=sorted(SCOPES),
    help="What the key may do; may be repeated. [default: all]",
)
@click.option(
    "--delegate/--no-delegate", help="Whether X-On-Behalf-Of is obeyed. [default: no-delegate]"
)
@click.option("--days", type=click.IntRange(1), help="The key's life. [default: no end]")
@click.pass_obj
def create(  # noqa: PLR0913, PLR0917 - one parameter an option
    api_keys: ApiKeys,
    account: str,
    name: str,
    scopes: tuple[Scope, ...],
    delegate: bool,  # noqa: FBT001 - click's flag
    days: int | None,
) -> None:
    """Issue a key and show it, for the only time."""
    try:
        key, record = api_keys.create(
            account=account,
            name=name,
            scopes=frozenset(scopes),
            may_delegate=delegate,
            expires_at=None if days is None else int(time.time()) + days * SECONDS_A_DAY,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    click.echo(json.dumps({"key": key, **_fields(record)}))


@keys.command("list")
@click.pass_obj
def list_keys(api_keys: ApiKeys) -> None:
    """Show every key ever issued, one JSON object a line, the oldest first."""
    for record in sorted(api_keys.all(), key=lambda record: record.created_at):
        click.echo(json.dumps(_fields(record)))


@keys.command()
@click.argument("key_id")
@click.pass_obj
def revoke(api_keys: ApiKeys, key_id: str) -> None:
    """Close a key for good; it is refused within 60 seconds."""
    record = api_keys.revoke(key_id)
    if record is None:
        raise click.ClickException(f"There is no key '{key_id}'.")
    click.echo(json.dumps(_fields(record)))


@main.group()
def objects() -> None:
    """Look after the bucket of payloads that are too large for a row."""


@objects.command()
@click.option("--stack", help="The CloudFormation stack, whose outputs name table and bucket.")
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
    stack: str | None,
    table: str | None,
    bucket: str | None,
    hours: int,
    deletes: bool,  # noqa: FBT001 - click's flag
) -> None:
    """Show the keys of objects that no row names, one a line."""
    if (table is None) != (bucket is None) or (stack is None) == (table is None):
        raise click.UsageError("Give either --stack, or --table and --bucket.")
    outputs = _outputs_of(stack) if stack else {}
    s3 = boto3.client("s3")
    with ThreadPoolExecutor(1) as executor:
        payloads = PayloadBucket(bucket or outputs["PayloadBucketName"], lambda: s3, executor)
        conversations = Table(boto3.client("dynamodb"), table or outputs["ConversationsTableName"])
        moment = datetime.now(UTC) - timedelta(hours=hours)
        found = find_orphans(conversations, payloads, moment)
        for batch in itertools.batched(found, REMOVED_AT_ONCE, strict=False):
            click.echo("\n".join(batch))
            if deletes:
                payloads.remove(batch)


def _outputs_of(stack: str) -> dict[str, str]:
    answer = boto3.client("cloudformation").describe_stacks(StackName=stack)
    outputs: list[dict[str, str]] = answer["Stacks"][0].get("Outputs", [])
    return {output["OutputKey"]: output["OutputValue"] for output in outputs}


def _fields(record: ApiKey) -> dict[str, object]:
    return {**dataclasses.asdict(record), "scopes": sorted(record.scopes)}


if __name__ == "__main__":
    main()
