"""The table of `make bench`, and the peer that it compares with."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import events
from benchmarks.comparisons import figure, ratio, table_of
from benchmarks.worker import Context
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from local.stack import DevStack

PEER = ROOT / "benchmarks" / "peers" / "fastapi" / "app.py"


def test_a_ratio_is_the_median_of_its_pairs() -> None:
    row = ratio("a", "b", ours=[1, 10, 9], theirs=[2, 5, 3], unit="ms", at_most=2)

    assert (row.value, row.is_met) == (2, True)
    assert "9.00 : 3.00 ms, 3 pairs" in row.measured


def test_a_missed_target_is_marked_in_the_table() -> None:
    table = table_of([figure("layer", 21, "MB", 20), figure("memory", 100, "MB", 160)])

    assert "| layer |  | 20 | 21 **missed** |" in table
    assert "| memory |  | 160 | 100 |" in table


@pytest.fixture
def peer(stack: DevStack) -> Iterator[ModuleType]:
    """Return the FastAPI service, on the stack's tables; Mangum uses the current event loop."""
    assert stack
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    spec = importlib.util.spec_from_file_location("peer", PEER)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    asyncio.set_event_loop(None)
    loop.close()


def body_from(peer: ModuleType, event: events.Event) -> dict[str, Any]:
    response = peer.lambda_handler(event, Context())
    assert response["statusCode"] == 200, response["body"]
    body: dict[str, Any] = json.loads(response["body"])
    return body


def test_the_peer_appends_and_lists_as_we_do(peer: ModuleType) -> None:
    appended = body_from(peer, events.append("conv_1", 20))

    listed = body_from(peer, events.list_items("conv_1", 100))

    assert appended == listed
    assert [item["content"] for item in listed["data"]] == [
        message["content"] for message in events.messages(20)
    ]


def test_the_peer_rejects_what_is_no_batch(peer: ModuleType) -> None:
    event = events.append("conv_1", 1) | {"body": '{"items": []}'}

    response = peer.lambda_handler(event, Context())

    assert response["statusCode"] == 400
    assert json.loads(response["body"])["error"]["param"] == "items"
