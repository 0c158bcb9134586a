"""Each function's real handler, invoked with its sample event."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from conversations.auth.api_keys import UsageKey
from functions.api import app as api
from functions.authorizer import app as authorizer
from functions.pages import app as pages
from functions.preflight import app as preflight
from functions.purge import app as purge
from local import startup_message
from local.template import Template
from tests.support.paths import EVENTS
from tests.support.sample_events import CONTEXT, sample

if TYPE_CHECKING:
    from conversations.auth.api_keys import ApiKeyRepository
    from local.stack import DevStack


def test_there_is_a_sample_for_every_function() -> None:
    template = Template(parameters={"CorsOrigins": "*"})

    functions = {function.code.name for function in template.functions.values()}

    assert {path.stem for path in EVENTS.iterdir()} == functions


def test_the_api_responds_to_its_sample(stack: DevStack) -> None:
    event = sample("api")
    event["requestContext"]["authorizer"]["account"] = startup_message.ACCOUNT
    startup_message.create_documented_conversation(stack)

    with stack.engine.lock:
        response = api.lambda_handler(event, CONTEXT)

    assert response["statusCode"] == 200
    assert json.loads(response["body"])["data"][0]["content"] == "What is the weather today?"


def test_the_authorizer_opens_the_whole_stage_for_its_sample(
    stack: DevStack, api_keys: ApiKeyRepository
) -> None:
    event = sample("authorizer")
    key = event["authorizationToken"].removeprefix("Bearer ")
    with stack.engine.lock:
        _, record = api_keys.create(
            account="acme", name="test", scopes=frozenset({"read", "write"}), key=key
        )
        response = authorizer.lambda_handler(event, CONTEXT)

    stage = event["methodArn"].partition("/POST/")[0]
    assert response["principalId"] == "acme"
    assert response["usageIdentifierKey"] == unlimited_usage_key(stack)
    assert response["context"] == {
        "account": "acme",
        "key_id": record.key_id,
        "may_delegate": False,
    }
    assert response["policyDocument"]["Statement"] == [
        {
            "Action": "execute-api:Invoke",
            "Effect": "Allow",
            "Resource": [f"{stage}/GET/*", f"{stage}/HEAD/*", f"{stage}/POST/*"],
        }
    ]


def unlimited_usage_key(stack: DevStack) -> str:
    return stack.template.functions["AuthorizerFunction"].environment["UNLIMITED_USAGE_KEY"]


def test_the_authorizer_names_the_count_of_a_key_with_a_plan(
    stack: DevStack, api_keys: ApiKeyRepository
) -> None:
    event = sample("authorizer")
    key = event["authorizationToken"].removeprefix("Bearer ")
    usage = UsageKey(usage_key_id="a1b2c3d4e5", value="counted" * 3, plan="free")
    with stack.engine.lock:
        api_keys.create(account="acme", name="test", usage_key=usage, key=key)
        response = authorizer.lambda_handler(event, CONTEXT)

    assert response["usageIdentifierKey"] == "counted" * 3


def test_the_authorizer_knows_nobody_by_its_sample_alone(stack: DevStack) -> None:
    with stack.engine.lock, pytest.raises(Exception, match=r"^Unauthorized$"):
        authorizer.lambda_handler(sample("authorizer"), CONTEXT)


def test_the_pages_function_sends_the_console_for_its_sample() -> None:
    response = pages.lambda_handler(sample("pages"), CONTEXT)

    assert response["statusCode"] == 200
    assert "<title>Conversations</title>" in response["body"]


def test_the_preflight_lets_the_page_of_its_sample_call(monkeypatch: pytest.MonkeyPatch) -> None:
    event = sample("preflight")
    monkeypatch.setenv("CORS_ORIGINS", event["headers"]["Origin"])

    response = preflight.lambda_handler(event, CONTEXT)

    assert response["statusCode"] == 204
    assert response["headers"]["Access-Control-Allow-Origin"] == "https://app.example.com"


def test_the_purge_repeats_its_sample_without_harm(stack: DevStack) -> None:
    with stack.engine.lock:
        responses = [purge.lambda_handler(sample("purge"), CONTEXT) for _ in range(2)]

    assert responses == [{"batchItemFailures": []}] * 2
