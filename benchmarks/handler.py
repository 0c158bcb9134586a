"""CPU of the handler compared with floors, and its calls to AWS.

A floor is the least code that could handle a request with one row per item, without atomicity or
idempotency. For an append, it is `validate_json` of the body and one boto3 call that writes the
conversation row and the items. For a page, it is one `Query` of the items, whose JSON is joined.
Handler and floors alternate in one process, with recorded responses of DynamoDB.
"""

from __future__ import annotations

import importlib
import itertools
import json
import tempfile
import time
from contextlib import closing, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self, cast

import boto3
from pydantic import TypeAdapter

from benchmarks import events
from benchmarks.comparisons import Row, figure, ratio
from benchmarks.recorder import ClientRecorder
from benchmarks.worker import Context
from conversations import aws_clients, ids
from conversations.contract.bodies import AppendItems
from conversations.storage import payloads, rows
from conversations.storage.items import encode_item
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
BATCH_ITEMS = 20
PAGE_ITEMS = 100
CONVERSATION_ITEMS = 1_000
PAGES = {
    f"newest {PAGE_ITEMS} of {CONVERSATION_ITEMS:,} items": "desc",
    f"oldest {PAGE_ITEMS} of {CONVERSATION_ITEMS:,} items": "asc",
}
"""Orders of the measured pages, by name. Cold starts replay the responses to the last page."""
ROWS_AT_ONCE = 25


