"""Appends while DynamoDB is unreachable: their objects are deleted."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

import pytest

from conversations import aws_clients
from conversations.errors import OverloadedError
from conversations.model import IdempotencyInfo
from conversations.storage import backoff
from conversations.storage.payloads import PayloadStore
from conversations.storage.store import Store
from conversations.storage.transactions import Table
from tests.support.http_helpers import LARGE, OWNER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import DevStack


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Open a port in place of DynamoDB's."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server


@pytest.fixture
def store(
    listener: socket.socket, stack: DevStack, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Store]:
    """Return a store whose DynamoDB is the listener, with one attempt; its bucket exists."""
    monkeypatch.setattr(backoff, "RETRY_SECONDS", 0)
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
