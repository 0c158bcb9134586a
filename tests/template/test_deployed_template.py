"""What CloudFormation makes of `template.yaml`: the facts that no local engine can show."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local.intrinsics import (
    Intrinsics,
    Json,
    JsonObject,
    as_text,
    items,
    mapping,
    read_document,
    section,
)
from local.template import TEMPLATE as TEMPLATE_FILE
from local.template import Template

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

pytestmark = pytest.mark.xdist_group("transforms")  # its fixture is dear

ROOT = Path(__file__).parents[2]
DOCUMENT = read_document(TEMPLATE_FILE)
TEMPLATE = Template()
FUNCTIONS = Template(parameters={"CorsOrigins": "*"}).functions
CONFIGURATION = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
CANARY = "Canary10Percent5Minutes"
CHANGED: Mapping[str, Json] = {
    "Architecture": "x86_64",
    "CorsOrigins": "*",
    "RetentionDays": "30",
    "SnapStart": "PublishedVersions",
    "SpillBytes": "2048",
    "Tracing": "Active",
}
"""Another value of each parameter that reaches a function."""


def parameters_of(function: str) -> list[str]:
    """The parameters that a function's definition names."""
    written = json.dumps(mapping(section(DOCUMENT, "Resources")[function])["Properties"])
    named = [name for name in section(DOCUMENT, "Parameters") if f'{{"Ref": "{name}"}}' in written]
    return [name for name in named if name != "DeploymentPreference"]  # is not the function's own


def configured(environment: str) -> dict[str, Json]:
    """The parameters of an environment of samconfig.toml."""
    given = CONFIGURATION[environment]["deploy"]["parameters"].get("parameter_overrides", "")
    return dict(pair.split("=", 1) for pair in given.split())


def with_values(value: Json, values: Mapping[str, Json]) -> Json:
    """The value with these parameters in the place of references to them."""
    if isinstance(value, list):
        return [with_values(item, values) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"Ref"} and value["Ref"] in values:
        return values[str(value["Ref"])]
    return {key: with_values(item, values) for key, item in value.items()}


def expanded(parameters: Mapping[str, Json]) -> JsonObject:
    """The template after its first transform, `AWS::LanguageExtensions`, as far as we need that."""
    intrinsics = Intrinsics(DOCUMENT, parameters)
    values = {name: intrinsics.resolve({"Ref": name}) for name in section(DOCUMENT, "Parameters")}
    resources = mapping(with_values(DOCUMENT["Resources"], values))
    for resource in map(mapping, resources.values()):
        if "DeletionPolicy" in resource:
            resource["DeletionPolicy"] = intrinsics.resolve(resource["DeletionPolicy"])
    return {**DOCUMENT, "Resources": resources}


class Stacks:
    """The resources of the stack, by the parameters that it is deployed with."""

    def __init__(self, wanted: Sequence[Mapping[str, Json]]) -> None:
        transformed = subprocess.run(  # noqa: S603 - ours
            [ROOT / ".tools/sam/bin/python", ROOT / "tools/sam/transforms.py"],
            input=json.dumps([expanded(parameters) for parameters in wanted]),
            capture_output=True,
            check=True,
            text=True,
        )
        templates = json.loads(transformed.stdout)
        self._resources = {
            json.dumps(parameters): section(template, "Resources")
            for parameters, template in zip(wanted, templates, strict=True)
        }

    def resources(self, parameters: Mapping[str, Json]) -> JsonObject:
        return self._resources[json.dumps(parameters)]


@pytest.fixture(scope="module")
def stacks() -> Stacks:
    changes: list[Mapping[str, Json]] = [{name: value} for name, value in CHANGED.items()]
    return Stacks([{}, configured("dev"), configured("prod"), *changes])


@pytest.fixture
def defaults(stacks: Stacks) -> JsonObject:
    return stacks.resources({})


@pytest.fixture
def dev(stacks: Stacks) -> JsonObject:
    return stacks.resources(configured("dev"))


@pytest.fixture
def prod(stacks: Stacks) -> JsonObject:
    return stacks.resources(configured("prod"))


