"""`template.yaml` as CloudFormation transforms it: facts that no local engine can show."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from typing import TYPE_CHECKING

import pytest
from cfnlint.api import lint

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
from tests.support.paths import ROOT
from tests.support.template_values import CERTIFICATE, TOPIC, WEB_ACL, at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

pytestmark = pytest.mark.xdist_group("transforms")  # its fixture takes long

DOCUMENT = read_document(TEMPLATE_FILE)
TEMPLATE = Template()
FUNCTIONS = Template(parameters={"CorsOrigins": "*"}).functions
CONFIGURATION = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
CANARY = "Canary10Percent5Minutes"
CHANGED: Mapping[str, Json] = {
    "Architecture": "x86_64",
    "CorsOrigins": "*",
    "RetentionDays": "30",
    "SearchBytes": "2000000",
    "SearchMilliseconds": "2000",
    "SnapStart": "PublishedVersions",
    "SpillBytes": "2048",
    "Tracing": "Active",
}
"""Another value of each parameter that reaches a function."""
WITH_CORS: Mapping[str, Json] = {"CorsOrigins": "https://app.example.com"}
"""Parameters with which every function is created."""
WITHOUT_PAGES: Mapping[str, Json] = {"Pages": "false"}
OPTIONS: Mapping[str, Json] = {
    **WITH_CORS,
    "AccessLogs": "OwnRole",
    "AlarmTopicArn": TOPIC,
    "CertificateArn": CERTIFICATE,
    "DeploymentPreference": CANARY,
    "DomainName": "api.example.com",
    "Tracing": "Active",
    "WebAclArn": WEB_ACL,
}
"""Parameters that enable every feature that is off by default."""


def parameters_of(function: str) -> list[str]:
    """Return the parameters that a function's definition names."""
    written = json.dumps(mapping(section(DOCUMENT, "Resources")[function])["Properties"])
    named = [name for name in section(DOCUMENT, "Parameters") if f'{{"Ref": "{name}"}}' in written]
    return [name for name in named if name != "DeploymentPreference"]  # is not the function's own


def configured(environment: str) -> dict[str, Json]:
    """Return the parameters of an environment of samconfig.toml."""
    given = CONFIGURATION[environment]["deploy"]["parameters"].get("parameter_overrides", "")
    return dict(pair.split("=", 1) for pair in given.split())


