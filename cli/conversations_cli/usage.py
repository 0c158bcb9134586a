"""`conversations usage`: storage by account and end user, and requests by key."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from conversations.auth.api_keys import ApiKeyRepository
from conversations.storage import rows
from conversations.storage.scan import scan_index
from conversations_cli.command_line import table_text
from conversations_cli.data_options import Data, data_command, progress
from conversations_cli.log_query import API_LOG_GROUP, query_api_log

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from conversations.storage.rows import Row
    from conversations_cli.data_options import Show

COLUMNS = ("account", "owner", "conversations", "items", "bytes", "objects")
QUERY = "filter message = 'request' | stats count(*) as requests by key_id"
_FIELDS = "pk, sk, account, #owner, n, slots, #data, #object, deleted_at, expires_at"
_NAMES = {"#owner": "owner", "#data": "data", "#object": "object"}


@dataclass
class Usage:
    """Storage of one owner; *bytes* are those of payloads in rows and of objects."""

    account: str
    owner: str
    conversations: int = 0
    items: int = 0
    bytes: int = 0
    objects: int = 0


@click.command()
@data_command
@click.option(
    "--account", help="Only this account.  [default: all accounts; reads the whole table]"
)
@click.option(
    "--days",
    type=click.IntRange(1, 365),
    default=30,
    show_default=True,
    help="Days for which requests are counted.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def usage(data: Data, account: str | None, days: int, as_json: bool) -> None:  # noqa: FBT001
    """Show the storage of accounts and end users, and the requests of keys.

    The requests are counted in the log of the API function. A local stack has no such log.
    """
    with progress() as show:
        owners = _owners(data, account, show)
    requests: list[dict[str, Any]] | None = None
    try:
        requests = _requests(data, account, days)
    finally:  # If the log cannot be read, print the storage before the error.
        if as_json:
            kept = [dataclasses.asdict(found) for found in owners]
            click.echo(json.dumps({"owners": kept, "requests": requests}))
        else:
            _print_tables(owners, requests, days)


def _print_tables(
    owners: Iterable[Usage], requests: Iterable[Mapping[str, Any]] | None, days: int
) -> None:
    lines = [[str(dataclasses.asdict(found)[name]) for name in COLUMNS] for found in owners]
    click.echo(table_text([COLUMNS, *lines]))
    if requests is not None:
        by_key = [[found["key_id"], found["account"], str(found["requests"])] for found in requests]
        click.echo(f"\nRequests of the last {days} days:")
        click.echo(table_text([("key_id", "account", "requests"), *by_key]))


def _owners(data: Data, account: str | None, show: Show) -> list[Usage]:
    found: dict[str, Usage] = {}
    partitions = _all_partitions(data) if account is None else _partitions(data, account)
    for number, partition in enumerate(partitions, 1):
        _add(found, partition)
        show(f"{number:,} conversations read")
    for owner in found if account else [""]:
        _add_objects(data, owner, found)
    return sorted(found.values(), key=lambda usage: (usage.account, usage.owner))


def _add(found: dict[str, Usage], partition: Iterable[Row]) -> None:
    """Add the rows of a conversation if it is live; the conversation row precedes its batches."""
    usage = None
    for row in filter(rows.is_live, partition):
        if row["sk"]["S"] == rows.CONVERSATION_SK:
            owner = row["owner"]["S"]
            usage = found.setdefault(owner, Usage(row["account"]["S"], owner))
            usage.conversations += 1
        elif usage and row["sk"]["S"].startswith(rows.BATCH_PREFIX):
            usage.items += len(rows.live_slots(row))
            usage.bytes += len(row["data"]["B"]) if "data" in row else 0


def _add_objects(data: Data, owner: str, found: Mapping[str, Usage]) -> None:
    """Add the objects of an owner, or of all owners if it is empty."""
    pages = data.s3.get_paginator("list_objects_v2").paginate(Bucket=data.bucket, Prefix=owner)
    for page in pages:
        for entry in page.get("Contents", []):
            if usage := found.get(entry["Key"].partition("/")[0]):
                usage.objects += 1
                usage.bytes += entry["Size"]


def _all_partitions(data: Data) -> Iterator[Iterator[Row]]:
    pages = data.table.dynamodb.get_paginator("scan").paginate(
        TableName=data.table.name,
        ProjectionExpression=_FIELDS,
        ExpressionAttributeNames=_NAMES,
    )
    found = (row for page in pages for row in page["Items"])
    for _, partition in itertools.groupby(found, key=lambda row: row["pk"]["S"]):
        yield partition


def _partitions(data: Data, account: str) -> Iterator[Iterable[Row]]:
    for pk in scan_index(data.table, account, None):
        pages = data.table.dynamodb.get_paginator("query").paginate(
            TableName=data.table.name,
            KeyConditionExpression="pk = :pk",
            ProjectionExpression=_FIELDS,
            ExpressionAttributeNames=_NAMES,
            ExpressionAttributeValues={":pk": {"S": pk}},
        )
        yield (row for page in pages for row in page["Items"])


def _requests(data: Data, account: str | None, days: int) -> list[dict[str, Any]] | None:
    """Return requests by key from the log of the API function; None if there is no log.

    Raises:
        click.ClickException, ClientError: the log could not be read.
    """
    if data.aws.stack is None or API_LOG_GROUP not in (outputs := data.aws.outputs()):
        return None
    counts: dict[str, int] = defaultdict(int)
    for row in query_api_log(data.aws, QUERY, days):
        counts[row.get("key_id", "")] += int(row["requests"])
    dynamodb = data.aws.session.client("dynamodb")
    keys = ApiKeyRepository(dynamodb, outputs["ApiKeysTableName"])
    accounts = {key.key_id: key.account for key in keys.list_all()}
    return [
        {"key_id": key_id, "account": accounts.get(key_id, ""), "requests": counts[key_id]}
        for key_id in sorted(counts)
        if account in {None, accounts.get(key_id)}
    ]
