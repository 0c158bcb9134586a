"""The log line of a request, of a verified key and of a purge."""

from __future__ import annotations

import json
import logging
import re
import runpy
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from conversations import ids
from conversations.storage import backoff
from tests.support.fault_injection import CANCELED, Faults, error_response, lost_response
from tests.support.http_helpers import HELLO, LARGE, Json
from tests.support.log_lines import Log, module_of, reading_log
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from local.stack import DevStack
    from tests.support.issue_key import IssueKey

BATCH: Json = {"items": [HELLO, LARGE]}


@pytest.fixture
def log(stack: DevStack) -> Iterator[Log]:
    with reading_log(stack) as log:
        yield log


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_DELAY_SECONDS", 0)


@contextmanager
def faults(stack: DevStack, operation: str) -> Iterator[Faults]:
    """Return the faults of the API function's client, which is replaced afterwards."""
    make_client = module_of(stack, "ApiFunction").dynamodb_client
    make_client.cache_clear()
    with stack.engine.lock:
        client = make_client()
    yield Faults(client, operation)
    make_client.cache_clear()


def metrics_of(log: Log) -> Json:
    """Return the metrics in the line of the last request, by name."""
    line = log.lines("request")[-1]
    return {
        metric["Name"]: line[metric["Name"]]
        for directive in line["_aws"]["CloudWatchMetrics"]
        for metric in directive["Metrics"]
    }


