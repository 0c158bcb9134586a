"""A stack in the course of its life: deployed, changed, removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.e2e.cloud import copy_sources
from tests.e2e.stacks import CONVERSATIONS, MESSAGE, build, delete, deploy

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
"""How to list whatever may hold data, run or cost something, but for tables and queues."""


class Change(NamedTuple):
    """Change a module as a developer does."""

    module: str
    old: str
    new: str

    def make(self, checkout: Path) -> None:
        path = checkout / self.module
        text = path.read_text()
        assert self.old in text
        path.write_text(text.replace(self.old, self.new))


def left(cloud: Cloud) -> set[str]:
    """The names of all that there is in the account."""
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


def test_protected_data_outlives_its_stack(cloud: Cloud, checkout: Path) -> None:
    stack = deploy(cloud, checkout, "lasting", "default")
    made = stack.ask("POST", CONVERSATIONS, stack.new_key(), {"items": [MESSAGE]}).json()

    delete(cloud, "lasting")

    assert len(stack.rows(made["id"])) == 2
