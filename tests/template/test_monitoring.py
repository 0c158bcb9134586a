"""The dashboard and the alarms use only metrics that exist: ours as the functions write them."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, NamedTuple

import pytest

from conversations.telemetry import METRICS
from local.intrinsics import (
    Intrinsics,
    JsonObject,
    as_text,
    items,
    mapping,
    section,
)
from tests.support.monitoring import ALARMS, DOCUMENT, log_of_every_metric, resources
from tests.support.paths import ROOT
from tests.support.template_values import TOPIC

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import DevStack
    from tests.support.log_lines import Log

OURS = "Conversations"
BY_AWS = tomllib.loads(
    (ROOT / "tests" / "template" / "aws_metrics.toml").read_text(encoding="utf-8")
)


class Metric(NamedTuple):
    """A metric of CloudWatch: namespace, name and dimensions."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]


[DASHBOARD] = resources("AWS::CloudWatch::Dashboard").values()
WIDGETS = json.loads(str(DASHBOARD["DashboardBody"]))["widgets"]


def of_alarm(alarm: JsonObject) -> list[Metric]:
    """Return the metrics of an alarm: one, or those of its expressions."""
    queries = [mapping(each) for each in items(alarm.get("Metrics") or [])]
    stats = [mapping(each["MetricStat"]) for each in queries if "MetricStat" in each]
    return [of_definition(each) for each in [mapping(stat["Metric"]) for stat in stats] or [alarm]]


def of_definition(given: JsonObject) -> Metric:
    dimensions = {
        (as_text(mapping(each)["Name"]), as_text(mapping(each)["Value"]))
        for each in items(given["Dimensions"])
    }
    return Metric(str(given["Namespace"]), str(given["MetricName"]), frozenset(dimensions))


def of_widget(line: list[object]) -> Metric:
    namespace, name, *rest = [part for part in line if isinstance(part, str)]
    return Metric(namespace, name, frozenset(zip(rest[::2], rest[1::2], strict=True)))


WATCHED = {
    **{
        f"alarm {name} {index}": metric
        for name, alarm in ALARMS.items()
        for index, metric in enumerate(of_alarm(alarm))
    },
    **{
        f"{widget['properties']['title']} / {line[1]} {index}": of_widget(line)
        for widget in WIDGETS
        for index, line in enumerate(widget["properties"].get("metrics", []))
    },
}


def metrics_in(log: Log) -> Iterator[Metric]:
    """Return the metrics in the lines, in CloudWatch's embedded metric format."""
    for line in map(json.loads, log.text.getvalue().splitlines()):
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
            for metric in directive["Metrics"]:
                assert isinstance(line[metric["Name"]], int | float)
                for names in directive["Dimensions"]:
                    pairs = frozenset((name, line[name]) for name in names)
                    yield Metric(directive["Namespace"], metric["Name"], pairs)


@pytest.fixture(scope="module")
def emitted(running_stack: DevStack) -> frozenset[Metric]:
    return frozenset(metrics_in(log_of_every_metric(running_stack)))


def of_this_version(metric: Metric) -> Metric:
    """Return the metrics with the version `$LATEST`, which the tests run."""
    dimensions = dict(metric.dimensions)
    if "version" in dimensions:
        dimensions["version"] = "$LATEST"
    return metric._replace(dimensions=frozenset(dimensions.items()))


@pytest.mark.parametrize("watched", [name for name in WATCHED if WATCHED[name].namespace == OURS])
def test_what_is_watched_of_the_service_is_what_it_writes(
    watched: str, emitted: frozenset[Metric]
) -> None:
    assert of_this_version(WATCHED[watched]) in emitted


def test_the_service_writes_all_its_metrics(emitted: frozenset[Metric]) -> None:
    assert {metric.name for metric in emitted} == {*METRICS}


def test_all_metrics_of_the_service_are_looked_at() -> None:
    assert {each.name for each in WATCHED.values() if each.namespace == OURS} == {*METRICS}


@pytest.mark.parametrize("watched", [name for name in WATCHED if WATCHED[name].namespace != OURS])
def test_what_is_watched_of_aws_is_what_it_emits(watched: str) -> None:
    metric = WATCHED[watched]

    known = BY_AWS[metric.namespace][metric.name]

    assert sorted(name for name, _ in metric.dimensions) in known


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_tells_the_topic_when_it_rings_and_when_it_ends(name: str) -> None:
    silent = section(mapping(section(DOCUMENT, "Resources")[name]), "Properties")

    assert ALARMS[name]["AlarmActions"] == ALARMS[name]["OKActions"] == [TOPIC]
    assert (
        not {"AlarmActions", "OKActions"} & mapping(Intrinsics(DOCUMENT, {}).resolve(silent)).keys()
    )


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_is_silent_where_nothing_happens(name: str) -> None:
    assert ALARMS[name]["TreatMissingData"] == "notBreaching"


@pytest.mark.parametrize("preference", ["AllAtOnce", "Canary10Percent5Minutes"])
def test_the_dashboard_shows_every_alarm_of_the_stack(preference: str) -> None:
    of_stack = Intrinsics(DOCUMENT, {"DeploymentPreference": preference})
    properties = mapping(section(DOCUMENT, "Resources")["Dashboard"])["Properties"]
    body = mapping(of_stack.resolve(properties))["DashboardBody"]

    [shown] = [each for each in json.loads(str(body))["widgets"] if each["type"] == "alarm"]

    names = {f"{name}.Arn": alarm["AlarmName"] for name, alarm in ALARMS.items()}
    assert [names.get(arn, arn.rpartition(":")[2]) for arn in shown["properties"]["alarms"]] == [
        alarm["AlarmName"] for name, alarm in ALARMS.items() if of_stack.is_created(name)
    ]


def test_purges_are_late_long_before_they_are_given_up() -> None:
    subscription = mapping(
        section(mapping(resources("AWS::Serverless::Function")["PurgeFunction"]), "Events")[
            "ConversationDeleted"
        ]
    )
    given_up = section(subscription, "Properties")["MaximumRecordAgeInSeconds"]

    assert int(as_text(ALARMS["PurgeAgeAlarm"]["Threshold"])) <= int(as_text(given_up)) * 1000 / 4


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_names_its_part_of_the_runbook(name: str) -> None:
    part = str(ALARMS[name]["AlarmName"]).removeprefix("local-stack-")

    assert str(ALARMS[name]["AlarmDescription"]).endswith(f" Runbook - docs/operations.md#{part}")