class Handler:
    """API function in this process, on MiniStack; `running` creates it."""

    def __init__(self, template: Template, resources: Resources) -> None:
        self._table = template.name("ConversationsTable")
        self._resources = resources
        self.recorder = ClientRecorder()
        self.app: ModuleType = importlib.import_module("functions.api.app")
        self.recorder.record(self.app.dynamodb_client())

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Self]:
        """Create the template's tables and bucket for the block."""
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

    def request_json(self, event: Event) -> dict[str, Any]:
        """Return the response's JSON.

        Raises:
            RuntimeError: the status is not 200.
        """
        parsed: dict[str, Any] = json.loads(self.invoke(event))
        return parsed

    def invoke(self, event: Event) -> str:
        """Return the response's body, unparsed, to measure the function alone.

        Raises:
            RuntimeError: the status is not 200.
        """
        response = self.app.lambda_handler(event, cast("LambdaContext", Context()))
        if response["statusCode"] != HTTPStatus.OK:
            raise RuntimeError(response["body"])
        return str(response["body"])

    def calls_of(self, event: Event) -> Sequence[tuple[str, int]]:
        """Return the DynamoDB calls of a request, and the bytes of each."""
        self.recorder.calls.clear()
        self.request_json(event)
        return [(call.operation, call.request_bytes) for call in self.recorder.calls]

    def conversation(self, items: int) -> str:
        """Create a conversation of *items* items, in batches of 20."""
        conversation_id = self.request_json(events.event("POST", events.CONVERSATIONS, {}))["id"]
        for _ in range(items // BATCH_ITEMS):
            self.request_json(events.append(conversation_id, BATCH_ITEMS))
        if items % BATCH_ITEMS:
            self.request_json(events.append(conversation_id, items % BATCH_ITEMS))
        return str(conversation_id)

    def large_conversation(self, items: int) -> str:
        """Create a conversation of *items* items, most of them put without transactions."""
        conversation_id = self.conversation(ROWS_AT_ONCE)
        owner = self.request_json(
            events.event("GET", events.CONVERSATION, conversation_id=conversation_id)
        )["identity"]
        pk = rows.partition(owner, conversation_id)
        lines = [encode_item(cast("Any", message)) for message in events.messages(BATCH_ITEMS)]
        payload = payloads.encode(lines)
        for start in range(0, items // BATCH_ITEMS, ROWS_AT_ONCE):
            batches = range((1 << 64) + start, (1 << 64) + start + ROWS_AT_ONCE)
            keys = [ids.sequence_keys(batch, 1)[0] for batch in batches]
            self.put([rows.batch_row(pk, key, BATCH_ITEMS, payload) for key in keys])
        return conversation_id

    def put(self, found: Sequence[dict[str, Any]]) -> None:
        """Put up to `ROWS_AT_ONCE` rows into the table."""
        puts: list[WriteRequestUnionTypeDef] = [{"PutRequest": {"Item": row}} for row in found]
        self._resources.dynamodb.batch_write_item(RequestItems={self._table: puts})

    @property
    def table(self) -> str:
        """Name of the conversations table."""
        return self._table


class Floor(NamedTuple):
    """Minimal work of a request with one row per item: one call to DynamoDB."""

    against: str
    at_most: float
    params: dict[str, Any]
    """Parameters of the call."""
    work: Callable[[DynamoDBClient, str, dict[str, Any]], object]
    """Function of a client, the request's body and the parameters."""


def _item_rows(pk: str, count: int) -> list[dict[str, Any]]:
    """Return a row for each item, as in a store with one row per item."""
    lines = [encode_item(cast("Any", message)) for message in events.messages(count)]
    keys = ids.sequence_keys(1 << 64, count)
    return [
        {
            **rows.primary_key(pk, f"i#{key}"),
            "type": {"S": "message"},
            "codec": {"S": "json"},
            "size": rows.number(len(line)),
            "data": {"B": line.encode()},
        }
        for key, line in zip(keys, lines, strict=True)
    ]


def _append_floor(handler: Handler, event: Event, count: int, at_most: float) -> Floor:
    adapter = TypeAdapter(AppendItems)
    handler.calls_of(event)
    [ours] = [
        call.params for call in handler.recorder.calls if call.operation == "TransactWriteItems"
    ]
    puts = [{"Put": {"TableName": handler.table, "Item": row}} for row in _item_rows("a/b", count)]
    params = {**ours, "TransactItems": [ours["TransactItems"][0], *puts]}

    def work(client: DynamoDBClient, body: str, params: dict[str, Any]) -> None:
        adapter.validate_json(body)
        client.transact_write_items(**params)

    return Floor("pydantic + boto3, a row for each item", at_most, params, work)


def _page_floor(handler: Handler, at_most: float) -> Floor:
    for part in itertools.batched(
        _item_rows("floor/page", PAGE_ITEMS + 1), ROWS_AT_ONCE, strict=False
    ):
        handler.put(part)
    params = {
        "TableName": handler.table,
        "KeyConditionExpression": "pk = :pk AND begins_with(sk, :items)",
        "ExpressionAttributeValues": {":pk": {"S": "floor/page"}, ":items": {"S": "i#"}},
        "ConsistentRead": True,
        "Limit": PAGE_ITEMS + 1,
    }

    def work(client: DynamoDBClient, _: str, params: dict[str, Any]) -> str:
        found = client.query(**params)["Items"]
        return f'{{"data":[{",".join(bytes(row["data"]["B"]).decode() for row in found)}]}}'

    return Floor("boto3 Query of a row for each item, joined", at_most, params, work)


def compare_with_floors(handler: Handler, pairs: int) -> list[Row]:
    """Compare the CPU of appends of 1 and 20 items and of pages of 100 with their floors.

    The first floor uses a stock boto3 client, which validates each value against its model. The
    second uses our client, which does not, so that the ratio shows the rest of our code.
    """
    conversation_id = handler.conversation(CONVERSATION_ITEMS)
    one, many = events.append(conversation_id, 1), events.append(conversation_id, BATCH_ITEMS)
    compared = {
        "append of 1": (one, _append_floor(handler, one, 1, 1.20)),
        f"append of {BATCH_ITEMS}": (many, _append_floor(handler, many, BATCH_ITEMS, 0.65)),
    }
    for page, order in PAGES.items():
        event = events.list_items(conversation_id, PAGE_ITEMS, order)
        compared[page] = (event, _page_floor(handler, 0.60))
    return [
        row
        for name, (event, floor) in compared.items()
        for row in _compare(handler, f"{name}: handler CPU", event, floor, pairs)
    ]


def _compare(handler: Handler, what: str, event: Event, floor: Floor, pairs: int) -> list[Row]:
    """Compare one request with its floors, alternately."""
    handler.request_json(event)
    recorder = ClientRecorder()
    stock, same = recorder.record(boto3.client("dynamodb")), recorder.record(aws_clients.dynamodb())
    recorder.responses["TransactWriteItems"] = b"{}"
    if "TransactItems" not in floor.params:
        floor.work(stock, event["body"], floor.params)  # whose response is replayed
    with handler.recorder.replaying(), recorder.replaying():
        ours, theirs, sames = in_turn(
            pairs,
            lambda: handler.invoke(event),
            lambda: floor.work(stock, event["body"], floor.params),
            lambda: floor.work(same, event["body"], floor.params),
        )
    of_ours = f"{floor.against}, by our client"
    return [
        ratio(what, floor.against, ours=ours, theirs=theirs, unit="ms", at_most=floor.at_most),
        ratio(what, of_ours, ours=ours, theirs=sames, unit="ms"),
    ]


def count_round_trips(handler: Handler) -> list[Row]:
    """Count the calls to AWS per request."""
    conversation_id = handler.conversation(CONVERSATION_ITEMS)
    item = handler.request_json(events.list_items(conversation_id, 1))["data"][0]["id"]
    counted = {
        "append of 20 items": events.append(conversation_id, BATCH_ITEMS),
        "item by its generated id": events.get_item(conversation_id, item),
    }
    for page, order in PAGES.items():
        counted[page] = events.list_items(conversation_id, PAGE_ITEMS, order)
    limits = (1, 1, 2, 1)
    return [
        figure(f"{what}: calls to AWS", len(handler.calls_of(event)), "calls", at_most)
        for (what, event), at_most in zip(counted.items(), limits, strict=True)
    ]


def compare_lengths(handler: Handler, rounds: int, large: int) -> list[Row]:
    """Compare an append to a conversation of many items with one to a conversation of 10."""
    many, few = (
        events.append(conversation_id, 1)
        for conversation_id in (handler.large_conversation(large), handler.conversation(10))
    )
    what = f"append to a conversation of {large:,} items"
    against = "append to a conversation that began with 10 items"
    calls = [(handler.calls_of(many), handler.calls_of(few)) for _ in range(WARM_UP)]
    sizes = [[sum(size for _, size in each) for each in both] for both in calls]
    trips = [[len(each) for each in both] for both in calls]
    columns = in_turn(rounds, lambda: handler.invoke(many), lambda: handler.invoke(few))
    return [
        ratio(f"{what}: {name}", against, ours=ours, theirs=theirs, unit=unit, at_most=1.05)
        for name, unit, (ours, theirs) in (
            ("CPU", "ms", columns),
            ("bytes sent", "bytes", zip(*sizes, strict=True)),
            ("calls", "calls", zip(*trips, strict=True)),
        )
    ]


def in_turn(rounds: int, *works: Callable[[], object]) -> list[list[float]]:
    """Return the CPU milliseconds of each function, round by round, after a warm-up."""
    measured = [[cpu_ms(work) for work in works] for _ in range(WARM_UP + rounds)]
    return [[*column] for column in zip(*measured[WARM_UP:], strict=True)]


def cpu_ms(work: Callable[[], object]) -> float:
    """Return the CPU milliseconds of all threads of this process for one call."""
    before = time.process_time_ns()
    work()
    return (time.process_time_ns() - before) / 1_000_000