def of_kind(resources: JsonObject, kind: str) -> dict[str, JsonObject]:
    """The properties of the resources of a kind, by logical id."""
    return {
        name: section(mapping(resource), "Properties")
        for name, resource in resources.items()
        if mapping(resource)["Type"] == kind
    }


def at(value: Json, *path: str | int) -> Json:
    for step in path:
        value = items(value)[step] if isinstance(step, int) else mapping(value)[step]
    return value


def test_gateway_refuses_as_the_template_says(prod: JsonObject) -> None:
    body = mapping(at(prod, "Api", "Properties", "Body"))

    responses = mapping(
        Intrinsics(DOCUMENT, {}).resolve(body["x-amazon-apigateway-gateway-responses"])
    )

    assert responses.keys() == TEMPLATE.api.responses.keys()
    for kind, response in TEMPLATE.api.responses.items():
        given = mapping(responses[kind])
        assert given.get("statusCode") == (response.status and str(response.status))
        assert given["responseTemplates"] == response.templates
        assert given["responseParameters"] == {
            f"gatewayresponse.header.{name}": value for name, value in response.headers.items()
        }


def test_every_route_is_deployed_behind_its_authorizer_or_open(prod: JsonObject) -> None:
    paths = section(mapping(at(prod, "Api", "Properties", "Body")), "paths")

    for route in TEMPLATE.api.routes:
        path = mapping(paths[route.path])
        # SAM puts the routes of a function with a condition under that condition.
        operations, _ = items(path["Fn::If"])[1:] if "Fn::If" in path else (path, None)
        operation = mapping(at(operations, route.method.lower()))
        security = items(operation.get("security", []))
        named = [name for each in security for name in mapping(each)]
        assert named == ([route.authorizer, "api_key"] if route.authorizer else [])


def test_without_pages_nothing_of_theirs_is_deployed(prod: JsonObject) -> None:
    paths = section(mapping(at(prod, "Api", "Properties", "Body")), "paths")
    theirs = {route.path for route in TEMPLATE.api.routes if route.function == "PagesFunction"}

    for path in theirs:
        condition, _, otherwise = items(at(paths, path, "Fn::If"))
        assert (condition, otherwise) == ("HasPages", {"Ref": "AWS::NoValue"})
    made = {name for name in prod if "Pages" in name}
    assert len(made) >= 5
    assert {as_text(mapping(prod[name])["Condition"]) for name in made} == {"HasPages"}


def test_authorizer_is_asked_as_the_template_says(prod: JsonObject) -> None:
    schemes = at(prod, "Api", "Properties", "Body", "components", "securitySchemes")

    for name, authorizer in TEMPLATE.api.authorizers.items():
        deployed = at(schemes, name, "x-amazon-apigateway-authorizer")
        assert at(deployed, "type") == "token"
        assert at(deployed, "authorizerResultTtlInSeconds") == authorizer.ttl_seconds
        assert authorizer.validation
        assert at(deployed, "identityValidationExpression") == authorizer.validation.pattern


@pytest.mark.parametrize("table", TEMPLATE.tables)
def test_table_is_encrypted_and_restorable(prod: JsonObject, table: str) -> None:
    deployed = of_kind(prod, "AWS::DynamoDB::Table")[table]

    assert deployed["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS"}
    assert deployed["PointInTimeRecoverySpecification"] == {
        "PointInTimeRecoveryEnabled": True,
        "RecoveryPeriodInDays": 35,
    }


