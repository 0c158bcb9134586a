from collections.abc import Iterator
from pathlib import Path

import pytest

from local.errors import TemplateError
from local.intrinsics import Json, JsonObject
from local.patterns import matches
from local.stack import LocalStack
from local.template import Template

APP = Path(__file__).parent / "local_app" / "template.yaml"


@pytest.fixture(scope="module")
def running_app() -> Iterator[LocalStack]:
    with LocalStack.start(engine="moto", template=APP) as app:
        yield app


@pytest.fixture
def app(running_app: LocalStack) -> LocalStack:
    running_app.reset()
    return running_app


def note(app: LocalStack, name: str, kind: str = "loud") -> None:
    with app.engine.turn:
        app.resources.dynamodb.put_item(
            TableName=app.template.name("NotesTable"),
            Item={"id": {"S": name}, "kind": {"S": kind}},
        )


def heard(app: LocalStack) -> dict[str, int]:
    """How often the function on the stream was told of each note."""
    app.drain_streams()
    with app.engine.turn:
        rows = app.resources.dynamodb.scan(TableName=app.template.name("HeardTable"))["Items"]
    return {row["id"]["S"]: int(row["times"]["N"]) for row in rows}


def test_changes_reach_the_function_once(app: LocalStack) -> None:
    for name in "abcde":
        note(app, name)

    assert heard(app) == dict.fromkeys("abcde", 1)


def test_records_that_the_filter_leaves_out_do_not(app: LocalStack) -> None:
    note(app, "a", kind="quiet")
    note(app, "b")
    note(app, "b", kind="modified")

    assert heard(app) == {"b": 1}


def test_failed_record_is_sent_again_and_then_given_up(
    app: LocalStack, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "poison", "b", "c"):
        note(app, name)

    assert heard(app)["a"] == 1
    assert heard(app)["poison"] == 3
    assert "given up" in caplog.text


def test_record_names_its_stream(app: LocalStack) -> None:
    note(app, "a")
    heard(app)

    with app.engine.turn:
        rows = app.resources.dynamodb.scan(TableName=app.template.name("HeardTable"))["Items"]
        arn = app.resources.stream_arn("NotesTable")

    assert [row["arn"]["S"] for row in rows] == [arn]


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
def test_pattern_that_cannot_be_read_is_refused(rules: Json) -> None:
    with pytest.raises(TemplateError):
        matches({"field": rules}, {"field": "a"})


def test_purge_is_subscribed_to_deleted_conversations_only() -> None:
    [subscription] = Template().functions["PurgeFunction"].subscriptions

    assert subscription.table == "ConversationsTable"
    assert len(subscription.filters) == 1
