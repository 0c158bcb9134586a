"""The scan of a search: its budget, its cursor, and concurrent changes."""

from __future__ import annotations

import itertools
import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from conversations import aws_clients
from conversations.contract.text import item_texts
from conversations.errors import ConversationNotFoundError
from conversations.model import IdempotencyInfo
from conversations.storage import payloads, rows
from conversations.storage.payloads import PayloadStore
from conversations.storage.purge import sweep
from conversations.storage.scan import read_batch, scan_batches
from conversations.storage.search import SearchLimits, normalized
from conversations.storage.store import Store
from conversations.storage.transactions import Table
from tests.support.http_helpers import HELLO, NOISE, Json
from tests.support.stateful_base import Inline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor

    from mypy_boto3_dynamodb.client import DynamoDBClient

    from conversations.model import Order
    from local.resources import Resources

BODIES = itertools.count()
OWNERS = map("{:064x}".format, itertools.count())
TINY = SearchLimits(bytes=1)


class World:
    """A store, its parts, and requests to it."""

    def __init__(self, resources: Resources, dynamodb: DynamoDBClient, executor: Executor) -> None:
        self.owner = next(OWNERS)
        name = resources.template.name
        self.dynamodb = dynamodb
        self.s3 = resources.s3
        self.table = Table(self.dynamodb, name("ConversationsTable"))
        self.payloads = PayloadStore(name("PayloadBucket"), lambda: self.s3, executor)
        self.limits(SearchLimits())

    def limits(self, limits: SearchLimits) -> None:
        self.store = Store(self.table, self.payloads, search_limits=limits)

    def create(self, *batches: list[Json], **metadata: str) -> str:
        made = self.store.create_conversation(self.owner, "acme", [], metadata, request())
        for items in batches:
            self.append(made.conversation_id, *items)
        return made.conversation_id

    def append(self, conversation_id: str, *items: Json) -> list[str]:
        given = cast("Any", [{"type": "message", **item} for item in items])
        appended = self.store.append_items(self.owner, conversation_id, given, request())
        return [item.cursor for item in appended]

    def row(self, conversation_id: str) -> rows.Row:
        key = rows.primary_key(rows.partition(self.owner, conversation_id), rows.CONVERSATION_SK)
        return self.dynamodb.get_item(TableName=self.table.name, Key=key)["Item"]

    def pages(self, search: str, limit: int = 20, order: Order = "asc") -> Iterator[list[str]]:
        """Return the ids of each page, up to the last one."""
        after, has_more = None, True
        while has_more:
            page = self.store.list_conversations(
                self.owner, after=after, limit=limit, order=order, metadata={}, search=search
            )
            yield [entry.conversation_id for entry in page.entries]
            assert page.cursor or not page.has_more
            after, has_more = page.cursor, page.has_more

    def found(self, search: str, limit: int = 20, order: Order = "asc") -> list[str]:
        return [name for page in self.pages(search, limit, order) for name in page]


def request() -> IdempotencyInfo:
    return IdempotencyInfo(body_hash=str(next(BODIES)))


def said(text: str) -> Json:
    return {"role": "user", "content": text}


@pytest.fixture(scope="module")
def dynamodb(ministack: Resources) -> Iterator[DynamoDBClient]:  # noqa: ARG001 - its endpoint
    with closing(aws_clients.dynamodb()) as client:
        yield client


@pytest.fixture
def world(ministack: Resources, dynamodb: DynamoDBClient) -> Iterator[World]:
    with ThreadPoolExecutor(8) as executor:
        yield World(ministack, dynamodb, executor)


def test_a_search_that_reads_too_much_goes_on_in_the_next_page(world: World) -> None:
    names = [world.create([said(f"number {n}")], [said("thing")]) for n in range(10)]
    world.limits(TINY)

    pages = [*world.pages("thing 7")]

    assert len(pages) > 10
    assert [name for page in pages for name in page] == [names[7]]
    assert pages[0] == []


def test_a_search_goes_on_inside_a_conversation_with_the_words_it_has_found(world: World) -> None:
    wanted = world.create([said("alpha")], [said("beta")], [said(NOISE)], [said("gamma")])
    world.create([said("alpha")], [said("beta")])
    world.limits(TINY)

    assert world.found("gamma alpha") == [wanted]
    assert world.found("alpha gamma delta") == []
    assert len([*world.pages("delta")]) >= 4


