"""Life of a stack: deployed, updated, rolled back, removed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import pytest

from local.intrinsics import Intrinsics, mapping, read_document, section
from local.template import TEMPLATE
from tests.e2e.cloud import copy_sources
from tests.e2e.stacks import CONVERSATIONS, LARGE, MESSAGE, build, delete, deploy
from tests.e2e.waiting import is_soon

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.cloud import Cloud
    from tests.e2e.stacks import Stack

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
    made = stack.ask("POST", CONVERSATIONS, key, {"items": [MESSAGE]}).json()
    path = f"{CONVERSATIONS}/{made['id']}"
    changed = copy_sources(tmp_path)
    change.make(changed)
    build(cloud, changed)

    stack = deploy(cloud, changed, "changing", "dev")

    page = stack.ask("GET", f"{path}/items", key)
    responses = [stack.ask("DELETE", path, key), stack.ask("GET", path, key)]
    assert page.json()["data"][0]["content"] == MESSAGE["content"]
    assert [change.new.strip("'") in response.text for response in responses].count(True) == 1


@pytest.mark.usefixtures("stack")  # the first stack makes the SAM CLI's bucket, which stays
def test_deleted_stack_leaves_nothing(cloud: Cloud, checkout: Path) -> None:
    before = left(cloud)
    stack = deploy(cloud, checkout, "passing", "dev")
    assert stack.ask("GET", CONVERSATIONS, stack.new_key()).status_code == 200

    delete(cloud, "passing")

    assert left(cloud) == before


STORES = {
    "ConversationsTable": ("TableName", "ConversationsTableName"),
    "ApiKeysTable": ("TableName", "ApiKeysTableName"),
    "PayloadBucket": ("BucketName", "PayloadBucketName"),
}
"""Resources with data: the property that identifies each, and the output that names it."""


def adopt(cloud: Cloud, lost: Stack) -> None:
    """Import what a deleted stack left into a new one, by the runbook's "A whole stack", step 5.

    The new stack has the name of the old one. Under another name, the next deployment would replace
    the tables, because MiniStack derives their names from that of the stack.
    """
    document = read_document(TEMPLATE)
    resolve = Intrinsics(document, {}).resolve
    stores = {store: mapping(section(document, "Resources")[store]) for store in STORES}
    adopted = {
        store: {
            "Type": given["Type"],
            "DeletionPolicy": "Retain",
            "Properties": resolve(given["Properties"]),
        }
        for store, given in stores.items()
    }
    cloudformation = cloud.aws("cloudformation")
    change_set = {"StackName": lost.name, "ChangeSetName": "adopt"}
    cloudformation.create_change_set(
        **change_set,
        ChangeSetType="IMPORT",
        TemplateBody=json.dumps({"Resources": adopted}),
        ResourcesToImport=[
            {
                "ResourceType": stores[store]["Type"],
                "LogicalResourceId": store,
                "ResourceIdentifier": {identifier: lost.outputs[output]},
            }
            for store, (identifier, output) in STORES.items()
        ],
    )
    cloudformation.get_waiter("change_set_create_complete").wait(
        **change_set, WaiterConfig={"Delay": 1}
    )
    cloudformation.execute_change_set(**change_set)
    cloudformation.get_waiter("stack_import_complete").wait(
        StackName=lost.name, WaiterConfig={"Delay": 1}
    )


def test_a_new_stack_adopts_the_data_that_outlived_its_stack(cloud: Cloud, checkout: Path) -> None:
    lost = deploy(cloud, checkout, "lasting", "default")
    key = lost.new_key()
    made = lost.ask("POST", CONVERSATIONS, key, {"items": [MESSAGE, LARGE]}).json()
    path = f"{CONVERSATIONS}/{made['id']}"
    items = lost.ask("GET", f"{path}/items", key).json()

    delete(cloud, "lasting")
    assert len(lost.rows(made["id"])) == 2
    adopt(cloud, lost)
    found = deploy(cloud, checkout, "lasting", "default")

    assert {name: found.outputs[name] for _, name in STORES.values()} == {
        name: lost.outputs[name] for _, name in STORES.values()
    }
    assert found.ask("GET", f"{path}/items", key).json() == items
    found.ask("DELETE", path, key)
    assert is_soon(lambda: found.rows(made["id"]) == ["c"], seconds=60)
