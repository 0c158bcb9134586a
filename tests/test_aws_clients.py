"""The service's client of DynamoDB takes and returns the values of boto3's client."""

from __future__ import annotations

import binascii
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError, ConnectionClosedError, HTTPClientError

from conversations import aws_clients
from conversations.storage.backoff import MAX_DELAY_SECONDS, RETRY_SECONDS
from local.template import Template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_dynamodb.client import DynamoDBClient

    from local.stack import DevStack

GATEWAY_SECONDS = 29
BOTOCORES_LONGEST_FIRST_DELAY_SECONDS = 1
KEY = {"pk": {"S": "a/b"}, "sk": {"S": "i#1"}}
WHOLE = json.dumps({"Item": KEY}).encode()
ROW: dict[str, Any] = {
    **KEY,
    "data": {"B": bytes(range(256))},
    "size": {"N": "12.5"},
    "metadata": {"M": {"B": {"S": "B"}, "S": {"S": "\u00e9\U0001f600"}}},
    "is_it": {"BOOL": True},
    "none": {"NULL": True},
    "list": {"L": [{"B": b"x"}, {"S": ""}]},
}


@pytest.fixture
def table(stack: DevStack) -> str:
    return stack.template.name("ConversationsTable")


@pytest.fixture
def client(stack: DevStack) -> DynamoDBClient:
    assert stack
    return aws_clients.dynamodb()


READS: dict[str, Callable[[DynamoDBClient, str], Any]] = {
    "GetItem": lambda client, table: client.get_item(TableName=table, Key=KEY),
    "Query": lambda client, table: client.query(
        TableName=table,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": "a/b"}},
        Limit=1,
    ),
    "BatchGetItem": lambda client, table: client.batch_get_item(
        RequestItems={table: {"Keys": [KEY], "ConsistentRead": True}}
    ),
    "TransactGetItems": lambda client, table: client.transact_get_items(
        TransactItems=[{"Get": {"TableName": table, "Key": KEY}}]
    ),
    "UpdateItem": lambda client, table: client.update_item(
        TableName=table,
        Key=KEY,
        UpdateExpression="SET seen = :seen",
        ExpressionAttributeValues={":seen": {"B": b"\x00\xff"}},
        ReturnValues="ALL_NEW",
    ),
}


@pytest.fixture(scope="module")
def stock(running_stack: DevStack) -> DynamoDBClient:
    """Return boto3's client, which converts every value by botocore's model."""
    assert running_stack
    return boto3.client("dynamodb")


@pytest.mark.parametrize("operation", READS)
def test_a_row_comes_back_as_it_was_put(
    client: DynamoDBClient, stock: DynamoDBClient, table: str, operation: str
) -> None:
    client.transact_write_items(TransactItems=[{"Put": {"TableName": table, "Item": ROW}}])

    ours, theirs = (READS[operation](each, table) for each in (client, stock))

    assert without_metadata(ours) == without_metadata(theirs)
    assert repr(ROW["data"]["B"]) in repr(ours)


def without_metadata(response: dict[str, Any]) -> dict[str, Any]:
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 200
    return {name: value for name, value in response.items() if name != "ResponseMetadata"}


