"""Appends while DynamoDB is unreachable: their objects are deleted."""

from __future__ import annotations

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import click
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from click.testing import CliRunner

from conversations import aws_clients
from conversations.errors import OverloadedError
from conversations.model import IdempotencyInfo
from conversations.storage import backoff, transactions
from conversations.storage.payloads import PayloadStore
from conversations.storage.store import Store
from conversations.storage.transactions import Table
from conversations_cli.data_options import Data, data_command
from tests.support.http_helpers import LARGE, OWNER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import DevStack

    type Response = tuple[int | None, dict[str, Any]]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Open a port in place of DynamoDB's."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        server.settimeout(10)
        yield server


@pytest.fixture
def store(
    listener: socket.socket, stack: DevStack, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Store]:
    """Return a store whose DynamoDB is the listener, with one attempt; its bucket exists."""
    monkeypatch.setattr(backoff, "RETRY_SECONDS", 0)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    port = listener.getsockname()[1]
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{port}")
        dynamodb = aws_clients.dynamodb()
    with ThreadPoolExecutor(1) as executor, closing(dynamodb), stack.engine.lock:
        bucket = stack.template.name("PayloadBucket")
        payloads = PayloadStore(bucket, lambda: stack.resources.s3, executor)
        yield Store(Table(dynamodb, "conversations"), payloads)


def append_large(store: Store) -> None:
    batch = cast("Any", [LARGE])
    store.append_items(OWNER, "conv_1", batch, IdempotencyInfo("body"))


def objects(stack: DevStack) -> int:
    bucket = stack.template.name("PayloadBucket")
    return stack.resources.s3.list_objects_v2(Bucket=bucket)["KeyCount"]


def test_an_append_that_was_never_sent_leaves_no_object(
    store: Store, stack: DevStack, listener: socket.socket
) -> None:
    listener.close()

    with pytest.raises(OverloadedError, match="cannot reach DynamoDB"):
        append_large(store)

    assert objects(stack) == 0


def test_an_append_that_may_have_arrived_keeps_its_object(
    store: Store, stack: DevStack, listener: socket.socket
) -> None:
    """The first attempt's connection breaks after the request; the second cannot connect."""

    def read_and_close() -> None:
        connection, _ = listener.accept()
        listener.close()
        connection.recv(100)
        connection.close()

    thread = threading.Thread(target=read_and_close)
    thread.start()
    with pytest.raises(OverloadedError, match="did not respond"):
        append_large(store)
    thread.join()

    assert objects(stack) == 1


def test_an_append_without_a_response_in_time_keeps_its_object(
    stack: DevStack, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """The listener accepts no connection, so that requests are sent and never read."""
    impatient = aws_clients.CLIENT_CONFIG.merge(Config(read_timeout=0.1))
    monkeypatch.setattr(aws_clients, "CLIENT_CONFIG", impatient)
    store = request.getfixturevalue("store")

    with pytest.raises(OverloadedError, match="did not respond"):
        append_large(store)

    assert objects(stack) == 1


THROTTLED = {"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException"}
CONFLICT = {
    "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
    "CancellationReasons": [{"Code": "TransactionConflict"}, {"Code": "None"}],
}
IN_PROGRESS = {"__type": "TransactionInProgressException"}
LOST: Response = (None, {})
FAILED: Response = (500, {})
DAMAGED: Response = (200, {})


@contextmanager
def responding(listener: socket.socket, *responses: Response) -> Iterator[None]:
    """Send these responses, one for each try, then accept no connection."""

    def respond() -> None:
        for response in responses:
            send_response(listener, *response)
        listener.close()

    thread = threading.Thread(target=respond)
    thread.start()
    yield
    thread.join()


@pytest.mark.parametrize("body", [THROTTLED, CONFLICT], ids=["throttled", "conflict"])
@pytest.mark.parametrize("first", [LOST, FAILED, DAMAGED], ids=["lost", "failed", "damaged"])
def test_an_append_that_may_have_committed_before_an_error_keeps_its_object(
    first: Response,
    body: dict[str, Any],
    store: Store,
    stack: DevStack,
    listener: socket.socket,
) -> None:
    """The first try has no whole response, or 500; the second gets an error that wrote nothing."""
    with (
        responding(listener, first, (400, body)),
        pytest.raises(OverloadedError, match="did not respond"),
    ):
        append_large(store)

    assert objects(stack) == 1


def test_an_append_that_committed_nothing_leaves_no_object(
    store: Store, stack: DevStack, listener: socket.socket
) -> None:
    with (
        responding(listener, (400, THROTTLED), (400, THROTTLED)),
        pytest.raises(OverloadedError, match="over capacity"),
    ):
        append_large(store)

    assert objects(stack) == 0


def test_an_append_whose_first_attempt_may_have_committed_keeps_its_object(
    store: Store, stack: DevStack, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both tries of the first attempt are lost; the second attempt writes nothing."""
    monkeypatch.setattr(transactions, "attempts", lambda _: range(2))

    with (
        responding(listener, LOST, LOST, (400, THROTTLED), (400, THROTTLED)),
        pytest.raises(OverloadedError, match="did not respond"),
    ):
        append_large(store)

    assert objects(stack) == 1


@pytest.mark.parametrize(
    "responses",
    [[(400, IN_PROGRESS)] * 2, [(520, {})]],
    ids=["in progress", "no status of HTTP"],
)
def test_an_append_with_unknown_outcome_keeps_its_object(
    responses: list[Response], store: Store, stack: DevStack, listener: socket.socket
) -> None:
    with (
        responding(listener, *responses),
        pytest.raises(OverloadedError, match="did not respond"),
    ):
        append_large(store)

    assert objects(stack) == 1


@pytest.mark.parametrize("first", [LOST, FAILED], ids=["lost", "failed"])
def test_a_command_knows_of_a_try_that_may_have_committed_before_an_error(
    first: Response, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Boto3's client, too, raises only the error of the last try."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    port = listener.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{port}")
    seen: list[ClientError] = []

    @click.command()
    @data_command
    def put(data: Data) -> None:
        with pytest.raises(ClientError) as raised, closing(data.table.dynamodb) as dynamodb:
            dynamodb.put_item(TableName="conversations", Item={})
        seen.append(raised.value)

    with responding(listener, first, (400, {"__type": "ValidationException"})):
        CliRunner().invoke(put, ["--table", "conversations", "--bucket", "payloads"])

    assert [*map(aws_clients.may_have_taken_effect, seen)] == [True]


def send_response(listener: socket.socket, status: int | None, body: dict[str, Any]) -> None:
    """Read one request, and send a response, or close the connection if *status* is None.

    A successful response has a wrong checksum.
    """
    connection, _ = listener.accept()
    with closing(connection), connection.makefile("rb") as request:
        lines = list(iter(request.readline, b"\r\n"))
        [length] = [int(line.split()[1]) for line in lines if line.startswith(b"Content-Length:")]
        request.read(length)
        if status is not None:
            text = json.dumps(body)
            head = f"HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {len(text)}"
            damage = "\r\nx-amz-crc32: 1" if status == HTTPStatus.OK else ""
            connection.sendall(f"{head}{damage}\r\n\r\n{text}".encode())
