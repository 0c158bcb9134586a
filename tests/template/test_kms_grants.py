"""Permissions of each function on an operator's KMS key: those that it needs, and no others.

KMS sees the function's role and, in `kms:ViaService`, the service that calls KMS for it. The
emulator's services do not call KMS, so its policy evaluator decides in the place of KMS.
"""

from __future__ import annotations

import copy
import functools
import itertools
import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from local.engines import MINISTACK
from local.intrinsics import Intrinsics, items, mapping, read_document, section
from local.template import TEMPLATE
from tests.support.paths import ROOT
from tests.support.template_values import KMS_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.intrinsics import JsonObject

OTHER_KEY = "arn:aws:kms:us-east-1:123456789012:key/5e6f-7a8b"
NEEDED = {
    ("ApiRole", "dynamodb", "kms:Decrypt"),
    ("ApiRole", "s3", "kms:Decrypt"),
    ("ApiRole", "s3", "kms:GenerateDataKey"),
    ("AuthorizerRole", "dynamodb", "kms:Decrypt"),
    ("PurgeRole", "dynamodb", "kms:Decrypt"),
    ("PurgeRole", "sqs", "kms:Decrypt"),
    ("PurgeRole", "sqs", "kms:GenerateDataKey"),
}
"""DynamoDB decrypts a table's key in the caller's name; S3 generates a key for each object that it
writes, and decrypts that of each object that it reads; SQS does both when a message is sent."""
ROLES = ("ApiRole", "AuthorizerRole", "PagesRole", "PreflightRole", "PurgeRole")
SERVICES = ("dynamodb", "lambda", "s3", "sqs")
ACTIONS = (
    *("kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"),
    *("kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"),
)


@functools.cache
def policy(role: str) -> JsonObject:
    """Return the policy of a role, with the operator's key."""
    document = read_document(TEMPLATE)
    properties = section(mapping(section(document, "Resources")[role]), "Properties")
    resolved = Intrinsics(document, {"KmsKeyArn": KMS_KEY}).resolve(properties)
    return section(mapping(items(mapping(resolved)["Policies"])[0]), "PolicyDocument")


def without(role: str, service: str, action: str) -> JsonObject:
    """Return the policy of a role, without one action of one service."""
    lesser = copy.deepcopy(policy(role))
    for statement in map(mapping, items(lesser["Statement"])):
        if f'"{service}.' in json.dumps(statement.get("Condition")):
            statement["Action"] = [each for each in items(statement["Action"]) if each != action]
    lesser["Statement"] = [each for each in items(lesser["Statement"]) if mapping(each)["Action"]]
    return lesser


def request(
    granted: JsonObject, action: str, service: str | None, key: str = KMS_KEY
) -> JsonObject:
    """Return a request to KMS, by a service or by the function itself."""
    context = {"kms:viaservice": f"{service}.us-east-1.amazonaws.com"} if service else {}
    return {"policy": granted, "action": action, "resource": key, "context": {**context}}


def allowed(requests: list[JsonObject]) -> Iterator[bool]:
    done = subprocess.run(  # noqa: S603 - ours
        [MINISTACK, ROOT / "tools/ministack/policies.py"],
        input=json.dumps(requests),
        capture_output=True,
        check=True,
        text=True,
    )
    return (decision == "Allow" for decision in json.loads(done.stdout))


def test_a_function_may_do_what_it_needs_with_the_operators_key_and_nothing_else() -> None:
    calls = [*itertools.product(ROLES, (*SERVICES, None), ACTIONS)]
    requests = [request(policy(role), action, service) for role, service, action in calls]

    assert {call for call, may in zip(calls, allowed(requests), strict=True) if may} == NEEDED


def test_no_function_may_use_another_key() -> None:
    requests = [request(policy(role), action, via, OTHER_KEY) for role, via, action in NEEDED]

    assert not any(allowed(requests))


@pytest.mark.parametrize("call", sorted(NEEDED), ids=" ".join)
def test_an_action_on_the_operators_key_is_missed_if_it_is_taken_away(
    call: tuple[str, str, str],
) -> None:
    role, service, action = call
    others = [(via, each) for name, via, each in NEEDED if name == role and (via, each) != call[1:]]
    lesser = without(*call)

    [may, *rest] = allowed(
        [request(lesser, action, service), *(request(lesser, each, via) for via, each in others)]
    )

    assert not may
    assert all(rest)
