import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from local.authorizer import TokenAuthorizer
from local.events import Request
from local.functions import UNAUTHORIZED, FunctionError
from local.responses import GatewayError
from local.template import Template

API = Template(Path(__file__).parent / "app" / "template.yaml").api
STAGE = "arn:aws:execute-api:us-east-1:123456789012:localhost00/testStage"


@dataclass
class Function:
    """Replacement of a Lambda function, whose response the test sets."""

    response: Any
    events: list[Any] = field(default_factory=list)

    def __call__(self, payload: bytes) -> bytes:
        self.events.append(json.loads(payload))
        if isinstance(self.response, Exception):
            raise self.response
        return json.dumps(self.response).encode()


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def request(
    method: str = "GET", path: str = "/echo/a", bearing: str | None = "Bearer x"
) -> Request:
    headers = () if bearing is None else (("authorization", bearing),)
    return Request(method, path, "", headers, "192.0.2.7")


def policy(*statements: tuple[str, str], context: object = None) -> dict[str, object]:
    return {
        "principalId": "somebody",
        "policyDocument": {
            "Statement": [
                {"Action": "execute-api:Invoke", "Effect": effect, "Resource": resource}
                for effect, resource in statements
            ]
        },
        **({} if context is None else {"context": context}),
    }


def authorizer(function: Function, clock: Clock | None = None) -> TokenAuthorizer:
    return TokenAuthorizer(API.authorizers["Gate"], function, clock or Clock())


def error_kind(response: object, sent: Request) -> str:
    with pytest.raises(GatewayError) as raised:
        authorizer(Function(response)).authorize(sent, API)
    return raised.value.kind


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param([("Allow", f"{STAGE}/GET/echo/a")], id="method"),
        pytest.param([("Allow", f"{STAGE}/*")], id="stage"),
        pytest.param([("Allow", f"{STAGE}/*/echo/?")], id="wildcards"),
        pytest.param([("Allow", "*"), ("Deny", f"{STAGE}/POST/*")], id="deny-elsewhere"),
    ],
)
def test_policy_lets_in(statements: list[tuple[str, str]]) -> None:
    context = authorizer(Function(policy(*statements))).authorize(request(), API)

    assert context["principalId"] == "somebody"


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param([], id="nothing"),
        pytest.param([("Allow", f"{STAGE}/POST/*")], id="other-method"),
        pytest.param([("Allow", f"{STAGE}/GET/echo")], id="path-above"),
        pytest.param([("Allow", f"{STAGE}/GET/echo.a")], id="dot-is-no-wildcard"),
        pytest.param([("Allow", "*"), ("Deny", f"{STAGE}/GET/*")], id="deny-wins"),
    ],
)
def test_policy_keeps_out(statements: list[tuple[str, str]]) -> None:
    assert error_kind(policy(*statements), request()) == "ACCESS_DENIED"


def test_policy_on_another_action_is_none() -> None:
    response = policy(("Allow", "*"))
    response["policyDocument"] = {
        "Statement": [{"Action": "s3:GetObject", "Effect": "Allow", "Resource": "*"}]
    }

    assert error_kind(response, request()) == "ACCESS_DENIED"


@pytest.mark.parametrize("action", ["execute-api:*", ["s3:*", "execute-api:Invoke"], "*"])
def test_actions_may_be_wild_or_listed(action: object) -> None:
    statement = {"Action": action, "Effect": "Allow", "Resource": "*"}
    response = {"principalId": "somebody", "policyDocument": {"Statement": [statement]}}

    assert authorizer(Function(response)).authorize(request(), API)


def test_context_is_strings() -> None:
    given = {"text": "words", "number": 7, "truth": True, "nothing": None}

    context = authorizer(Function(policy(("Allow", "*"), context=given))).authorize(request(), API)

    assert context.items() >= {"text": "words", "number": "7", "truth": "true"}.items()


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("Basic abc", id="scheme"),
        pytest.param("Bearer a b", id="more-than-the-expression"),
    ],
)
def test_implausible_token_is_rejected_without_an_invocation(token: str | None) -> None:
    function = Function(policy(("Allow", "*")))

    with pytest.raises(GatewayError) as raised:
        authorizer(function).authorize(request(bearing=token), API)

    assert raised.value.kind == "UNAUTHORIZED"
    assert function.events == []


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        pytest.param(FunctionError(UNAUTHORIZED), "UNAUTHORIZED", id="unauthorized"),
        pytest.param(FunctionError("unauthorized"), "AUTHORIZER_FAILURE", id="other-spelling"),
        pytest.param(FunctionError("boom"), "AUTHORIZER_FAILURE", id="crash"),
        pytest.param(None, "AUTHORIZER_CONFIGURATION_ERROR", id="null"),
        pytest.param({"principalId": "x"}, "AUTHORIZER_CONFIGURATION_ERROR", id="no-policy"),
        pytest.param(
            policy(("Allow", "*"), context={"list": []}),
            "AUTHORIZER_CONFIGURATION_ERROR",
            id="nested-context",
        ),
    ],
)
def test_response_that_is_no_policy_is_a_configuration_error(response: object, kind: str) -> None:
    assert error_kind(response, request()) == kind


def test_policy_is_cached_for_the_ttl_on_every_route() -> None:
    function, clock = Function(policy(("Allow", f"{STAGE}/GET/*"))), Clock()
    gate = authorizer(function, clock)

    gate.authorize(request(path="/echo/a"), API)
    clock.now += 59.9
    gate.authorize(request(path="/echo/b"), API)
    with pytest.raises(GatewayError, match="ACCESS_DENIED"):
        gate.authorize(request("POST"), API)

    assert len(function.events) == 1


def test_policy_is_requested_again_after_the_ttl() -> None:
    function, clock = Function(policy(("Allow", "*"))), Clock()
    gate = authorizer(function, clock)

    gate.authorize(request(), API)
    clock.now += 60
    gate.authorize(request(), API)

    assert len(function.events) == 2


def test_tokens_do_not_share_a_policy() -> None:
    function = Function(policy(("Allow", "*")))
    gate = authorizer(function)

    gate.authorize(request(bearing="Bearer x"), API)
    gate.authorize(request(bearing="Bearer y"), API)

    assert [event["authorizationToken"] for event in function.events] == ["Bearer x", "Bearer y"]


def test_rejection_by_the_function_is_not_cached() -> None:
    function = Function(FunctionError(UNAUTHORIZED))
    gate = authorizer(function)

    for _ in range(2):
        with pytest.raises(GatewayError, match="UNAUTHORIZED"):
            gate.authorize(request(), API)

    assert len(function.events) == 2


def test_cleared_policy_is_requested_again() -> None:
    function = Function(policy(("Allow", "*")))
    gate = authorizer(function)

    gate.authorize(request(), API)
    gate.clear_cache()
    gate.authorize(request(), API)

    assert len(function.events) == 2
