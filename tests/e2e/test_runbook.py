"""Procedures of the runbook, with the commands of the page, as far as MiniStack supports them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from conversations import ids
from tests.e2e import runbook
from tests.e2e.stacks import CONVERSATIONS, LARGE
from tests.e2e.waiting import is_soon
from tests.support.http_helpers import HELLO

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.stacks import Stack

RESTORE = "aws dynamodb restore-table-to-point-in-time"
MOMENT = "2027-01-31T12:00:00"
"""Time on the page. MiniStack restores a table as it is now, whatever the time."""


@runbook.NEEDS_JQ
def test_some_conversations_can_be_restored(stack: Stack, key: str, tmp_path: Path) -> None:
    made = stack.request("POST", CONVERSATIONS, key, {"items": [HELLO]}).json()["id"]
    path = f"{CONVERSATIONS}/{made}"
    stack.request("POST", f"{path}/items", key, {"items": [LARGE]})
    before = stack.request("GET", f"{path}/items", key).json()
    title = "Some conversations"
    names = runbook.block(title, "TABLE=").partition("\n")[0] + "\n"
    restore, query, copy = runbook.block(title, RESTORE).partition("aws dynamodb query")
    runbook.run(stack, tmp_path, names, restore)
    stack.request("DELETE", path, key)
    assert is_soon(lambda: stack.rows(made) == ["C"], seconds=60)
    assert stack.objects(made) == []

    objects = runbook.block(title, "TABLE=")
    end = "aws dynamodb delete-table --table-name conversations-past\n"
    assert f"`{end.strip()}`" in runbook.PAGE
    pk = f"{ids.owner_of('acme', '')}/{made}"
    runbook.run(stack, tmp_path, objects, query + copy, end, PK=pk)

    assert stack.request("GET", f"{path}/items", key).json() == before


def test_a_table_and_objects_can_be_restored(stack: Stack, key: str, tmp_path: Path) -> None:
    made = stack.request("POST", CONVERSATIONS, key, {"items": [LARGE]}).json()["id"]
    title = "A whole stack"

    runbook.run(stack, tmp_path, runbook.block(title, RESTORE))
    stack.request("DELETE", f"{CONVERSATIONS}/{made}", key)
    assert is_soon(lambda: stack.objects(made) == [], seconds=60)
    bucket = stack.outputs["PayloadBucketName"]
    markers = stack.cloud.aws("s3").list_object_versions(Bucket=bucket)["DeleteMarkers"]
    [deleted_at] = [each["LastModified"] for each in markers if made in each["Key"]]
    same_second = deleted_at.strftime("%Y-%m-%dT%H:%M:%S")
    runbook.run(stack, tmp_path, runbook.block(title, "BUCKET="), **{MOMENT: same_second})

    dynamodb = stack.cloud.aws("dynamodb")
    original, restored = (
        dynamodb.describe_table(TableName=name)["Table"]
        for name in (stack.outputs["ConversationsTableName"], "conversations-restored")
    )
    for same in ("StreamSpecification", "KeySchema", "BillingModeSummary"):
        assert restored[same] == original[same]
    assert restored["DeletionProtectionEnabled"]
    expiry = dynamodb.describe_time_to_live(TableName="conversations-restored")
    assert expiry["TimeToLiveDescription"]["AttributeName"] == "expires_at"
    assert len(stack.objects(made)) == 1
    delete = runbook.block("Tables and buckets that remain", "aws dynamodb update-table")
    runbook.run(stack, tmp_path, delete, TABLE="conversations-restored")
    assert "conversations-restored" not in dynamodb.list_tables()["TableNames"]


def test_functions_can_be_pointed_to_an_older_version(stack: Stack, tmp_path: Path) -> None:
    title = "Roll back"

    listed = runbook.run(stack, tmp_path, runbook.block(title, "for f in"))
    runbook.run(stack, tmp_path, runbook.block(title, "aws lambda update-alias"), VERSION="1")

    assert [line for line in listed.splitlines() if line.endswith("FunctionName")] == [
        "ApiFunctionName",
        "AuthorizerFunctionName",
        "PurgeFunctionName",
    ]
    assert listed.count("\n1\tNone\n") == 3  # the current version, without another one's weight


def test_versions_of_a_release_that_was_rolled_back_can_be_deleted(
    stack: Stack, tmp_path: Path
) -> None:
    lambdas = stack.cloud.aws("lambda")
    function = {"FunctionName": stack.outputs["ApiFunctionName"]}

    def versions() -> list[str]:
        return [
            each["Version"] for each in lambdas.list_versions_by_function(**function)["Versions"]
        ]

    before = versions()
    lambdas.update_function_configuration(**function, Description="a release")
    lambdas.publish_version(**function)
    between = versions()
    title = "Delete the versions of a release that was rolled back"
    runbook.run(stack, tmp_path, runbook.block(title, "for f in"), "sh delete.sh\n")

    assert len(between) == len(before) + 1
    assert versions() == before


def test_the_queue_and_the_event_source_of_purges(stack: Stack, tmp_path: Path) -> None:
    queue = stack.outputs["PurgeFailuresQueueUrl"]
    sqs = stack.cloud.aws("sqs")
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"requestContext": {}}))

    read = runbook.run(stack, tmp_path, runbook.block("dead-letters", "aws sqs receive-message"))
    listed = runbook.run(stack, tmp_path, runbook.block("purge-age", "aws lambda list-event"))
    runbook.run(stack, tmp_path, runbook.block("dead-letters", "aws sqs purge-queue"))

    assert json.loads(read) == {"requestContext": {}}
    assert listed.split("\t")[1] == "Enabled"
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)