def test_a_search_that_ran_out_of_time_goes_on_in_the_next_page(world: World) -> None:
    names = [world.create([said("thing")]) for _ in range(20)]
    world.limits(SearchLimits(milliseconds=0))

    pages = [*world.pages("thing")]

    assert len(pages) == 3  # as many as are read at the same time, each time
    assert [name for page in pages for name in page] == names


def test_a_search_goes_on_where_its_conversation_was_deleted(world: World) -> None:
    first = world.create([said("alpha")], [said("beta")])
    second = world.create([said("alpha beta")])
    world.limits(TINY)
    list_page = world.store.list_conversations
    page = list_page(
        world.owner, after=None, limit=1, order="asc", metadata={}, search="beta alpha"
    )
    assert page.cursor.startswith(f"{first}~")

    world.store.delete_conversation(world.owner, first)

    rest = list_page(
        world.owner, after=page.cursor, limit=5, order="asc", metadata={}, search="beta alpha"
    )
    assert [entry.conversation_id for entry in rest.entries] == [second]


def test_a_cursor_inside_a_conversation_is_a_place_in_the_plain_list_too(world: World) -> None:
    first, second = world.create([said("alpha")], [said("beta")]), world.create()
    world.limits(TINY)
    list_page = world.store.list_conversations
    page = list_page(world.owner, after=None, limit=1, order="asc", metadata={}, search="x")

    rest = list_page(world.owner, after=page.cursor, limit=5, order="asc", metadata={})

    assert page.cursor.startswith(f"{first}~")
    assert [entry.conversation_id for entry in rest.entries] == [second]


def test_an_index_entry_that_is_seen_twice_is_found_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conversations.storage.search.BATCH_GET_MAX", 1)
    moved = world.create([said("thing")])
    other = world.create([said("thing")])
    hook(world, "after-call.dynamodb.Query", lambda **_: world.append(moved, said("more")), 1)

    assert world.found("thing") == [moved, other]


def test_a_page_of_the_index_without_a_match_ends_a_search_that_ran_out_of_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conversations.storage.conversation_pages.BATCH_GET_MAX", 1)
    for _ in range(3):
        world.create([said("thing")])
    wanted = world.create([said("thing")], team="red")
    world.limits(SearchLimits(milliseconds=0))
    after, seen = None, []
    for _ in range(4):
        page = world.store.list_conversations(
            world.owner, after=after, limit=5, order="asc", metadata={"team": "red"}, search="thing"
        )
        after = page.cursor
        seen.append([entry.conversation_id for entry in page.entries])

    assert seen == [[], [], [], [wanted]]


def hook(world: World, event: str, act: Callable[..., object], times: int = 1) -> None:
    """Call a function at the first *times* events of botocore."""
    left = itertools.count(1)

    def once(**given: Any) -> None:
        if next(left) <= times:
            act(**given)

    client = world.s3 if ".s3" in event else world.dynamodb
    client.meta.events.register(event, once)


def test_a_recent_batch_that_the_query_does_not_return_yet_is_read(world: World) -> None:
    name = world.create([said("one")], [said("two")], [said("three")])

    def hide(parsed: Json, **_: object) -> None:
        del parsed["Items"][1]

    hook(world, "after-call.dynamodb.Query", hide)
    found = [*scan_batches(world.table, world.row(name))]

    assert [json.loads(row["data"]["B"])["content"] for row in found] == ["one", "two", "three"]


def test_all_batches_of_a_long_conversation_are_read_in_order(world: World) -> None:
    name = world.create(*([said(f"{number}")] for number in range(15)))
    found = [*scan_batches(world.table, world.row(name))]

    assert [json.loads(row["data"]["B"])["content"] for row in found] == [*map(str, range(15))]
    after = rows.batch_key(found[1])
    assert [*scan_batches(world.table, world.row(name), after)] == found[2:]
    expired = found[0] | {"expires_at": {"N": "1"}}
    world.dynamodb.put_item(TableName=world.table.name, Item=expired)
    assert [*scan_batches(world.table, world.row(name))] == found[1:]


def test_a_batch_that_was_appended_later_is_left_out(world: World) -> None:
    name = world.create([said("one")])
    row = world.row(name)
    world.append(name, said("two"))

    assert len([*scan_batches(world.table, row)]) == 1
    assert len([*scan_batches(world.table, world.row(name))]) == 2


def test_a_conversation_that_goes_while_it_is_read_is_not_found(world: World) -> None:
    name = world.create([said("one")])
    row = world.row(name)
    world.store.delete_conversation(world.owner, name)
    sweep(world.table, world.payloads, row["pk"]["S"], lambda: True)

    with pytest.raises(ConversationNotFoundError):
        [*scan_batches(world.table, row)]