@pytest.mark.parametrize("function", ["api", "authorizer", "pages", "preflight", "purge"])
def test_a_line_has_the_time_by_which_lambda_files_it(
    function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lambda files a line whose timestamp is not RFC 3339 as INFO, whatever its level."""
    # Loggers of one service share the format of the first one.
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", f"{function} alone")
    logger = runpy.run_path(f"{ROOT}/functions/{function}/app.py")["logger"]
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", None, None)

    line = json.loads(logger.registered_formatter.format(record))

    assert line["level"] == "ERROR"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d)", line["timestamp"])


def test_a_request_leaves_one_line(
    log: Log, client: httpx.Client, conversation: str, owner: str, stack: DevStack
) -> None:
    response = client.post(f"{conversation}/items", json=BATCH)

    [_, line] = log.lines("request")
    sent = response.request.content
    assert (
        line.items()
        >= {
            "level": "INFO",
            "service": stack.template.name("ApiFunction").removesuffix("-ApiFunction"),
            "request_id": response.headers["x-request-id"],
            "owner": owner,
            "conversation_id": conversation.rpartition("/")[2],
            "route": "POST /api/v1/llm/conversations/{conversation_id}/items",
            "status": 200,
            "items": 2,
            "body_bytes": len(sent),
            "response_bytes": len(response.content),
            "retries": 0,
        }.items()
    )
    assert "code" not in line
    assert line["key_id"].startswith("key_")
    assert line["duration_ms"] > 0


def test_a_line_is_a_metric_as_cloudwatch_reads_it(
    log: Log, client: httpx.Client, conversation: str
) -> None:
    client.post(f"{conversation}/items", json=BATCH)

    line = log.lines("request")[-1]
    [directive] = line["_aws"]["CloudWatchMetrics"]
    assert isinstance(line["_aws"]["Timestamp"], int)
    assert directive["Namespace"] == "Conversations"
    assert directive["Dimensions"] == [["service"]]
    assert {"Name": "AppendedBytes", "Unit": "Bytes"} in directive["Metrics"]


@pytest.mark.parametrize(
    ("method", "path", "body", "items"),
    [
        ("POST", "", BATCH, 2),
        ("POST", "", {}, 0),
        ("GET", "", None, 1),
        ("GET", "/{id}", None, 0),
        ("POST", "/{id}", {"metadata": {"topic": "weather"}}, 0),
        ("GET", "/{id}/items", None, 3),
        ("GET", "/{id}/items/mine", None, 1),
        ("HEAD", "/{id}/items/mine", None, 1),
        ("DELETE", "/{id}/items/mine", None, 1),
        ("DELETE", "/{id}/items", {"item_ids": ["mine"]}, 1),
        ("DELETE", "/{id}", None, 0),
    ],
)
def test_a_line_counts_what_the_response_is_about(  # noqa: PLR0913, PLR0917 - a table's columns
    log: Log,
    client: httpx.Client,
    owner: str,
    method: str,
    path: str,
    body: Json | None,
    items: int,
) -> None:
    made = client.post("/conversations", json={"items": [{**HELLO, "id": "mine"}, HELLO, LARGE]})

    response = client.request(method, f"/conversations{path}".format(**made.json()), json=body)

    line = log.lines("request")[-1]
    assert (response.status_code, line["items"], line["owner"]) == (200, items, owner)
    assert ("_aws" in line) == (body == BATCH)


def test_a_new_conversation_is_named(log: Log, client: httpx.Client) -> None:
    made = client.post("/conversations").json()

    assert log.lines("request")[-1]["conversation_id"] == made["id"]


def test_an_error_is_logged_by_its_code(log: Log, client: httpx.Client, conversation: str) -> None:
    client.post(f"{conversation}/items", json={"items": []})

    line = log.lines("request")[-1]
    assert (line["status"], line["code"], line["items"]) == (400, "array_below_min_length", 0)


def test_an_append_is_counted_with_what_it_spilled(
    log: Log, client: httpx.Client, conversation: str, stack: DevStack
) -> None:
    client.post(f"{conversation}/items", json=BATCH)

    with stack.engine.lock:
        [kept] = stack.resources.s3.list_objects_v2(Bucket=stack.template.name("PayloadBucket"))[
            "Contents"
        ]
    metrics = metrics_of(log)
    assert metrics.pop("AppendedBytes") > len(json.dumps(LARGE))
    assert metrics == {
        "Appends": 1,
        "AppendedItems": 2,
        "SpilledObjects": 1,
        "SpilledBytes": kept["Size"],
    }


def test_a_repetition_is_no_second_append(
    log: Log, client: httpx.Client, conversation: str
) -> None:
    for _ in range(2):
        client.post(
            f"{conversation}/items", json={"items": [HELLO]}, headers={"Idempotency-Key": "k"}
        )

    assert metrics_of(log) == {"Replays": 1}


@pytest.mark.parametrize(
    ("fault", "counted"),
    [
        (error_response(CANCELED, "TransactionConflict", "None"), {"Conflicts": 1}),
        (error_response(CANCELED, "ThrottlingError", "None"), {"Throttles": 1}),
        (error_response("ThrottlingException"), {"Throttles": 1}),
    ],
)
def test_what_was_in_an_appends_way_is_counted(  # noqa: PLR0913, PLR0917 - two columns
    fault: Json, counted: Json, log: Log, client: httpx.Client, conversation: str, stack: DevStack
) -> None:
    with faults(stack, "TransactWriteItems") as writes:
        writes.before(fault)
        client.post(f"{conversation}/items", json={"items": [HELLO]})

    assert metrics_of(log).items() >= {**counted, "Appends": 1}.items()
    assert log.lines("request")[-1]["retries"] == 1


def test_an_append_behind_another_writer_is_counted(
    log: Log, client: httpx.Client, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.post(f"{conversation}/items", json={"items": [HELLO]})
    monkeypatch.setattr(ids, "new_batch_number", lambda _: ids.batch_number_after("0" * 26))

    client.post(f"{conversation}/items", json={"items": [{**HELLO, "content": "late"}]})

    assert metrics_of(log)["OrderingRetries"] == 1


def test_a_throttled_read_is_counted(
    log: Log, client: httpx.Client, conversation: str, stack: DevStack
) -> None:
    with faults(stack, "BatchGetItem") as reads:
        reads.before(error_response("ThrottlingException"))
        response = client.get(conversation)

    assert response.status_code == 503
    assert metrics_of(log) == {"Throttles": 1, "FailedRequests": 1}
    assert log.lines("request")[-1]["code"] == "overloaded"


def test_a_failure_is_counted_for_the_version_that_failed(
    log: Log, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_VERSION", "7")
    monkeypatch.setenv("CONVERSATIONS_TABLE", "none")

    client.get("/conversations")

    line = log.lines("request")[-1]
    [directive] = line["_aws"]["CloudWatchMetrics"]
    assert directive["Dimensions"] == [["service"], ["service", "version"]]
    assert (line["FailedRequests"], line["version"]) == (1, "7")


def test_a_throttled_look_for_what_may_be_on_its_way_is_counted(
    log: Log, client: httpx.Client, conversation: str, stack: DevStack
) -> None:
    with faults(stack, "TransactGetItems") as reads:
        reads.before(error_response("ThrottlingException"))
        response = client.get(f"{conversation}/items/missing")

    assert response.status_code == 404
    assert metrics_of(log) == {"Throttles": 1}


def test_what_boto3_sends_again_by_itself_is_counted(
    log: Log, client: httpx.Client, conversation: str, stack: DevStack
) -> None:
    failures = iter([lost_response()])

    def fail(**_: object) -> None:
        for failure in failures:
            raise failure

    with faults(stack, "BatchGetItem"):
        events = module_of(stack, "ApiFunction").dynamodb_client().meta.events
        events.register_first("before-send.dynamodb", fail)
        response = client.get(conversation)

    assert response.status_code == 200
    assert log.lines("request")[-1]["retries"] == 1


def test_a_key_leaves_a_line_when_it_is_judged(
    log: Log, client: httpx.Client, base_url: str
) -> None:
    client.get("/conversations")
    client.get("/conversations")
    client.get(f"{base_url}/conversations", headers={"Authorization": "Bearer unknown"})

    assert [line["key_id"][:4] for line in log.lines("key accepted")] == ["key_"]
    [rejected] = log.lines("key rejected")
    assert rejected["RejectedKeys"] == 1


def test_a_request_that_fails_leaves_its_cause_and_its_id(
    log: Log, client: httpx.Client, stack: DevStack
) -> None:
    with faults(stack, "Query") as reads:
        reads.before(error_response("AccessDeniedException"))
        response = client.get("/conversations")

    [failed] = log.lines("request failed")
    assert (failed["error"], failed["code"]) == ("ClientError", "AccessDeniedException")
    assert failed["request_id"] == response.headers["x-request-id"]
    assert failed["version"] == log.lines("request")[-1]["version"]


def test_a_failed_authorizer_is_distinguished_from_a_rejected_key(
    log: Log, client: httpx.Client, stack: DevStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEYS_TABLE", "none")
    module_of(stack, "AuthorizerFunction").api_keys.cache_clear()

    response = client.get("/conversations")

    module_of(stack, "AuthorizerFunction").api_keys.cache_clear()
    assert response.status_code == 500
    [failed] = log.lines("key not validated")
    assert (failed["error"], failed["AuthorizerErrors"]) == ("ResourceNotFoundException", 1)
    assert (failed["code"], failed["version"]) == ("ResourceNotFoundException", "$LATEST")
    assert not log.lines("key rejected")


def test_a_purge_leaves_a_line(
    log: Log, client: httpx.Client, conversation: str, owner: str, stack: DevStack
) -> None:
    client.post(f"{conversation}/items", json=BATCH)
    client.delete(conversation)
    stack.drain_streams()

    [line] = log.lines("purge")
    assert (
        line.items()
        >= {
            "owner": owner,
            "conversation_id": conversation.rpartition("/")[2],
            "is_done": True,
            "rows": 1,
            "PurgedRows": 1,
            "retries": 0,
        }.items()
    )
    assert 0 <= line["PurgeLag"] < 60


def test_a_failed_purge_is_logged(
    log: Log, client: httpx.Client, conversation: str, stack: DevStack
) -> None:
    make_client = module_of(stack, "PurgeFunction").dynamodb_client
    make_client.cache_clear()
    with stack.engine.lock:
        Faults(make_client(), "GetItem").before(error_response("AccessDeniedException"))
    client.delete(conversation)
    stack.drain_streams()
    make_client.cache_clear()

    [failed] = log.lines("purge failed")
    assert (failed["error"], failed["code"]) == ("ClientError", "AccessDeniedException")
    assert failed["conversation_id"] == conversation.rpartition("/")[2]
    assert log.lines("purge")[-1]["is_done"]


def test_the_result_of_a_failed_purge_has_no_text_of_its_errors(log: Log, stack: DevStack) -> None:
    """Lambda logs the text of an exception, so the function returns the failed records."""
    purge = module_of(stack, "PurgeFunction")
    pk = {"pk": {"S": "a/b"}, "sk": {"S": "C"}}
    record = {"eventName": "MODIFY", "dynamodb": {"Keys": pk, "SequenceNumber": "7"}}
    purge.dynamodb_client.cache_clear()
    with stack.engine.lock:
        Faults(purge.dynamodb_client(), "GetItem").before(ValueError("my secret"))
        failed = purge.lambda_handler({"Records": [record]}, SimpleNamespace(function_name="x"))
    purge.dynamodb_client.cache_clear()

    assert failed == {"batchItemFailures": [{"itemIdentifier": "7"}]}
    assert log.lines("purge failed")[-1]["error"] == "ValueError"


def test_the_lines_hold_neither_content_nor_key(
    log: Log, client: httpx.Client, conversation: str, issue_key: IssueKey, stack: DevStack
) -> None:
    delegate = issue_key(may_delegate=True)
    headers = {"Authorization": f"Bearer {delegate}", "X-On-Behalf-Of": "ann@example.com"}
    client.post("/conversations", json=BATCH, headers=headers)
    client.post(f"{conversation}/items", json={"items": [{**HELLO, "rôle": "weather"}]})
    client.get(f"{conversation}/items", params={"after": "weather!"})
    client.get("/conversations/weather%20today/items")
    client.get("/conversations", params={"metadata[topic]": "weather"})
    client.delete(conversation)
    stack.drain_streams()

    text = log.text.getvalue()
    assert len(log.lines("request")) == 7
    for secret in ("weather", "ann@example.com", "acme", delegate, client.headers["Authorization"]):
        assert secret not in text