def test_a_cancelled_transaction_says_why_and_shows_the_row(
    client: DynamoDBClient, table: str
) -> None:
    put: Any = {
        "TableName": table,
        "Item": ROW,
        "ConditionExpression": "attribute_not_exists(pk)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    client.transact_write_items(TransactItems=[{"Put": put}])

    with pytest.raises(ClientError) as raised:
        client.transact_write_items(TransactItems=[{"Put": put}])

    [reason] = raised.value.response["CancellationReasons"]
    assert reason["Code"] == "ConditionalCheckFailed"
    assert reason["Item"] == ROW


class Server:
    """A server in place of DynamoDB, with its numbers of connections and requests."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests = 0


@contextmanager
def serving(*responses: bytes | None) -> Iterator[tuple[Server, str]]:
    """Serve these responses, and repeat the last one; None breaks the connection."""
    seen = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            seen.connections += 1
            super().setup()

        def do_POST(self) -> None:
            response = responses[min(seen.requests, len(responses) - 1)]
            seen.requests += 1
            self.rfile.read(int(self.headers["Content-Length"]))
            self.close_connection = response is None
            if response is not None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(response)))
                self.send_header("x-amz-crc32", str(binascii.crc32(WHOLE)))
                self.end_headers()
                self.wfile.write(response)

        def log_message(self, *_: object) -> None:
            """Write no log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield seen, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def client_of(url: str, monkeypatch: pytest.MonkeyPatch) -> DynamoDBClient:
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    return aws_clients.dynamodb()


def test_requests_share_a_connection(stack: DevStack, monkeypatch: pytest.MonkeyPatch) -> None:
    with stack.engine.lock, serving(WHOLE) as (seen, url):
        client = client_of(url, monkeypatch)
        settings: Any = client.meta.config

        for _ in range(3):
            client.get_item(TableName="t", Key=KEY)
        client.close()

    assert (seen.connections, seen.requests) == (1, 3)
    assert settings.tcp_keepalive is True


def test_a_request_with_a_lost_response_is_retried_once(
    stack: DevStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stack.engine.lock, serving(None) as (seen, url):
        client = client_of(url, monkeypatch)

        with pytest.raises(ConnectionClosedError):
            client.get_item(TableName="t", Key=KEY)

    assert seen.requests == 2


def test_a_request_with_a_truncated_response_is_retried_once(
    stack: DevStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stack.engine.lock, serving(WHOLE[:9], WHOLE) as (seen, url):
        client = client_of(url, monkeypatch)

        response = client.get_item(TableName="t", Key=KEY)
        client.close()

    assert response["Item"] == KEY
    assert seen.requests == 2


@pytest.mark.parametrize("response", [WHOLE[:9], b"[]", b"null", b"", b"\xff"])
def test_a_response_that_cannot_be_read_is_a_lost_one(
    response: bytes, stack: DevStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stack.engine.lock, serving(response) as (_, url):
        client = client_of(url, monkeypatch)

        with pytest.raises(HTTPClientError) as raised:
            client.get_item(TableName="t", Key=KEY)
        client.close()

    assert aws_clients.may_have_taken_effect(raised.value)


def test_an_append_with_the_slowest_calls_ends_before_its_function_does() -> None:
    settings: Any = aws_clients.CLIENT_CONFIG
    tries = settings.retries["total_max_attempts"]
    call = tries * (settings.connect_timeout + settings.read_timeout)
    call += (tries - 1) * BOTOCORES_LONGEST_FIRST_DELAY_SECONDS
    last_attempt_begins_after = RETRY_SECONDS + MAX_DELAY_SECONDS
    spill = last_attempt = verification = call

    slowest = spill + last_attempt_begins_after + last_attempt + verification

    functions = Template().functions
    assert slowest < functions["ApiFunction"].timeout_seconds < GATEWAY_SECONDS
    assert call < functions["AuthorizerFunction"].timeout_seconds


@pytest.mark.parametrize("is_fips", ["false", "true"])
@pytest.mark.parametrize("region", ["us-east-1", "eu-central-2", "cn-north-1", "us-gov-west-1"])
def test_the_client_calls_the_endpoint_of_the_region_as_boto3_does(
    region: str, is_fips: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", is_fips)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_ACCOUNT_ID_ENDPOINT_MODE", "disabled")
    sent: list[tuple[str, str]] = []

    def keep(request: Any, **_: object) -> AWSResponse:
        scope = str(request.headers["Authorization"]).split("/", 2)[2].partition(",")[0]
        sent.append((request.url, scope))
        return AWSResponse(request.url, 200, HTTPHeaders(), SimpleNamespace(stream=lambda: [b"{}"]))

    for client in (aws_clients.dynamodb(), boto3.client("dynamodb")):
        client.meta.events.register("before-send.dynamodb", keep)  # type: ignore[arg-type] # botocore uses the returned value
        client.list_tables()
        client.list_tables()

    assert sent == [sent[-1]] * 4
