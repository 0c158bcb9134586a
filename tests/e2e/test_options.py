"""All options that are off by default can be deployed at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from local.intrinsics import mapping, read_document, section
from local.template import TEMPLATE
from tests.e2e.stacks import CONVERSATIONS, delete, deploy

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.cloud import Cloud
    from tests.e2e.stacks import Stack

TOPIC = "arn:aws:sns:us-east-1:000000000000:alarms"
OPTIONS = (
    "AccessLogs=OwnRole",
    f"AlarmTopicArn={TOPIC}",
    "CorsOrigins=*",
    "DeletionProtection=false",
    "Tracing=Active",
)
ROLES = ("ApiRole", "AuthorizerRole", "PreflightRole", "PurgeRole")
ALARMS = [
    name
    for name, resource in section(read_document(TEMPLATE), "Resources").items()
    if mapping(resource)["Type"] == "AWS::CloudWatch::Alarm"
    and "Condition" not in mapping(resource)  # a release that MiniStack could not make
]


def test_every_option_can_be_deployed(cloud: Cloud, checkout: Path) -> None:
    key = cloud.aws("kms").create_key(Description="of the operator")["KeyMetadata"]["Arn"]
    options = (*OPTIONS, f"KmsKeyArn={key}")
    stack = deploy(cloud, checkout, "seen", "dev", "--parameter-overrides", *options)

    assert stack.request("GET", CONVERSATIONS, stack.new_key()).status_code == 200
    alarms = cloud.aws("cloudwatch").describe_alarms(AlarmNamePrefix="seen-")["MetricAlarms"]
    assert len(alarms) == len(ALARMS)
    assert [alarm["AlarmActions"] for alarm in alarms] == [[TOPIC]] * len(ALARMS)
    body = cloud.aws("cloudwatch").get_dashboard(DashboardName="seen")["DashboardBody"]
    assert stack.resource("ApiFunction") in json.dumps(json.loads(body))
    for role in ROLES:
        assert decisions(stack, key, role) == {"implicitDeny"}
    delete(cloud, "seen")


def decisions(stack: Stack, key: str, role: str) -> set[str]:
    """Return IAM's decisions for a role that uses the operator's key without a service.

    MiniStack's services do not call KMS in a role's name: `test_kms_grants.py` has what they need.
    """
    iam = stack.cloud.aws("iam")
    arn = iam.get_role(RoleName=stack.resource(role))["Role"]["Arn"]
    results = iam.simulate_principal_policy(
        PolicySourceArn=arn, ActionNames=["kms:Decrypt", "kms:GenerateDataKey"], ResourceArns=[key]
    )["EvaluationResults"]
    return {str(result["EvalDecision"]) for result in results}
