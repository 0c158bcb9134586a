"""`conversations owner`, `leftovers` and `--version`, on moto."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import TYPE_CHECKING

import boto3
import pytest
from click.testing import CliRunner, Result

from conversations import ids
from conversations_cli.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import DevStack

TABLE = {
    "Type": "AWS::DynamoDB::Table",
    "DeletionPolicy": "Retain",
    "Properties": {
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "DeletionProtectionEnabled": True,
    },
}
BUCKET = {
    "Type": "AWS::S3::Bucket",
    "DeletionPolicy": "Retain",
    "Properties": {"VersioningConfiguration": {"Status": "Enabled"}},
}
BODY = json.dumps({"Resources": {"T": TABLE, "B": BUCKET, "Q": {"Type": "AWS::SQS::Queue"}}})


def invoke(*arguments: str) -> Result:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result


def test_owner_is_the_identity_that_rows_have() -> None:
    assert invoke("owner", "acme").stdout == ids.owner_of("acme", "") + "\n"
    assert json.loads(invoke("owner", "acme", "user-1", "--json").stdout) == {
        "account": "acme",
        "end_user": "user-1",
        "owner": ids.owner_of("acme", "user-1"),
    }


def test_owner_of_what_is_no_account_is_rejected() -> None:
    result = CliRunner().invoke(main, ["owner", "no:account"])

    assert result.exit_code == 2
    assert "The account must be 1 to 64" in result.stderr


def test_version_is_the_projects() -> None:
    assert version("lambda-conversations") in invoke("--version").stdout


@pytest.fixture
def left(stack: DevStack) -> Iterator[dict[str, str]]:
    """Return the table and the bucket of a deleted stack, by kind."""
    with stack.engine.lock:
        cloudformation = boto3.client("cloudformation")
        cloudformation.create_stack(StackName="gone", TemplateBody=BODY)
        made = cloudformation.list_stack_resources(StackName="gone")["StackResourceSummaries"]
        cloudformation.delete_stack(StackName="gone")
        names = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in made}
        yield {"table": names["T"], "bucket": names["B"]}


def leftovers(*options: str) -> dict[str, str]:
    """Return the state of each leftover by its name."""
    found = [
        json.loads(line) for line in invoke("leftovers", "--json", *options).stdout.splitlines()
    ]
    return {each["name"]: each["state"] for each in found}


def test_what_a_deleted_stack_left_is_shown_and_deleted(left: dict[str, str]) -> None:
    shown = leftovers("--stack", "gone")
    deleted = leftovers("--stack", "gone", "--delete")
    again = invoke("leftovers", "--stack", "gone")

    assert shown == {left["table"]: "empty", left["bucket"]: "empty"}
    assert set(deleted.values()) == {"deleted"}
    assert (again.stdout, again.stderr) == ("", "0 found\n")


def test_what_holds_data_is_kept(left: dict[str, str]) -> None:
    boto3.client("dynamodb").put_item(TableName=left["table"], Item={"pk": {"S": "a"}})
    boto3.client("s3").put_object(Bucket=left["bucket"], Key="a", Body=b"")

    states = leftovers("--stack", "gone", "--delete")

    assert states == {left["table"]: "has data", left["bucket"]: "has data"}
    assert left["table"] in invoke("leftovers", "--stack", "gone").stdout


def test_what_another_stack_has_is_none_of_its_leftovers(left: dict[str, str]) -> None:
    cloudformation = boto3.client("cloudformation")
    cloudformation.create_stack(StackName="living", TemplateBody=BODY)

    assert leftovers("--stack", "living") == {}
    cloudformation.delete_stack(StackName="living")
    assert left["table"] not in leftovers("--stack", "living")


def test_leftovers_need_the_name_of_a_stack() -> None:
    result = CliRunner().invoke(main, ["leftovers"])

    assert result.exit_code == 2
    assert "Use --stack" in result.stderr
