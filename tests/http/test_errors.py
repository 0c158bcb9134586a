"""Every error of the table, caused through HTTP and raised by the openai SDK."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple, cast, get_args

import openai
import pytest
from openai import OpenAI

from conversations import errors
from conversations.errors import ERRORS, ApiError, InvalidRequestCode
from conversations.storage import backoff
from local.gateway import BODY_LIMIT
from local.stack import DevStack
from local.template import TEMPLATE
from tests.support.fault_injection import CANCELED, Faults, error_response
from tests.support.http_helpers import HELLO, Json, error_of
from tests.support.log_lines import module_of
from tests.support.paths import DOCS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.support.issue_key import IssueKey

DOCUMENT = (DOCS / "errors.md").read_text(encoding="utf-8")
ITEMS = "/conversations/{conversation}/items"
CONFLICT = error_response(CANCELED, "TransactionConflict", "None")


class Wrong(NamedTuple):
    """A request that is rejected, with the code of its error."""

    code: str
    method: str = "post"
    path: str = ITEMS
    body: Json | None = None
    param: str | None = None
    content: bytes | None = None
    headers: Mapping[str, str] = {}
    params: Mapping[str, str] = {}


def items(**change: object) -> Json:
    return {"items": [{**HELLO, **change}]}


WRONG = [
    Wrong("invalid_json", content=b'{"items": ['),
    Wrong("missing_required_parameter", body={}, param="items"),
    Wrong("invalid_type", body=items(content=5), param="items[0].content"),
    Wrong("invalid_value", "get", params={"limit": "0"}, param="limit"),
    Wrong("unknown_parameter", "get", "/conversations", params={"limt": "5"}, param="limt"),
    Wrong("unknown_item_type", body=items(type="chat"), param="items[0].type"),
    Wrong("array_above_max_length", body={"items": [HELLO] * 21}, param="items"),
    Wrong("array_below_min_length", body={"items": []}, param="items"),
    Wrong("string_above_max_length", body=items(id="x" * 65), param="items[0].id"),
    Wrong("string_below_min_length", body=items(id=""), param="items[0].id"),
    Wrong("item_already_in_conversation", body=items(id="taken"), param="items[0].id"),
    Wrong("invalid_api_key", "get", headers={"Authorization": ""}),
    Wrong("invalid_api_key", "get", headers={"Authorization": "Bearer unknown"}),
    Wrong("insufficient_scope", body=items(), headers={"Authorization": "Bearer {reader}"}),
    Wrong("delegation_not_allowed", "get", headers={"X-On-Behalf-Of": "a"}, param="X-On-Behalf-Of"),
    Wrong("conversation_not_found", "get", "/conversations/none", param="conversation_id"),
    Wrong("item_not_found", "delete", f"{ITEMS}/none", param="item_id"),
    Wrong("route_not_found", "get", "/nowhere"),
    Wrong("route_not_found", "put"),
    Wrong("request_too_large", content=b" " * (BODY_LIMIT + 1)),
    Wrong("request_too_large", content=b" " * (6 * 1024 * 1024 + 1)),
    Wrong(
        "unsupported_content_encoding",
        content=b"{",
        headers={"Content-Encoding": "gzip"},
        param="Content-Encoding",
    ),
    Wrong(
        "idempotency_key_reused",
        body=items(),
        headers={"Idempotency-Key": "used"},
        param="Idempotency-Key",
    ),
]
"""Errors that a client alone can cause, in API Gateway or in the service."""

AWS: dict[str, tuple[str, str, Json]] = {
    "conversation_busy": ("ApiFunction", "TransactWriteItems", CONFLICT),
    "overloaded": ("ApiFunction", "TransactWriteItems", error_response("ThrottlingException")),
    "server_error": ("ApiFunction", "TransactWriteItems", error_response("AccessDeniedException")),
    "server_error by the authorizer": (
        "AuthorizerFunction",
        "GetItem",
        error_response("AccessDenied"),
    ),
}
"""The operation of a function that AWS rejects, and its error, by code."""


@pytest.fixture
def sdk(base_url: str, issue_key: IssueKey) -> Iterator[OpenAI]:
    with OpenAI(api_key=issue_key(), base_url=base_url, max_retries=0) as sdk:
        yield sdk


@pytest.fixture
def conversation(sdk: OpenAI) -> str:
    """Return the path of a conversation with an item `taken`, appended with the key `used`."""
    made, taken = sdk.conversations.create().id, cast("Any", items(id="taken")["items"])
    sdk.conversations.items.create(made, items=taken, extra_headers={"Idempotency-Key": "used"})
    return made


@pytest.fixture
def names(conversation: str, issue_key: IssueKey) -> dict[str, str]:
    """Return values for the placeholders of a wrong request."""
    return {"conversation": conversation, "reader": issue_key(scopes=frozenset({"read"}))}


def provoke(sdk: OpenAI, wrong: Wrong, names: dict[str, str]) -> openai.APIStatusError:
    """Return the error that the SDK raises for the request."""
    send = getattr(sdk, wrong.method)
    headers = {name: value.format_map(names) for name, value in wrong.headers.items()}
    options = {"headers": headers, "params": wrong.params}
    sent = {
        name: value for name in ("body", "content") if (value := getattr(wrong, name)) is not None
    }
    with pytest.raises(openai.APIStatusError) as caught:
        send(wrong.path.format_map(names), cast_to=object, options=options, **sent)
    return caught.value


def assert_raised(error: openai.APIStatusError, code: str) -> None:
    """Check that the error has the table's values, in the SDK's form."""
    response, headers = error.response, ERRORS[code].headers
    assert error.status_code in ERRORS[code].statuses
    assert type(error).__name__ == exceptions()[str(error.status_code)]
    assert (error.code, error.type) == (code, ERRORS[code].type)
    assert error_of(cast("Any", response))["message"] in error.message
    assert error.request_id == response.headers["x-request-id"]
    assert {name: response.headers.get(name) for name in headers} == headers


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the page's table under a heading, without backquotes."""
    part = DOCUMENT.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    table = [line for line in part.splitlines() if line.startswith("|")][2:]
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in table]


