"""What is off by default can be deployed too, all at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from local.intrinsics import mapping, read_document, section
from local.template import TEMPLATE
from tests.e2e.stacks import CONVERSATIONS, delete, deploy

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.cloud import Cloud

TOPIC = "arn:aws:sns:us-east-1:000000000000:alarms"
OPTIONS = (
    "AccessLogs=OwnRole",
    f"AlarmTopicArn={TOPIC}",
    "CorsOrigins=*",
    "DeletionProtection=false",
    "Tracing=Active",
)
ALARMS = [
    name
    for name, resource in section(read_document(TEMPLATE), "Resources").items()
    if mapping(resource)["Type"] == "AWS::CloudWatch::Alarm"
]


def test_every_option_of_seeing_can_be_deployed(cloud: Cloud, checkout: Path) -> None:
    stack = deploy(cloud, checkout, "seen", "dev", "--parameter-overrides", *OPTIONS)

    assert stack.ask("GET", CONVERSATIONS, stack.new_key()).status_code == 200
    alarms = cloud.aws("cloudwatch").describe_alarms(AlarmNamePrefix="seen-")["MetricAlarms"]
    assert len(alarms) == len(ALARMS)
    assert [alarm["AlarmActions"] for alarm in alarms] == [[TOPIC]] * len(ALARMS)
    body = cloud.aws("cloudwatch").get_dashboard(DashboardName="seen")["DashboardBody"]
    assert stack.resource("ApiFunction") in json.dumps(json.loads(body))
    delete(cloud, "seen")
