"""What the handler adds to the calls that it makes, and what it asks of AWS.

The floor is what no service of this kind can do without: one `validate_json` of the body and one
boto3 call with the same parameters, or one such call and the payloads of its answer put together.
Handler and floors run in turn, in one process; DynamoDB's part is answered from memory.
"""

from __future__ import annotations

import importlib
import json
import tempfile
import time
from contextlib import closing, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self, cast
from unittest.mock import patch

import boto3
from pydantic import TypeAdapter

from benchmarks import events
from benchmarks.comparisons import Row, figure, ratio
from benchmarks.wire import Wire
from benchmarks.worker import Context
from conversations import clients, ids, payloads, rows
from conversations.contract.items import Batch
from local.engines import changed_environment, running_engine
from local.resources import Resources
from local.template import Template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import ModuleType

    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import WriteRequestUnionTypeDef

    from benchmarks.events import Event

WARM_UP = 30
AGE_SECONDS = 2 * 3600
"""Of the conversations: in one of the last hour a page may take one call more (docs/storage.md)."""
BATCH_ITEMS = 20
PAGE_ITEMS = 100
CONVERSATION_ITEMS = 1_000
ROWS_AT_ONCE = 25


class Handler:
    """The API function in this process, on MiniStack: made by `running`."""

    def __init__(self, template: Template, resources: Resources) -> None:
        self._table = template.name("ConversationsTable")
        self._resources = resources
        self.wire = Wire()
        self.app: ModuleType = importlib.import_module("functions.api.app")
        self.wire.tap(self.app.dynamodb())

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Self]:
        """Have the tables and the bucket of the template until the block is left."""
        template = Template()
        environment = template.functions["ApiFunction"].environment
        with (
            tempfile.TemporaryDirectory() as folder,
            running_engine("ministack", Path(folder)),
            changed_environment(environment),
            closing(Resources(template)) as resources,
        ):
            resources.create()
            yield cls(template, resources)

    def ask(self, event: Event) -> dict[str, Any]:
        """The answer's JSON.

        Raises:
            RuntimeError: it is no 200.
        """
        answer = self.app.lambda_handler(event, cast("LambdaContext", Context()))
        if answer["statusCode"] != HTTPStatus.OK:
            raise RuntimeError(answer["body"])
        asked: dict[str, Any] = json.loads(answer["body"])
        return asked

    def calls_of(self, event: Event) -> Sequence[tuple[str, int]]:
        """The calls to DynamoDB that the answer took, and the bytes of each request."""
        self.wire.calls.clear()
        self.ask(event)
        return [(call.operation, call.request_bytes) for call in self.wire.calls]

    def conversation(self, items: int) -> str:
        """A conversation whose items are some hours old."""
        then = time.time_ns() - AGE_SECONDS * 10**9
        with patch("time.time_ns", lambda: then):
            made = self.ask(events.event("POST", events.CONVERSATIONS, {}))["id"]
            for _ in range(items // BATCH_ITEMS):
                self.ask(events.append(made, BATCH_ITEMS))
            if items % BATCH_ITEMS:
                self.ask(events.append(made, items % BATCH_ITEMS))
        return str(made)

    def large_conversation(self, items: int) -> str:
        """One with so many items that all but the last are put before it without a transaction."""
        made = self.conversation(ROWS_AT_ONCE)
        owner = self.ask(events.event("GET", events.CONVERSATION, conversation_id=made))["identity"]
        pk = rows.partition(owner, made)
        [message] = events.messages(1)
        draft = rows.Draft.of(cast("Any", message))
        payload = payloads.encode(draft.text, param="items[0]")
        for start in range(0, items - ROWS_AT_ONCE, ROWS_AT_ONCE):
            puts: list[WriteRequestUnionTypeDef] = [
                {"PutRequest": {"Item": rows.item_row(pk, key, draft, payload)}}
                for key in ids.entry_keys((1 << 64) + start, ROWS_AT_ONCE)
            ]
            self._resources.dynamodb.batch_write_item(RequestItems={self._table: puts})
        return made


class Floor(NamedTuple):
    """The least that a request takes, which is one call to DynamoDB."""

    against: str
    operation: str
    at_most: float
    work: Callable[[DynamoDBClient, str, dict[str, Any]], object]
    """It gets a client, the request's body, and the parameters of the handler's own call."""


def _append_floor() -> Floor:
    adapter = TypeAdapter(Batch)

    def work(client: DynamoDBClient, body: str, params: dict[str, Any]) -> None:
        adapter.validate_json(body)
        client.transact_write_items(**params)

    return Floor("validate_json + the same boto3 call", "TransactWriteItems", 1.35, work)


def _page_floor() -> Floor:
    def work(client: DynamoDBClient, _: str, params: dict[str, Any]) -> str:
        found = (rows.read_payload(row) for row in client.query(**params)["Items"])
        return f'{{"data":[{",".join(map(payloads.decode, found))}]}}'

    return Floor("the same boto3 Query + its payloads joined", "Query", 1.5, work)


def compare_with_floors(handler: Handler, pairs: int) -> list[Row]:
    """CPU of an append of 1 and of 20 items, and of a page of 100, each against its floors.

    The first floor has a client as boto3 makes it, which takes each value through its model. The
    second has ours, which does not, so that what is left is the rest of our code.
    """
    made = handler.conversation(CONVERSATION_ITEMS)
    append, page = _append_floor(), _page_floor()
    compared = {
        "append of 1": (events.append(made, 1), append),
        f"append of {BATCH_ITEMS}": (events.append(made, BATCH_ITEMS), append),
        f"page of {PAGE_ITEMS}, of {CONVERSATION_ITEMS:,} items": (
            events.list_items(made, PAGE_ITEMS),
            page,
        ),
    }
    return [
        row
        for name, (event, floor) in compared.items()
        for row in _compare(handler, f"{name}: handler CPU", event, floor, pairs)
    ]


def _compare(handler: Handler, what: str, event: Event, floor: Floor, pairs: int) -> list[Row]:
    """One request against its floors, in turn."""
    handler.calls_of(event)
    [params] = [call.params for call in handler.wire.calls if call.operation == floor.operation]
    stock = handler.wire.tap(boto3.client("dynamodb"))
    same = handler.wire.tap(clients.dynamodb())
    with handler.wire.replaying():
        ours, theirs, sames = in_turn(
            pairs,
            lambda: handler.ask(event),
            lambda: floor.work(stock, event["body"], params),
            lambda: floor.work(same, event["body"], params),
        )
    of_ours = f"{floor.against}, by our client"
    return [
        ratio(what, floor.against, ours=ours, theirs=theirs, unit="ms", at_most=floor.at_most),
        ratio(what, of_ours, ours=ours, theirs=sames, unit="ms"),
    ]


def count_round_trips(handler: Handler) -> list[Row]:
    """How often an answer waits for AWS."""
    made = handler.conversation(CONVERSATION_ITEMS)
    item = handler.ask(events.list_items(made, 1))["data"][0]["id"]
    counted = {
        "append of 20 items": events.append(made, BATCH_ITEMS),
        "item by its generated id": events.get_item(made, item),
        "page of 100, both at once": events.list_items(made, PAGE_ITEMS),
    }
    limits = (1, 1, 2)
    return [
        figure(f"{what}: calls to AWS", len(handler.calls_of(event)), "calls", at_most)
        for (what, event), at_most in zip(counted.items(), limits, strict=True)
    ]


def compare_lengths(handler: Handler, rounds: int, large: int) -> list[Row]:
    """An append of 1 item to a conversation of many items, against one to a conversation of 10."""
    many, few = (
        events.append(made, 1)
        for made in (handler.large_conversation(large), handler.conversation(10))
    )
    what, against = f"append to a conversation of {large:,} items", "to one that began with 10"
    calls = [(handler.calls_of(many), handler.calls_of(few)) for _ in range(WARM_UP)]
    sizes = [[sum(size for _, size in each) for each in both] for both in calls]
    trips = [[len(each) for each in both] for both in calls]
    columns = in_turn(rounds, lambda: handler.ask(many), lambda: handler.ask(few))
    return [
        ratio(f"{what}: {name}", against, ours=ours, theirs=theirs, unit=unit, at_most=1.05)
        for name, unit, (ours, theirs) in (
            ("CPU", "ms", columns),
            ("bytes sent", "bytes", zip(*sizes, strict=True)),
            ("calls", "calls", zip(*trips, strict=True)),
        )
    ]


def in_turn(rounds: int, *works: Callable[[], object]) -> list[list[float]]:
    """The CPU milliseconds of each work, round by round, after a warm-up."""
    measured = [[cpu_ms(work) for work in works] for _ in range(WARM_UP + rounds)]
    return [[*column] for column in zip(*measured[WARM_UP:], strict=True)]


def cpu_ms(work: Callable[[], object]) -> float:
    """The CPU milliseconds of this process, all of its threads, for one call."""
    before = time.process_time_ns()
    work()
    return (time.process_time_ns() - before) / 1_000_000
