"""IAM is enforced, and a function needs each action that its role grants."""

from __future__ import annotations

import copy
import json
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from local.intrinsics import items, mapping, read_document, section
from local.template import TEMPLATE
from tests.e2e.stacks import CONVERSATIONS, LARGE
from tests.e2e.waiting import is_soon
from tests.support.http_helpers import HELLO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.stacks import Stack

NOT_ASKED_FOR = {
    ("Log", "logs:CreateLogStream"),
    ("Log", "logs:PutLogEvents"),
    ("ReadStream", "dynamodb:DescribeStream"),
    ("ReadStream", "dynamodb:GetRecords"),
    ("ReadStream", "dynamodb:GetShardIterator"),
    ("ReadStream", "dynamodb:ListStreams"),
    ("ReportFailures", "sqs:SendMessage"),
    ("RemoveRows", "dynamodb:UpdateItem"),
}
"""Granted actions that this test cannot check: Lambda's own, which MiniStack does not check, and
those of a purge that runs out of time, which takes a larger conversation."""


def grants() -> Iterator[tuple[str, str, str]]:
    """Return each role, statement and action of the template."""
    for role, resource in section(read_document(TEMPLATE), "Resources").items():
        if mapping(resource)["Type"] != "AWS::IAM::Role" or "Condition" in mapping(resource):
            continue
        [policy] = items(section(mapping(resource), "Properties")["Policies"])
        for statement in items(section(mapping(policy), "PolicyDocument")["Statement"]):
            if "Fn::If" in mapping(statement):  # tracing, which is off
                continue
            for action in items(mapping(statement)["Action"]):
                yield role, str(mapping(statement)["Sid"]), str(action)


@contextmanager
def role_without(stack: Stack, role: str, sid: str, action: str) -> Iterator[None]:
    """Remove an action from a deployed role for the block."""
    iam, name = stack.cloud.aws("iam"), stack.resource(role)
    [policy] = iam.list_role_policies(RoleName=name)["PolicyNames"]
    granted = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]

    def put(document: Any) -> None:
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))

    lesser = copy.deepcopy(granted)
    [statement] = [each for each in lesser["Statement"] if each["Sid"] == sid]
    statement["Action"].remove(action)
    lesser["Statement"] = [each for each in lesser["Statement"] if each["Action"]]
    put(lesser)
    try:
        yield
    finally:
        put(granted)


class HinderedError(Exception):
    """Failure of the service during the test's requests."""


def use_everything(stack: Stack, key: str) -> str:
    """Create a conversation, use every route, and delete it.

    Raises:
        HinderedError: a response is a failure of the service.
    """

    def send(method: str, path: str, body: object = None, **headers: str) -> Any:
        response = stack.request(method, CONVERSATIONS + path, key, body, **headers)
        if response.status_code >= 500:
            raise HinderedError(f"{method} {path}: {response.status_code} {response.text}")
        return response.json()

    other = send("POST", "", {"items": [HELLO]}, **{"Idempotency-Key": secrets.token_hex(8)})
    copied = send("GET", f"/{other['id']}/items")["data"]
    conversation_id = str(send("POST", "", {})["id"])
    path = f"/{conversation_id}"
    batch = {"items": [{**HELLO, "id": "mine"}, LARGE, *copied]}
    send("POST", f"{path}/items", batch)
    send("POST", f"{path}/items", batch)  # rejected, after its payload was spilled
    send("POST", f"{path}/items", {"items": [HELLO]})
    send("GET", f"{path}/items")
    send("GET", f"{path}/items?after=mine")
    send("DELETE", f"{path}/items/mine")
    last = send("GET", f"{path}/items?order=desc&limit=1")["data"]
    send("DELETE", f"{path}/items/{last[0]['id']}")  # the whole of its batch
    send("GET", f"{path}/items")
    send("POST", path, {"metadata": {"topic": "weather"}})
    send("GET", "")
    if len(stack.objects(conversation_id)) > 1:  # the purge would remove it with the folder
        raise HinderedError("an object that no row names was not deleted")
    send("DELETE", path)
    return conversation_id


def is_purged(stack: Stack, conversation_id: str) -> bool:
    return stack.rows(conversation_id) in ([], ["C"]) and not stack.objects(conversation_id)


def is_hindered(stack: Stack, key: str) -> bool:
    """Return whether a request fails, or the purge does not finish in time."""
    try:
        conversation_id = use_everything(stack, key)
    except HinderedError:
        return True
    return not is_soon(lambda: is_purged(stack, conversation_id), seconds=3)


def test_functions_may_do_all_that_they_do(stack: Stack, key: str) -> None:
    conversation_id = use_everything(stack, key)

    assert is_soon(lambda: is_purged(stack, conversation_id), seconds=60)


@pytest.mark.parametrize(
    ("role", "sid", "action"),
    [grant for grant in grants() if grant[1:] not in NOT_ASKED_FOR],
    ids=lambda part: part,
)
def test_function_needs_what_its_role_grants(
    stack: Stack, key: str, role: str, sid: str, action: str
) -> None:
    fresh = stack.new_key() if role == "AuthorizerRole" else key  # no policy for it is cached

    with role_without(stack, role, sid, action):
        assert is_hindered(stack, fresh), "The role may lose it, or the test must do what needs it."

    if role == "PurgeRole":  # repeat the purge that failed
        conversation_id = use_everything(stack, key)
        assert is_soon(lambda: is_purged(stack, conversation_id), seconds=60)
