"""The store under every order of events that DynamoDB leaves open, and under random ones.

`SCHEDULES=10000 .venv/bin/pytest tests/test_interleavings.py` walks at random so often; what is
enumerated is enumerated whole in any case. `stories.EXPLORED` counts.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
import sessions
from conversations.appends import Append
from sessions import patch
from standing import UnknownStandingError
from stories import SECOND, Story, appender, deleter, ender, lister, purger

from conversations import ids, listing, purging

if TYPE_CHECKING:
    from collections.abc import Callable

    from conversations.rows import Row

SCHEDULES = int(os.environ.get("SCHEDULES", "30"))
ONE = appender("appender A", "a", None)
OTHER = appender("appender B", None, None)
KEYED = appender("appender A", None, None, key="k")
HURRIED = [actor._replace(tries=2, waits=True) for actor in (ONE, OTHER, deleter("first"))]
"""Two appenders and a deleter that give up sooner, and are not told of conflicts when they read:
there are many ways to wait. The next stories have them."""
LISTERS = (lister("asc", 3), lister("desc", 3))
STORIES: dict[str, Callable[[], Story]] = {
    "two appenders, a deleter, listers, two faults": lambda: Story(
        *HURRIED, readers=LISTERS, faults=2
    ),
    "two appenders, two faults": lambda: Story(OTHER, appender("appender C", None, None), faults=2),
    "two appenders, a token forgotten": lambda: Story(ONE, OTHER, faults=1, remembers_tokens=False),
    "two appenders, a lister": lambda: Story(ONE, OTHER, lister("asc", 2)),
    "an appender, a lister back": lambda: Story(ONE, lister("desc", 1), faults=1),
    "an appender, a lister, two faults": lambda: Story(OTHER, lister("asc", 2), faults=2),
    "an appender, a lister, a deleter": lambda: Story(OTHER, lister("desc", 2), deleter("first")),
    "an appender, a deleter, a fault": lambda: Story(ONE, deleter("first"), faults=1),
    "a lister, a deleter, two faults": lambda: Story(lister("asc", 1), deleter("first"), faults=2),
    "five batches while a lister reads": lambda: Story(
        appender("appender A", None, None, None, times=5), readers=[lister("asc", 3)]
    ),
    "an appender, an end, a purge": lambda: Story(ONE, ender(), purger()),
    "an end and a purge, two faults": lambda: Story(OTHER, ender(), purger(), faults=2),
    "an end, a purge, a key": lambda: Story(KEYED, ender(), purger(), may_stay=["k#"]),
    "an end, a purge, a deleter": lambda: Story(
        deleter(SECOND), ender(), purger(), may_stay=["p#"]
    ),
}


@pytest.fixture(autouse=True)
def _time_and_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    patch(monkeypatch)


@pytest.mark.parametrize("tell", STORIES.values(), ids=STORIES)
def test_every_interleaving_keeps_what_is_promised(
    tell: Callable[[], Story], record_property: Callable[[str, object], None]
) -> None:
    count, states = tell().explore()  # which checks what is promised, at each end

    assert count >= states > 1
    record_property("interleavings", count)
    record_property("states", states)


def test_random_schedules_of_many_writers_keep_what_is_promised(
    record_property: Callable[[str, object], None],
) -> None:
    writers = [appender(f"appender {name}", None, name, times=2) for name in "ABCD"]
    listers = [lister("asc", 2), lister("desc", 3)]
    for seed in range(SCHEDULES):
        Story(*writers, *listers, deleter("first"), faults=4).walk(seed)
    record_property("random schedules", SCHEDULES)


def blind_keys(append: Append, row: Row, reasons: Any) -> bool:
    """Takes new keys after a lost answer, without a look at the table."""
    append._keys = ids.entry_keys(ids.batch_after(row["last_key"]["S"]), 2)  # noqa: SLF001
    append._try_anew()  # noqa: SLF001
    return not reasons


def ends_of(story: Story, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What the lister of a story may have been told, and what is there then."""
    ends: set[str] = set()
    monkeypatch.setattr(
        story,
        "_check_pages",
        lambda _, memory, final: ends.add(repr([final, *(record[:2] for record in memory)])),
    )
    story.explore()
    return ends


def test_a_reader_apart_sees_all_that_it_may_see_among_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    among = ends_of(Story(ONE, deleter("first"), lister("asc", 2)), monkeypatch)
    apart = ends_of(Story(ONE, deleter("first"), readers=[lister("asc", 2)]), monkeypatch)

    assert {end for end in among if "OverloadedError" not in end} <= apart


def test_runs_that_stand_alike_go_on_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    merged = ends_of(Story(OTHER, deleter("first"), lister("asc", 2)), monkeypatch)
    monkeypatch.setattr(sessions, "standing", refuse_to_look)
    apart = ends_of(Story(OTHER, deleter("first"), lister("asc", 2)), monkeypatch)

    assert merged == apart


def refuse_to_look(error: BaseException, *_: object) -> None:
    raise UnknownStandingError(error)


FLAWS: dict[str, tuple[object, str, object, Story]] = {
    "pages of what a query sees": (
        listing.ItemListing,
        "_settle",
        lambda _self, _row, _key, found, count, **_: found[:count],
        Story(OTHER, readers=[lister("asc", 1)]),
    ),
    "pages of a query that ran too early": (
        listing.Window,
        "is_proven",
        lambda _window, _found, _recent: True,
        Story(appender("appender A", None, None, None, times=5), readers=[lister("asc", 3)]),
    ),
    "new keys after a lost answer": (
        Append,
        "_is_done",
        blind_keys,
        Story(ONE, OTHER, faults=1, remembers_tokens=False),
    ),
    "an append told before listings go by it": (
        Append,
        "_look_up",
        lambda _self, _trouble: None,
        Story(OTHER, lister("desc", 1), faults=1),
    ),
    "a purge that does not wait": (
        purging,
        "_wait_for_appends",
        lambda _table, _pk, _row: None,
        Story(OTHER, ender(), purger()),
    ),
}


@pytest.mark.parametrize(("target", "name", "flaw", "story"), FLAWS.values(), ids=FLAWS)
def test_the_search_finds(
    target: object, name: str, flaw: object, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target, name, flaw)

    with pytest.raises(AssertionError, match=r"passed over|half|not shown|not there|twice|left by"):
        story.explore()
