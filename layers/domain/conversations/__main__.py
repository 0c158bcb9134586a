"""The operator's command line: `conversations keys create|list|revoke`."""

from __future__ import annotations

import dataclasses
import json
import time
from typing import cast

import boto3
import click

from conversations.api_keys import SCOPES, ApiKey, ApiKeys, Scope

SECONDS_A_DAY = 86_400


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
    context.obj = ApiKeys(boto3.client("dynamodb"), table or _table_of(cast("str", stack)))


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


def _table_of(stack: str) -> str:
    answer = boto3.client("cloudformation").describe_stacks(StackName=stack)
    outputs: list[dict[str, str]] = answer["Stacks"][0].get("Outputs", [])
    return next(
        output["OutputValue"] for output in outputs if output["OutputKey"] == "ApiKeysTableName"
    )


def _fields(record: ApiKey) -> dict[str, object]:
    return {**dataclasses.asdict(record), "scopes": sorted(record.scopes)}


if __name__ == "__main__":
    main()