class Stacks:
    """Resources of the stack, by its parameters."""

    def __init__(self, wanted: Sequence[Mapping[str, Json]]) -> None:
        transformed = subprocess.run(  # noqa: S603 - ours
            [ROOT / ".tools/sam/bin/python", ROOT / "tools/sam/transforms.py"],
            input=json.dumps([{"template": DOCUMENT, "parameters": each} for each in wanted]),
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
    changes = [{**WITH_CORS, name: value} for name, value in CHANGED.items()]
    return Stacks(
        [{}, configured("dev"), configured("prod"), OPTIONS, WITH_CORS, WITHOUT_PAGES, *changes]
    )


@pytest.fixture
def defaults(stacks: Stacks) -> JsonObject:
    return stacks.resources({})


@pytest.fixture
def with_cors(stacks: Stacks) -> JsonObject:
    return stacks.resources(WITH_CORS)


@pytest.fixture
def with_options(stacks: Stacks) -> JsonObject:
    return stacks.resources(OPTIONS)


@pytest.fixture
def dev(stacks: Stacks) -> JsonObject:
    return stacks.resources(configured("dev"))


@pytest.fixture
def prod(stacks: Stacks) -> JsonObject:
    return stacks.resources(configured("prod"))


def of_kind(resources: JsonObject, kind: str) -> dict[str, JsonObject]:
    """Return the properties of the resources of a type, by logical id."""
    return {
        name: section(mapping(resource), "Properties")
        for name, resource in resources.items()
        if mapping(resource)["Type"] == kind
    }


def test_gateway_rejects_as_the_template_says(prod: JsonObject) -> None:
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


def test_no_function_is_left_as_text(
    with_options: JsonObject, defaults: JsonObject, prod: JsonObject
) -> None:
    """A transform may write a function that it cannot resolve into a text."""
    for resources in (with_options, defaults, prod):
        assert "{'" not in json.dumps(resources)


def references(value: Json) -> Iterator[str]:
    """Yield the names in the value's references and substitutions, without pseudo-parameters."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        for name, argument in value.items():
            if name == "Ref":
                yield str(argument)
            elif name == "Fn::GetAtt":
                yield str(items(argument)[0])
            elif name == "Fn::Sub":
                text, given = (argument, {}) if isinstance(argument, str) else items(argument, 2)
                found = {name.partition(".")[0] for name in re.findall(r"\$\{(.*?)\}", str(text))}
                yield from found - mapping(given).keys()
                yield from references(given)
            else:
                yield from references(argument)


def test_every_reference_names_a_resource(
    with_options: JsonObject, defaults: JsonObject, prod: JsonObject
) -> None:
    """This includes the stage, whose logical id depends on the form of its name."""
    for resources in (with_options, defaults, prod):
        named = {name for name in references(resources) if not name.startswith("AWS::")}
        assert "ApiliveStage" in named
        assert named <= resources.keys() | section(DOCUMENT, "Parameters").keys()


def test_the_linter_finds_no_error(with_options: JsonObject) -> None:
    """In `template.yaml`, the linter does not find a circle that includes a resource of SAM."""
    named = {name: DOCUMENT[name] for name in ("Parameters", "Conditions")}
    template = json.dumps({**named, "Resources": with_options})

    found = lint(template, config={"regions": ["us-east-1"], "ignore_checks": ["W"]})

    assert [*map(str, found)] == []


def test_every_route_is_deployed_behind_its_authorizer_or_open(with_options: JsonObject) -> None:
    paths = section(mapping(at(with_options, "Api", "Properties", "Body")), "paths")
    routes = Template(parameters=WITH_CORS).api.routes

    assert {(path, method) for path in paths for method in mapping(paths[path])} == {
        (route.path, route.method.lower()) for route in routes
    }
    for route in routes:
        operation = at(paths, route.path, route.method.lower())
        required = items(mapping(operation).get("security", []))
        named = [name for each in required for name in mapping(each)]
        assert named == ([route.authorizer, "api_key"] if route.authorizer else [])


def test_without_pages_nothing_of_theirs_is_deployed(stacks: Stacks, defaults: JsonObject) -> None:
    def paths(resources: JsonObject) -> set[str]:
        return {*section(mapping(at(resources, "Api", "Properties", "Body")), "paths")}

    without = stacks.resources(WITHOUT_PAGES)
    theirs = {route.path for route in TEMPLATE.api.routes if route.function == "PagesFunction"}

    assert theirs <= paths(defaults)
    assert paths(without) == paths(defaults) - theirs
    made = {name: mapping(each) for name, each in defaults.items() if "Pages" in name}
    assert len(made) >= 6
    assert {as_text(each["Condition"]) for each in made.values()} == {"HasPages"}


def test_authorizer_is_configured_as_in_the_template(prod: JsonObject) -> None:
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


def test_versions_of_deleted_objects_expire(prod: JsonObject) -> None:
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
def test_table_rejects_to_be_deleted_in_prod_and_not_in_dev(
    prod: JsonObject, dev: JsonObject, table: str
) -> None:
    protections = [
        at(each, table, "Properties", "DeletionProtectionEnabled") for each in (prod, dev)
    ]

    assert protections == ["true", "false"]


def statements(resources: JsonObject) -> Iterator[JsonObject]:
    """Yield the statements of all roles of the template."""
    for role in of_kind(resources, "AWS::IAM::Role").values():
        for policy in items(role.get("Policies") or []):
            yield from map(mapping, items(at(policy, "PolicyDocument", "Statement")))


def test_no_role_names_a_wildcard(prod: JsonObject) -> None:
    """The objects of the bucket are the exception, because their names are random."""
    granted = [*statements(prod)]

    assert granted
    for statement in granted:
        assert statement["Effect"] == "Allow"
        assert "*" not in json.dumps(statement["Action"])
        resource = json.dumps(statement["Resource"])
        assert "*" not in resource.replace("${PayloadBucket.Arn}/*", "")


def test_tracing_is_granted_only_while_it_is_active(
    with_cors: JsonObject, with_options: JsonObject
) -> None:
    traced = [each for each in statements(with_options) if each["Sid"] == "Trace"]

    assert len(traced) == len(FUNCTIONS)
    for statement in traced:
        assert statement["Action"] == ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
    assert not [each for each in statements(with_cors) if each["Sid"] == "Trace"]


def test_only_api_gateways_log_and_the_release_have_policies_of_aws(prod: JsonObject) -> None:
    managed = {
        name: role["ManagedPolicyArns"]
        for name, role in of_kind(prod, "AWS::IAM::Role").items()
        if "ManagedPolicyArns" in role
    }

    assert managed.keys() == {"CodeDeployServiceRole", "GatewayLogRole"}
    assert "service-role/AWSCodeDeployRoleForLambda" in json.dumps(managed)


def test_requests_and_records_go_to_the_alias(with_options: JsonObject) -> None:
    body = json.dumps(at(with_options, "Api", "Properties", "Body"))
    [mapping_] = of_kind(with_options, "AWS::Lambda::EventSourceMapping").values()
    permitted = [
        at(permission, "FunctionName", "Ref")
        for permission in of_kind(with_options, "AWS::Lambda::Permission").values()
    ]

    assert set(re.findall(r"/functions/([^\"]*)/invocations", body)) == {
        "${ApiFunction.Arn}:live",
        "${ApiFunctionAliaslive}",
        "${PagesFunction.Arn}:live",
        "${PreflightFunction.Arn}:live",
        "${__FunctionArn__}",
    }
    assert '{"Ref": "AuthorizerFunctionAliaslive"}' in body
    assert mapping_["FunctionName"] == {"Ref": "PurgeFunctionAliaslive"}
    assert {"ApiFunctionAliaslive", "AuthorizerFunctionAliaslive"} <= {*map(str, permitted)}
    assert not [name for name in permitted if not str(name).endswith("Aliaslive")]


def version_of(resources: JsonObject, function: str) -> str:
    """Return the logical id of a function's version; a new id publishes a version."""
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
    stacks: Stacks, with_cors: JsonObject, function: str, parameter: str
) -> None:
    changed = stacks.resources({**WITH_CORS, parameter: CHANGED[parameter]})

    assert version_of(changed, function) != version_of(with_cors, function)


