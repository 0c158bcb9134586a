"""The alarms of a release roll back a version that is worse than the one before, and no other.

Their expressions are the template's, evaluated for counts of requests and failures.
"""

from __future__ import annotations

import itertools
import re
from math import comb
from typing import TYPE_CHECKING

import pytest

from local.intrinsics import as_text, items, mapping, read_document, section
from local.template import TEMPLATE
from tests.support.paths import DOCS

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE = (DOCS / "operations.md").read_text(encoding="utf-8")
RESOURCES = section(read_document(TEMPLATE), "Resources")
MINUTES = 5
"""Minutes for which `Canary10Percent5Minutes` sends a tenth of the requests to a new version."""


class Alarm:
    """An alarm on expressions, with one value for each minute."""

    def __init__(self, name: str) -> None:
        given = section(mapping(RESOURCES[name]), "Properties")
        queries = [mapping(each) for each in items(given["Metrics"])]
        self._expressions = {
            str(query["Id"]): in_python(str(query["Expression"]))
            for query in queries
            if "Expression" in query
        }
        [self._result] = [str(query["Id"]) for query in queries if query["ReturnData"] is True]
        self._threshold = float(as_text(given["Threshold"]))
        self._points = int(as_text(given["DatapointsToAlarm"]))
        self._periods = int(as_text(given["EvaluationPeriods"]))

    def is_over(self, sums: Mapping[str, int]) -> bool:
        """Return whether a minute exceeds the threshold; metrics without a sum are missing data."""
        expressions = self._expressions

        class Values(dict[str, float]):
            def __missing__(self, name: str) -> float:
                return float(eval(expressions[name], {"__builtins__": {}}, self))  # noqa: S307 - ours

        values = Values({"sums": sums, **sums})  # type: ignore[dict-item]
        return values[self._result] >= self._threshold

    def rings(self, minutes: list[bool]) -> bool:
        """Return whether the alarm fires; *minutes* says which of them exceeded the threshold."""
        windows = (minutes[at : at + self._periods] for at in range(len(minutes)))
        return any(sum(window) >= self._points for window in windows)


def in_python(expression: str) -> str:
    """Convert one of the template's CloudWatch expressions to Python."""
    filled = re.sub(r"FILL\((\w+), (\d+)\)", r"sums.get('\1', \2)", expression)
    if choice := re.fullmatch(r"IF\((.+), (.+), (.+)\)", filled):
        condition, then, otherwise = choice.groups()
        return f"({then}) if ({condition}) else ({otherwise})"
    return filled


API = Alarm("ApiReleaseAlarm")
AUTHORIZER = Alarm("AuthorizerReleaseAlarm")


def minute(
    newest: tuple[int, int], earlier: tuple[int, int], *, crashes: bool = False
) -> Mapping[str, int]:
    """Return the sums of a minute: requests and failures of each version."""
    (requests, failed), (earlier_requests, earlier_failed) = newest, earlier
    kind = "errors" if crashes else "failures"
    sums = {
        "newest_requests": requests,
        f"newest_{kind}": failed,
        "all_requests": requests + earlier_requests,
        f"all_{kind}": failed + earlier_failed,
    }
    return {name: value for name, value in sums.items() if value}


@pytest.mark.parametrize("crashes", [False, True])
@pytest.mark.parametrize(
    ("newest", "earlier", "expected"),
    [
        ((120, 6), (1080, 0), True),
        ((120, 6), (1080, 54), False),
        ((120, 1), (1080, 1), False),
        ((120, 2), (1080, 0), False),
        ((40, 2), (360, 0), False),
        ((0, 0), (1080, 500), False),
        ((1200, 60), (0, 0), True),
        ((120, 30), (1080, 0), True),
    ],
    ids=[
        "fails a twentieth",
        "fails as the one before",
        "one failure",
        "two failures",
        "too few to say",
        "no requests of the newest",
        "it has all requests",
        "fails a quarter",
    ],
)
def test_a_version_is_judged_by_what_it_fails_more_than_the_one_before(
    newest: tuple[int, int], earlier: tuple[int, int], *, crashes: bool, expected: bool
) -> None:
    assert API.is_over(minute(newest, earlier, crashes=crashes)) is expected


def test_rejected_keys_are_no_failures_of_the_authorizer() -> None:
    rejected = {
        "newest_requests": 60,
        "newest_errors": 30,
        "newest_rejected_keys": 30,
        "all_requests": 600,
    }
    failed = {**rejected, "newest_errors": 33, "all_errors": 33, "all_rejected_keys": 30}

    assert not AUTHORIZER.is_over({**rejected, "all_errors": 30, "all_rejected_keys": 30})
    assert AUTHORIZER.is_over(failed)


def chance(requests: int, share: float, earlier_share: float) -> float:
    """Return the probability that the alarm fires during a canary."""
    earlier = requests * 9, round(requests * 9 * earlier_share)
    over = sum(
        comb(requests, failed) * share**failed * (1 - share) ** (requests - failed)
        for failed in range(requests + 1)
        if API.is_over(minute((requests, failed), earlier))
    )
    return sum(
        over ** sum(minutes) * (1 - over) ** (MINUTES - sum(minutes))
        for minutes in map(list, itertools.product([False, True], repeat=MINUTES))
        if API.rings(minutes)
    )


ROWS = re.findall(
    r"^\| (\d+) \| (\d+) \| ([\d.]+) % \| ([\d.]+) % \| ([\d.]+) % \|$", PAGE, flags=re.MULTILINE
)


def test_the_runbook_reckons_releases() -> None:
    assert ROWS


@pytest.mark.parametrize("row", ROWS)
def test_the_runbooks_example_is_what_the_alarm_does(row: tuple[str, ...]) -> None:
    a_second, of_newest, share, earlier, rings = map(float, row)

    assert of_newest == a_second * 60 / 10
    assert round(100 * chance(int(of_newest), share / 100, earlier / 100), 1) == rings