def test_conversations_expire(prod: JsonObject) -> None:
    deployed = of_kind(prod, "AWS::DynamoDB::Table")["ConversationsTable"]

    assert deployed["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}


def test_deleted_objects_are_forgotten_in_the_end(prod: JsonObject) -> None:
    [bucket] = of_kind(prod, "AWS::S3::Bucket").values()

    assert at(bucket, "LifecycleConfiguration", "Rules", 0, "NoncurrentVersionExpiration") == {
        "NoncurrentDays": 35
    }


@pytest.mark.parametrize("store", [*TEMPLATE.tables, *TEMPLATE.buckets])
def test_data_outlives_its_stack_in_prod_and_not_in_dev(
    prod: JsonObject, dev: JsonObject, store: str
) -> None:
    assert at(prod, store, "DeletionPolicy") == "Retain"
    assert at(dev, store, "DeletionPolicy") == "Delete"
    assert at(prod, store, "UpdateReplacePolicy") == "Retain"


@pytest.mark.parametrize("table", TEMPLATE.tables)
def test_table_refuses_to_be_deleted_in_prod_and_not_in_dev(
    prod: JsonObject, dev: JsonObject, table: str
) -> None:
    protections = [
        at(each, table, "Properties", "DeletionProtectionEnabled") for each in (prod, dev)
    ]

    assert protections == ["true", "false"]


def statements(resources: JsonObject) -> Iterator[JsonObject]:
    """Every permission that a role of ours grants."""
    for role in of_kind(resources, "AWS::IAM::Role").values():
        for policy in items(role.get("Policies") or []):
            yield from map(mapping, items(at(policy, "PolicyDocument", "Statement")))


def always(resources: JsonObject) -> list[JsonObject]:
    """Those that no condition decides about."""
    return [statement for statement in statements(resources) if "Fn::If" not in statement]


def test_no_role_names_a_wildcard(prod: JsonObject) -> None:
    """But for the objects of the one bucket, whose names nobody knows beforehand."""
    granted = always(prod)

    assert granted
    for statement in granted:
        assert statement["Effect"] == "Allow"
        assert "*" not in json.dumps(statement["Action"])
        resource = json.dumps(statement["Resource"])
        assert "*" not in resource.replace("${PayloadBucket.Arn}/*", "")


def test_what_is_granted_by_a_condition_is_tracing(prod: JsonObject) -> None:
    conditional = [each["Fn::If"] for each in statements(prod) if "Fn::If" in each]

    assert len(conditional) == len(FUNCTIONS)
    for choice in conditional:
        assert items(choice)[0] == "IsTraced"
        assert at(choice, 1, "Action") == ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]


def test_only_api_gateways_log_and_the_release_have_policies_of_aws(prod: JsonObject) -> None:
    managed = {
        name: role["ManagedPolicyArns"]
        for name, role in of_kind(prod, "AWS::IAM::Role").items()
        if "ManagedPolicyArns" in role
    }

    assert managed.keys() == {"CodeDeployServiceRole", "GatewayLogRole"}
    assert "service-role/AWSCodeDeployRoleForLambda" in json.dumps(managed)


def test_requests_and_records_go_to_the_alias(prod: JsonObject) -> None:
    body = json.dumps(at(prod, "Api", "Properties", "Body"))
    [mapping_] = of_kind(prod, "AWS::Lambda::EventSourceMapping").values()
    permitted = [
        at(permission, "FunctionName", "Ref")
        for permission in of_kind(prod, "AWS::Lambda::Permission").values()
    ]

    assert "${ApiFunctionAliaslive}" in body
    assert '{"Ref": "AuthorizerFunctionAliaslive"}' in body
    assert "Function.Arn" not in body
    assert mapping_["FunctionName"] == {"Ref": "PurgeFunctionAliaslive"}
    assert {"ApiFunctionAliaslive", "AuthorizerFunctionAliaslive"} <= {*map(str, permitted)}
    assert not [name for name in permitted if not str(name).endswith("Aliaslive")]


def version_of(resources: JsonObject, function: str) -> str:
    """The logical id of a function's version: a new one is what publishes."""
    [version] = [
        name
        for name, properties in of_kind(resources, "AWS::Lambda::Version").items()
        if properties["FunctionName"] == {"Ref": function}
    ]
    return version


@pytest.mark.parametrize(
    ("function", "parameter"),
    [(function, name) for function in FUNCTIONS for name in parameters_of(function)],
)
def test_changed_parameter_publishes_a_version(
    stacks: Stacks, defaults: JsonObject, function: str, parameter: str
) -> None:
    changed = stacks.resources({parameter: CHANGED[parameter]})

    assert version_of(changed, function) != version_of(defaults, function)


def test_parameters_of_a_function_stand_with_it_and_not_in_globals() -> None:
    """Where the transform that resolves them does not look."""
    shared = section(section(DOCUMENT, "Globals"), "Function")
    parameters = section(DOCUMENT, "Parameters")

    assert not [name for name in parameters if f'"Ref": "{name}"' in json.dumps(shared)]