def test_parameters_of_a_function_stand_with_it_and_not_in_globals() -> None:
    """The transform that resolves parameters does not resolve those in `Globals`."""
    shared = section(section(DOCUMENT, "Globals"), "Function")
    parameters = section(DOCUMENT, "Parameters")

    assert not [name for name in parameters if f'"Ref": "{name}"' in json.dumps(shared)]


def test_functions_behind_the_api_are_released_gradually_in_prod(prod: JsonObject) -> None:
    groups = of_kind(prod, "AWS::CodeDeploy::DeploymentGroup")

    assert groups.keys() == {"ApiFunctionDeploymentGroup", "AuthorizerFunctionDeploymentGroup"}
    for name, group in groups.items():
        alias = mapping(prod[name.replace("DeploymentGroup", "Aliaslive")])
        policy = at(alias, "UpdatePolicy", "CodeDeployLambdaAliasUpdate")
        assert at(policy, "DeploymentGroupName") == {"Ref": name}
        assert CANARY in json.dumps(group["DeploymentConfigName"])


@pytest.mark.parametrize("function", ["Api", "Authorizer"])
def test_gradual_release_is_taken_back_on_an_alarm_of_its_own_version(
    prod: JsonObject, function: str
) -> None:
    group = of_kind(prod, "AWS::CodeDeploy::DeploymentGroup")[f"{function}FunctionDeploymentGroup"]
    alarm = of_kind(prod, "AWS::CloudWatch::Alarm")[f"{function}ReleaseAlarm"]

    assert at(group, "AlarmConfiguration") == {
        "Enabled": True,
        "Alarms": [
            {"Name": {"Ref": f"{function}ReleaseAlarm"}},
            {"Name": {"Ref": "ServerErrorsAlarm"}},
        ],
    }
    version = {"Fn::GetAtt": [version_of(prod, f"{function}Function"), "Version"]}
    assert json.dumps(alarm["Metrics"]).count(json.dumps(version)) == 3
    events = items(at(group, "AutoRollbackConfiguration", "Events"))
    assert "DEPLOYMENT_STOP_ON_ALARM" in events


