import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.errors import TemplateError
from local.functions import FunctionError
from local.intrinsics import Json, JsonObject
from local.patterns import matches
from local.stack import DevStack
from local.streams import EventSourceMapping
from local.template import TEMPLATE, Subscription, Template

APP = Path(__file__).parent / "app" / "template.yaml"


@pytest.fixture(scope="module")
def running_app() -> Iterator[DevStack]:
    with DevStack.start(engine="moto", template=APP) as app:
        yield app


@pytest.fixture
def app(running_app: DevStack) -> DevStack:
    running_app.reset()
    return running_app


def note(app: DevStack, name: str, kind: str = "loud") -> None:
    with app.engine.lock:
        app.resources.dynamodb.put_item(
            TableName=app.template.name("NotesTable"),
            Item={"id": {"S": name}, "kind": {"S": kind}},
        )


def heard(app: DevStack) -> dict[str, int]:
    """Return how often the function received each note."""
    app.drain_streams()
    with app.engine.lock:
        rows = app.resources.dynamodb.scan(TableName=app.template.name("HeardTable"))["Items"]
    return {row["id"]["S"]: int(row["times"]["N"]) for row in rows}


def test_changes_reach_the_function_once(app: DevStack) -> None:
    for name in "abcde":
        note(app, name)

    assert heard(app) == dict.fromkeys("abcde", 1)


def test_records_that_the_filter_leaves_out_do_not(app: DevStack) -> None:
    note(app, "a", kind="quiet")
    note(app, "b")
    note(app, "b", kind="modified")

    assert heard(app) == {"b": 1}


def test_failed_record_is_sent_again_and_then_given_up(
    app: DevStack, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "poison", "b", "c"):
        note(app, name)

    assert heard(app)["a"] == 1
    assert heard(app)["poison"] == 3
    assert "were dropped after" in caplog.text


def test_record_names_its_stream(app: DevStack) -> None:
    note(app, "a")
    heard(app)

    with app.engine.lock:
        rows = app.resources.dynamodb.scan(TableName=app.template.name("HeardTable"))["Items"]
        arn = app.resources.stream_arn("NotesTable")

    assert [row["arn"]["S"] for row in rows] == [arn]


class Listener:
    """Function that fails on some records: the whole batch, or only those that it reports."""

    def __init__(self, *, failing: str = "", naming: bool = False) -> None:
        self._failing = failing
        self._naming = naming
        self.batches: list[str] = []

    def __call__(self, payload: bytes) -> bytes:
        batch = [record["dynamodb"]["SequenceNumber"] for record in json.loads(payload)["Records"]]
        self.batches.append("".join(batch))
        failed = [name for name in batch if name in self._failing]
        if failed and not self._naming:
            raise FunctionError("It was meant to.")
        return json.dumps({"batchItemFailures": [{"itemIdentifier": n} for n in failed]}).encode()


def delivered(
    listener: Listener,
    *,
    size: int = 4,
    retries: int = 1,
    reports: bool = False,
    bisects: bool = False,
) -> list[str]:
    """Return the batches in which the function receives the records a, b, c and d."""
    subscription = Subscription("Table", (), size, reports, bisects, retries)
    EventSourceMapping(subscription, listener).deliver(
        [{"dynamodb": {"SequenceNumber": n}} for n in "abcd"]
    )
    return listener.batches


def test_records_come_in_batches_of_the_size() -> None:
    assert delivered(Listener(), size=3) == ["abc", "d"]


def test_failed_batch_comes_whole_again() -> None:
    assert delivered(Listener(failing="c"), retries=2) == ["abcd"] * 3


def test_failed_batch_comes_in_halves_if_the_mapping_bisects() -> None:
    batches = delivered(Listener(failing="c"), retries=2, bisects=True)

    assert batches == ["abcd", "ab", "cd", "c", "d"]


def test_named_record_comes_again_with_those_behind_it() -> None:
    listener = Listener(failing="c", naming=True)

    assert delivered(listener, reports=True) == ["abcd", "cd"]


def test_named_records_mean_nothing_unless_the_mapping_says_so() -> None:
    assert delivered(Listener(failing="c", naming=True)) == ["abcd"]


def test_mapping_without_a_limit_gives_up_all_the_same() -> None:
    assert len(delivered(Listener(failing="a"), retries=-1)) == 11


@pytest.mark.parametrize(
    ("rules", "value", "is_match"),
    [
        (["a", "b"], "b", True),
        (["a", "b"], "c", False),
        ([None], None, True),
        ([{"exists": True}], "x", True),
        ([{"prefix": "ab"}], "abc", True),
        ([{"prefix": "ab"}], "ba", False),
        ([{"suffix": "bc"}], "abc", True),
        ([{"suffix": "bc"}], 1, False),
        ([{"anything-but": ["a"]}], "b", True),
        ([{"anything-but": "a"}], "a", False),
        ([{"numeric": [">", 1, "<=", 5]}], 5, True),
        ([{"numeric": [">", 1, "<=", 5]}], 1, False),
        ([{"numeric": ["=", 3]}], "3", False),
        ([{"numeric": [">=", 3, "<", 4]}], 3.5, True),
    ],
)
def test_rule_accepts_a_value(rules: Json, value: Json, is_match: bool) -> None:  # noqa: FBT001 - a table
    assert matches({"field": rules}, {"field": value}) is is_match


def test_pattern_needs_every_field() -> None:
    pattern: JsonObject = {"a": {"b": ["x"]}, "c": [{"exists": False}]}

    assert matches(pattern, {"a": {"b": "x", "more": 1}})
    assert not matches(pattern, {"a": {"b": "x"}, "c": 1})
    assert not matches(pattern, {"a": "x"})
    assert not matches(pattern, {})


@pytest.mark.parametrize("rules", [[{"ip": "192.0.2.0/24"}], "a"], ids=["rule", "no-list"])
def test_pattern_that_cannot_be_read_is_rejected(rules: Json) -> None:
    with pytest.raises(TemplateError):
        matches({"field": rules}, {"field": "a"})


def test_purge_is_subscribed_to_its_sample() -> None:
    [subscription] = Template().functions["PurgeFunction"].subscriptions
    [record] = json.loads((TEMPLATE.parent / "events" / "purge.json").read_text())["Records"]
    patterns = [json.loads(pattern) for pattern in subscription.filters]

    assert subscription.table == "ConversationsTable"
    assert any(matches(pattern, record) for pattern in patterns)
    del record["dynamodb"]["NewImage"]["deleted_at"]
    assert not any(matches(pattern, record) for pattern in patterns)