def test_functions_that_answer_requests_are_released_gradually_in_prod(prod: JsonObject) -> None:
    groups = of_kind(prod, "AWS::CodeDeploy::DeploymentGroup")

    assert groups.keys() == {"ApiFunctionDeploymentGroup", "AuthorizerFunctionDeploymentGroup"}
    for name, group in groups.items():
        alias = mapping(prod[name.replace("DeploymentGroup", "Aliaslive")])
        policy = at(alias, "UpdatePolicy", "CodeDeployLambdaAliasUpdate")
        assert at(policy, "DeploymentGroupName") == {"Ref": name}
        assert CANARY in json.dumps(group["DeploymentConfigName"])


def test_gradual_release_is_taken_back_on_an_alarm(prod: JsonObject) -> None:
    for group in of_kind(prod, "AWS::CodeDeploy::DeploymentGroup").values():
        assert at(group, "AlarmConfiguration") == {
            "Enabled": True,
            "Alarms": [{"Name": {"Ref": "ApiErrorsAlarm"}}, {"Name": {"Ref": "ServerErrorsAlarm"}}],
        }
        events = items(at(group, "AutoRollbackConfiguration", "Events"))
        assert "DEPLOYMENT_STOP_ON_ALARM" in events


def test_alarms_of_a_release_watch_what_the_release_changes(prod: JsonObject) -> None:
    alarms = of_kind(prod, "AWS::CloudWatch::Alarm")

    assert at(alarms["ApiErrorsAlarm"], "Dimensions", 1) == {
        "Name": "Resource",
        "Value": {"Fn::Sub": "${ApiFunction}:live"},
    }
    assert [as_text(at(each, "Value")) for each in items(alarms["ServerErrorsAlarm"]["Dimensions"])]
    assert at(prod, "Api", "Properties", "Name") == at(
        alarms["ServerErrorsAlarm"], "Dimensions", 0, "Value"
    )


def test_release_is_all_at_once_in_dev_and_by_default(
    dev: JsonObject, defaults: JsonObject
) -> None:
    for resources in (dev, defaults):
        assert not [kind for kind in map(kind_of, resources.values()) if "CodeDeploy" in kind]


def kind_of(resource: Json) -> str:
    return str(mapping(resource)["Type"])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_snapshots_are_the_operators_choice(
    stacks: Stacks, defaults: JsonObject, function: str
) -> None:
    started = stacks.resources({"SnapStart": "PublishedVersions"})

    assert at(started, function, "Properties", "SnapStart") == {"ApplyOn": "PublishedVersions"}
    assert at(defaults, function, "Properties", "SnapStart") == {"ApplyOn": "None"}


def test_web_acl_stands_before_the_stage(prod: JsonObject) -> None:
    [stage] = of_kind(prod, "AWS::ApiGateway::Stage")
    [association] = of_kind(prod, "AWS::WAFv2::WebACLAssociation").values()

    arn, names = items(at(association, "ResourceArn", "Fn::Sub"))

    assert names == {"Stage": {"Ref": stage}}
    assert str(arn).endswith("::/restapis/${Api}/stages/${Stage}")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_are_traced_if_the_operator_wants_it(
    stacks: Stacks, defaults: JsonObject, function: str
) -> None:
    traced = stacks.resources({"Tracing": "Active"})

    assert at(traced, function, "Properties", "TracingConfig") == {"Mode": "Active"}
    assert at(defaults, function, "Properties", "TracingConfig") == {"Mode": "PassThrough"}


def test_the_stage_writes_access_logs_and_is_traced_by_condition(prod: JsonObject) -> None:
    [stage] = of_kind(prod, "AWS::ApiGateway::Stage").values()

    assert items(at(stage, "AccessLogSetting", "Fn::If"))[0] == "HasAccessLogs"
    assert at(stage, "TracingEnabled") == {"Fn::If": ["IsTraced", True, False]}


def test_the_stack_has_room_for_more_resources(prod: JsonObject) -> None:
    """CloudFormation takes 500 of them."""
    assert len(prod) < 200
