"""`conversations leftovers`: tables and buckets of a deleted stack."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import click

from conversations_cli.command_line import Aws, aws_options, report_count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_cloudformation.client import CloudFormationClient

GONE = (
    "DELETE_COMPLETE",
    "DELETE_FAILED",
    "ROLLBACK_COMPLETE",
    "ROLLBACK_FAILED",
)
"""States of a stack that is deleted, or was never created completely."""
KINDS = {"AWS::DynamoDB::Table": "table", "AWS::S3::Bucket": "bucket"}


class Leftover(NamedTuple):
    """A table or bucket without a stack."""

    kind: str
    name: str
    is_empty: bool


@click.command()
@aws_options
@click.option("--delete", "deletes", is_flag=True, help="Delete the empty tables and buckets.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def leftovers(aws: Aws, deletes: bool, as_json: bool) -> None:  # noqa: FBT001 - click's flags
    """List the tables and buckets that a deleted stack left behind, one per line.

    A stack with DeletionProtection leaves them when it is deleted, or when its first deployment
    fails. --delete never deletes a table or bucket that has data or belongs to another stack.
    """
    if aws.is_local:
        raise click.UsageError(
            "The stack of `make run` leaves no tables or buckets: its data is in the folder --data."
            " To remove it, stop `make run` and delete the folder."
        )
    if aws.stack is None:
        raise click.UsageError("Use --stack with the name of the deleted stack.")
    found = [*_leftovers(aws)]
    for each in found:
        state = "empty" if each.is_empty else "has data"
        if deletes and each.is_empty:
            _delete(aws, each)
            state = "deleted"
        line = {"kind": each.kind, "name": each.name, "state": state}
        click.echo(json.dumps(line) if as_json else f"{each.kind:8}{each.name}  {state}")
    report_count(len(found))


def _leftovers(aws: Aws) -> Iterator[Leftover]:
    cloudformation = aws.session.client("cloudformation")
    stacks = [*_stacks(cloudformation)]
    owned = {
        store
        for stack_id, _, status in stacks
        if status not in GONE
        for store in _stores(cloudformation, stack_id)
    }
    left = {
        store
        for stack_id, name, status in stacks
        if status in GONE and name == aws.stack
        for store in _stores(cloudformation, stack_id)
    }
    for kind, name in sorted(left - owned):
        is_empty = (_is_empty_table if kind == "table" else _is_empty_bucket)(aws, name)
        if is_empty is not None:
            yield Leftover(kind, name, is_empty)


def _stacks(cloudformation: CloudFormationClient) -> Iterator[tuple[str, str, str]]:
    """Yield id, name and status of every stack, including those deleted in the last 90 days."""
    for page in cloudformation.get_paginator("list_stacks").paginate():
        for stack in page["StackSummaries"]:
            yield stack["StackId"], stack["StackName"], stack["StackStatus"]


def _stores(cloudformation: CloudFormationClient, stack_id: str) -> Iterator[tuple[str, str]]:
    """Yield kind and name of each table and bucket that a stack created."""
    for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack_id):
        for resource in page["StackResourceSummaries"]:
            kind = KINDS.get(resource["ResourceType"])
            if kind and (name := resource.get("PhysicalResourceId")):
                yield kind, name


def _is_empty_table(aws: Aws, name: str) -> bool | None:
    """Return whether a table has no row; None if the table does not exist."""
    dynamodb = aws.session.client("dynamodb")
    try:
        return dynamodb.scan(TableName=name, Limit=1, ConsistentRead=True)["Count"] == 0
    except dynamodb.exceptions.ResourceNotFoundException:
        return None


def _is_empty_bucket(aws: Aws, name: str) -> bool | None:
    """Return whether a bucket has no object and no old version; None if it does not exist."""
    s3 = aws.session.client("s3")
    try:
        listed = s3.list_object_versions(Bucket=name, MaxKeys=1)
    except s3.exceptions.NoSuchBucket:
        return None
    return not (listed.get("Versions") or listed.get("DeleteMarkers"))


def _delete(aws: Aws, store: Leftover) -> None:
    if store.kind == "bucket":
        aws.session.client("s3").delete_bucket(Bucket=store.name)
        return
    dynamodb = aws.session.client("dynamodb")
    dynamodb.update_table(TableName=store.name, DeletionProtectionEnabled=False)
    dynamodb.get_waiter("table_exists").wait(TableName=store.name)
    dynamodb.delete_table(TableName=store.name)