def test_a_search_leaves_out_a_conversation_that_is_purged_under_it(world: World) -> None:
    name, other = world.create([said(NOISE)]), world.create([said("needle")])

    def purge(**_: object) -> None:
        world.store.delete_conversation(world.owner, name)
        pk = rows.partition(world.owner, name)
        sweep(world.table, world.payloads, pk, lambda: True)

    hook(world, "before-call.s3.GetObject", purge)

    assert world.found("needle") == [other]


def test_a_batch_whose_object_was_replaced_is_read_again(world: World) -> None:
    name = world.create([said(NOISE), said("needle")])
    [row] = scan_batches(world.table, world.row(name))
    [first, last] = [item.cursor for item in listed(world, name)]

    world.store.delete_items(world.owner, name, [first], param="item_id")
    lines = read_batch(world.table, world.payloads, row).lines
    world.store.delete_items(world.owner, name, [last], param="item_id")
    gone = read_batch(world.table, world.payloads, row)

    assert [json.loads(line)["content"] for line in lines] == ["needle"]
    assert gone.lines == []


def listed(world: World, name: str) -> list[Any]:
    page = world.store.list_items(world.owner, name, after=None, limit=100, order="asc")
    return page.entries


WORDS = ["alpha", "straße", "ｶﾞ", "e\N{COMBINING ACUTE ACCENT}"]
SOUGHT = ["LPH", "STRASSE", "ガ", "é"]
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=2).map(" ".join) | st.text(max_size=4)
SHORT_TEXTS = st.lists(st.text(max_size=2), min_size=1, max_size=2)
CONVERSATIONS = st.lists(
    st.tuples(
        st.lists(st.lists(TEXTS, min_size=1, max_size=2), min_size=2, max_size=4) | st.just([]),
        st.dictionaries(st.just("note"), TEXTS),
        st.sampled_from(["", "", "an item deleted", "deleted"]),
    ),
    min_size=1,
    max_size=4,
)
SEARCHES = st.lists(
    st.tuples(
        st.lists(st.sampled_from(SOUGHT), min_size=2, max_size=3, unique=True) | SHORT_TEXTS,
        st.integers(1, 4),
        st.sampled_from(["asc", "desc"]),
        st.sampled_from([1, 1, 900, 10**9]),
    ),
    min_size=3,
    max_size=3,
)


EXAMPLES = [25, pytest.param(int(os.environ.get("SEARCHES", "200")), marks=pytest.mark.prove)]


@pytest.mark.parametrize("examples", EXAMPLES)
def test_a_search_finds_what_a_plain_scan_of_all_lists_finds(
    examples: int,
    ministack: Resources,
    dynamodb: DynamoDBClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(payloads, "LARGE_BYTES", 110)

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],  # Shrinking an example takes minutes on an emulator.
    )
    @given(conversations=CONVERSATIONS, searches=SEARCHES)
    def holds(conversations: Any, searches: Any) -> None:
        world = World(ministack, dynamodb, Inline())
        for batches, metadata, change in conversations:
            name = world.create(**metadata)
            appended = [world.append(name, *map(said, texts)) for texts in batches]
            if change == "deleted":
                world.store.delete_conversation(world.owner, name)
            elif change and appended:
                world.store.delete_items(world.owner, name, [appended[0][0]], param="item_id")
        listed_texts = plain_scan(world)
        for words, limit, order, budget in searches:
            world.limits(SearchLimits(bytes=budget))
            wanted = normalized(" ".join(words)).split()
            matching = [
                name for name, text in listed_texts.items() if all(word in text for word in wanted)
            ]
            expected = matching if order == "asc" else matching[::-1]
            assert world.found(" ".join(words), limit, order) == expected

    holds()


def plain_scan(world: World) -> dict[str, str]:
    """Return the text of each conversation, read with the list requests, the oldest first."""
    page = world.store.list_conversations(
        world.owner, after=None, limit=50, order="asc", metadata={}
    )
    found = {}
    for conversation in page.entries:
        items = [json.loads(item.json) for item in listed(world, conversation.conversation_id)]
        texts = [text for item in items for text in item_texts(item)]
        whole = "\n".join([*texts, *conversation.metadata.values()])
        found[conversation.conversation_id] = normalized(whole)
    return found


def test_the_template_has_the_limits_of_the_code(ministack: Resources) -> None:
    environment = ministack.template.functions["ApiFunction"].environment

    assert SearchLimits.configured(environment) == SearchLimits()
    assert HELLO