def test_api_is_watched_by_its_name(prod: JsonObject) -> None:
    alarms = of_kind(prod, "AWS::CloudWatch::Alarm")

    assert [as_text(at(each, "Value")) for each in items(alarms["ServerErrorsAlarm"]["Dimensions"])]
    assert at(prod, "Api", "Properties", "Name") == at(
        alarms["ServerErrorsAlarm"], "Dimensions", 0, "Value"
    )


def test_release_is_all_at_once_in_dev_and_by_default(
    dev: JsonObject, defaults: JsonObject
) -> None:
    for resources in (dev, defaults):
        assert not [kind for kind in map(kind_of, resources.values()) if "CodeDeploy" in kind]
        assert at(resources, "ApiReleaseAlarm", "Condition") == "IsGradual"


def kind_of(resource: Json) -> str:
    return str(mapping(resource)["Type"])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_snapshots_are_the_operators_choice(
    stacks: Stacks, with_cors: JsonObject, function: str
) -> None:
    started = stacks.resources({**WITH_CORS, "SnapStart": "PublishedVersions"})

    assert at(started, function, "Properties", "SnapStart") == {"ApplyOn": "PublishedVersions"}
    assert at(with_cors, function, "Properties", "SnapStart") == {"ApplyOn": "None"}


def test_web_acl_stands_before_the_stage(with_options: JsonObject) -> None:
    [association] = of_kind(with_options, "AWS::WAFv2::WebACLAssociation").values()

    arn = str(at(association, "ResourceArn", "Fn::Sub"))

    assert arn.endswith("::/restapis/${Api}/stages/${ApiliveStage}")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_are_traced_if_the_operator_wants_it(
    with_options: JsonObject, with_cors: JsonObject, function: str
) -> None:
    assert at(with_options, function, "Properties", "TracingConfig") == {"Mode": "Active"}
    assert at(with_cors, function, "Properties", "TracingConfig") == {"Mode": "PassThrough"}


def test_the_stage_writes_access_logs_and_is_traced_by_choice(
    with_options: JsonObject, defaults: JsonObject
) -> None:
    [seen] = of_kind(with_options, "AWS::ApiGateway::Stage").values()
    [unseen] = of_kind(defaults, "AWS::ApiGateway::Stage").values()

    assert at(seen, "AccessLogSetting", "DestinationArn") == {
        "Fn::GetAtt": ["AccessLogGroup", "Arn"]
    }
    assert seen["TracingEnabled"] is True
    assert "AccessLogSetting" not in unseen
    assert unseen["TracingEnabled"] is False


LONGEST_STATEMENT = 493
"""Bytes of a statement of a function's policy, with the longest names that AWS allows."""


@pytest.mark.parametrize("function", ["ApiFunction", "PreflightFunction"])
def test_a_functions_policy_has_room_for_more_routes(
    with_options: JsonObject, function: str
) -> None:
    """Lambda's limit for a policy is 20 KB."""
    permissions = of_kind(with_options, "AWS::Lambda::Permission").values()
    own = [each for each in permissions if each["FunctionName"] == {"Ref": f"{function}Aliaslive"}]

    assert own
    assert len(own) * LONGEST_STATEMENT < 8_000


def test_api_gateway_may_call_the_functions_of_its_routes_for_this_stage_alone(
    with_options: JsonObject,
) -> None:
    permissions = of_kind(with_options, "AWS::Lambda::Permission")

    for name, ending in {"ApiPermission": "/*", "PreflightPermission": "/OPTIONS/*"}.items():
        source = str(at(permissions[name], "SourceArn", "Fn::Sub"))
        assert source.endswith(":${Api}/${ApiliveStage}" + ending)
        assert at(permissions[name], "Principal") == "apigateway.amazonaws.com"


def test_the_stack_has_room_for_more_resources(prod: JsonObject) -> None:
    """CloudFormation's limit is 500 resources."""
    assert len(prod) < 200