def exceptions() -> dict[str, str]:
    """Return the documented exception of the SDK for each status."""
    return {
        status: name
        for statuses, name, *_ in rows("In the SDKs")
        for status in re.findall(r"\d+", statuses)
    }


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.code} {wrong.method}")
def test_an_invalid_request_gets_the_error_of_its_fault(
    wrong: Wrong, sdk: OpenAI, names: dict[str, str]
) -> None:
    error = provoke(sdk, wrong, names)

    assert_raised(error, wrong.code)
    assert error.param == wrong.param


@pytest.mark.parametrize("name", AWS)
def test_a_failure_of_aws_gets_its_error(
    name: str,
    stack: DevStack,
    sdk: OpenAI,
    names: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    function, operation, fault = AWS[name]
    code = name.partition(" ")[0]
    monkeypatch.setattr(backoff, "RETRY_SECONDS", 0)
    faults = Faults(client_of(stack, function), operation)
    faults.before(fault)
    headers = {"Authorization": "Bearer another"} if function == "AuthorizerFunction" else {}

    error = provoke(sdk, Wrong(code, body=items(), headers=headers), names)
    faults.before()

    assert_raised(error, code)


def client_of(stack: DevStack, function: str) -> Any:
    """Return the DynamoDB client of a function of the stack."""
    module = module_of(stack, function)
    if function == "ApiFunction":
        return module.dynamodb_client()
    return module.api_keys()._dynamodb  # noqa: SLF001 - the way to AWS


@pytest.fixture
def standing_clock() -> list[float]:
    """Return the gateway's clock, which only the test advances."""
    return [0.0]


@pytest.fixture
def tight_stack(standing_clock: list[float], stack: DevStack) -> Iterator[DevStack]:
    """Run a stack with a throttle of two requests at once and one in ten seconds.

    It shares the engine with *stack*, so that the same keys are valid.
    """
    limits = {"ThrottlingRateLimit": "0.1", "ThrottlingBurstLimit": "2"}
    with DevStack.start(parameters=limits, clock=lambda: standing_clock[0]) as tight:
        yield tight
    del stack


def test_each_route_lets_the_burst_in_and_then_its_rate(
    tight_stack: DevStack, issue_key: IssueKey, standing_clock: list[float]
) -> None:
    url = f"{tight_stack.url}/api/v1/llm"
    wrong = Wrong("rate_limit_exceeded", "post", "/conversations")
    with OpenAI(api_key=issue_key(), base_url=url, max_retries=0) as sdk:
        sdk.conversations.create()
        kept = sdk.conversations.create()
        error = provoke(sdk, wrong, {})
        assert sdk.conversations.retrieve(kept.id).id == kept.id
        standing_clock[0] += 10
        made = sdk.conversations.create()
        provoke(sdk, wrong, {})

    assert_raised(error, "rate_limit_exceeded")
    assert made.id


def test_a_crash_of_the_function_gets_its_error(
    sdk: OpenAI, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CORS_ORIGINS")
    wrong = Wrong("server_error", "get", f"/conversations/{conversation}")

    error = provoke(sdk, wrong, {})

    assert_raised(error, "server_error")
    assert error.status_code == 502


@pytest.fixture
def wordless_stack(tmp_path: Path, stack: DevStack) -> Iterator[DevStack]:
    """Run a stack without a gateway response of its own for a missing scope.

    It represents a firewall, which the local stack does not have: both use `DEFAULT_4XX`.
    """
    for name in ("functions", "layers"):
        (tmp_path / name).symlink_to(TEMPLATE.with_name(name))
    text = TEMPLATE.read_text(encoding="utf-8").replace("ACCESS_DENIED:", "WAF_FILTERED:")
    (tmp_path / TEMPLATE.name).write_text(text, encoding="utf-8")
    with DevStack.start(template=tmp_path / TEMPLATE.name) as wordless:
        yield wordless
    del stack


def test_a_rejection_without_a_gateway_response_gets_the_default(
    wordless_stack: DevStack, issue_key: IssueKey
) -> None:
    key, url = issue_key(scopes=frozenset({"write"})), f"{wordless_stack.url}/v1"
    with OpenAI(api_key=key, base_url=url, max_retries=0) as sdk:
        error = provoke(sdk, Wrong("request_rejected", "get", "/conversations"), {})

    assert_raised(error, "request_rejected")


def test_every_error_is_provoked() -> None:
    provoked = {wrong.code for wrong in WRONG} | {name.partition(" ")[0] for name in AWS}

    assert provoked | {"rate_limit_exceeded", "request_rejected"} == ERRORS.keys()


def test_every_class_of_the_tree_has_its_row() -> None:
    classes = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    codes = {kind.code for kind in classes if issubclass(kind, ApiError) and "code" in vars(kind)}

    assert codes | set(get_args(InvalidRequestCode.__value__)) <= ERRORS.keys()


def test_the_document_holds_the_table() -> None:
    table = [
        [", ".join(map(str, kind.statuses)), kind.type, code, kind.description]
        for code, kind in ERRORS.items()
    ]

    assert rows("Codes") == table


def test_the_document_names_every_status() -> None:
    statuses = {status for kind in ERRORS.values() for status in kind.statuses}

    assert exceptions().keys() == set(map(str, statuses))
