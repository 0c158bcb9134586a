"""Life of a stack: deployed, updated, rolled back, removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.e2e import runbook
from tests.e2e.cloud import copy_sources
from tests.e2e.stacks import CONVERSATIONS, LARGE, build, deploy
from tests.e2e.waiting import is_soon
from tests.support.http_helpers import HELLO

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.cloud import Cloud

KINDS = (
    ("apigateway", "get_rest_apis", "items", "name"),
    ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    ("iam", "list_roles", "Roles", "RoleName"),
    ("lambda", "list_event_source_mappings", "EventSourceMappings", "UUID"),
    ("lambda", "list_functions", "Functions", "FunctionName"),
    ("lambda", "list_layers", "Layers", "LayerName"),
    ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    ("s3", "list_buckets", "Buckets", "Name"),
)
"""How to list resources that contain data, run code or cost money, except tables and queues."""


class Change(NamedTuple):
    """Change a module, as a developer would."""

    module: str
    old: str
    new: str

    def make(self, checkout: Path) -> None:
        path = checkout / self.module
        text = path.read_text()
        assert self.old in text
        path.write_text(text.replace(self.old, self.new))


def left(cloud: Cloud) -> set[str]:
    """Return the names of all resources in the account."""
    names = {
        str(each[name])
        for service, operation, listed, name in KINDS
        for each in getattr(cloud.aws(service), operation)()[listed]
    }
    queues = cloud.aws("sqs").list_queues().get("QueueUrls", [])
    return {*names, *queues, *cloud.aws("dynamodb").list_tables()["TableNames"]}


@pytest.mark.parametrize(
    "change",
    [
        Change("functions/api/app.py", "rendering.deleted_json(conversation_id)", "'{\"gone\":1}'"),
        Change("layers/conversations/conversations/errors.py", '"not_found_error"', '"lost_error"'),
    ],
    ids=["function", "layer"],
)
def test_changed_code_takes_over_and_the_data_stays(
    cloud: Cloud, checkout: Path, tmp_path: Path, change: Change
) -> None:
    stack = deploy(cloud, checkout, "changing", "dev")
    key = stack.new_key()
    made = stack.request("POST", CONVERSATIONS, key, {"items": [HELLO]}).json()
    path = f"{CONVERSATIONS}/{made['id']}"
    changed = copy_sources(tmp_path)
    change.make(changed)
    build(cloud, changed)

    stack = deploy(cloud, changed, "changing", "dev")

    page = stack.request("GET", f"{path}/items", key)
    responses = [stack.request("DELETE", path, key), stack.request("GET", path, key)]
    assert page.json()["data"][0]["content"] == HELLO["content"]
    assert [change.new.strip("'") in response.text for response in responses].count(True) == 1


@pytest.mark.usefixtures("stack")  # the first stack makes the SAM CLI's bucket, which stays
def test_deleted_stack_leaves_nothing(cloud: Cloud, checkout: Path, tmp_path: Path) -> None:
    before = left(cloud)
    stack = deploy(cloud, checkout, "passing", "dev")
    key = stack.new_key()
    kept, deleted = (
        stack.request("POST", CONVERSATIONS, key, {"items": [LARGE]}).json()["id"] for _ in range(2)
    )
    stack.request("DELETE", f"{CONVERSATIONS}/{deleted}", key)
    assert is_soon(lambda: stack.objects(deleted) == [], seconds=60)
    assert len(stack.objects(kept)) == 1

    title = "Delete a stack"
    check = runbook.block(title, "PROTECTED=")
    empty, delete, rest = runbook.block(title, "BUCKET=").partition(
        "aws cloudformation delete-stack"
    )
    runbook.run(stack, tmp_path, check, empty)
    versions = cloud.aws("s3").list_object_versions(Bucket=stack.outputs["PayloadBucketName"])
    assert not versions.keys() & {"Versions", "DeleteMarkers"}
    runbook.run(stack, tmp_path, delete + rest)

    assert left(cloud) == before


STORES = ("ConversationsTableName", "ApiKeysTableName", "PayloadBucketName")
"""Outputs that name the resources with data."""


@runbook.NEEDS_JQ
def test_a_new_stack_adopts_the_data_that_outlived_its_stack(
    cloud: Cloud, checkout: Path, tmp_path: Path
) -> None:
    """Follow the runbook's "A whole stack", from step 4.

    The new stack has the name of the old one. Under another name, the next deployment would replace
    the tables, because MiniStack derives their names from that of the stack.
    """
    lost = deploy(cloud, checkout, "lasting", "default")
    key = lost.new_key()
    made = lost.request("POST", CONVERSATIONS, key, {"items": [HELLO, LARGE]}).json()
    path = f"{CONVERSATIONS}/{made['id']}"
    items = lost.request("GET", f"{path}/items", key).json()
    title = "A whole stack"

    steps = (
        runbook.block(title, "aws cloudformation get-template"),
        runbook.block(title, "aws cloudformation delete-stack"),
    )
    runbook.run(lost, tmp_path, *steps)
    assert len(lost.rows(made["id"])) == 2
    names = {
        "STACK2": "lasting",
        "conversations-restored": lost.outputs["ConversationsTableName"],
        "API_KEYS_TABLE": lost.outputs["ApiKeysTableName"],
        "PAYLOAD_BUCKET": lost.outputs["PayloadBucketName"],
    }
    adopt = runbook.block(title, "aws cloudformation create-change-set")
    runbook.run(lost, tmp_path, adopt, **names)
    found = deploy(cloud, checkout, "lasting", "default")

    for output in STORES:
        assert found.outputs[output] == lost.outputs[output]
    assert found.request("GET", f"{path}/items", key).json() == items
    found.request("DELETE", path, key)
    assert is_soon(lambda: found.rows(made["id"]) == ["C"], seconds=60)
