"""The commands on conversations, with `--stack`, on the deployed stack."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.e2e.cloud import CLI
from tests.e2e.stacks import CONVERSATIONS, LARGE
from tests.support.http_helpers import HELLO

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.stacks import Stack

ACCOUNT = ("--account", "data")
ANN, EVE = ((*ACCOUNT, "--end-user", name) for name in ("ann", "eve"))


def printed(stack: Stack, command: str, *arguments: str | Path) -> list[Any]:
    """Return the values that a command prints as JSON, one on each line."""
    lines = stack.cloud.run(CLI, command, *arguments, "--json").splitlines()
    return [json.loads(line) for line in lines]


def test_data_commands_find_table_and_bucket_by_the_stack(stack: Stack, tmp_path: Path) -> None:
    key = stack.keys("create", *ACCOUNT, "--name", "e2e", "--delegate")["key"]
    body = {"items": [HELLO, LARGE]}
    made = stack.request("POST", CONVERSATIONS, key, body, **{"X-On-Behalf-Of": "ann"}).json()["id"]

    at = ("--stack", stack.name)
    [listed] = printed(stack, "list", *at, *ANN)
    shown = printed(stack, "show", *at, *ACCOUNT, made)
    [exported] = printed(stack, "export", *at, *ANN, "--out", tmp_path / "out.gz")
    [imported] = printed(stack, "import", *at, *EVE, tmp_path / "out.gz")
    # MiniStack's queries of a log lack `stats`: with --stack, usage would read the log.
    table, bucket = (
        stack.outputs[name] for name in ("ConversationsTableName", "PayloadBucketName")
    )
    [usage] = printed(stack, "usage", "--table", table, "--bucket", bucket, *ACCOUNT)
    [receipt] = printed(stack, "erase", *at, *ACCOUNT, "--all-end-users", "--yes")

    assert listed["id"] == made
    assert [item["content"] for item in shown] == [HELLO["content"], LARGE["content"]]
    assert (exported["conversations"], exported["items"]) == (1, 2)
    assert (imported["imported"], imported["items"]) == (1, 2)
    assert [(owner["items"], owner["objects"]) for owner in usage["owners"]] == [(2, 1), (2, 1)]
    assert receipt["conversations"] == 2
    # MiniStack drops the lifecycle of the bucket, which has versioning.
    assert receipt["objects_restorable_until"] == "forever"
    assert (stack.rows(made), stack.objects(made)) == (["C", "C"], [])
