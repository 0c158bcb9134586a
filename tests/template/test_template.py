"""Facts of `template.yaml` that no linter checks: permissions, and the texts of gateway errors."""

import json
import re
from collections.abc import Callable

import pytest

from conversations.errors import ERRORS
from local.intrinsics import Intrinsics, Json, items, mapping, read_document, section
from local.patterns import matches
from local.template import TEMPLATE, Template
from tests.support.template_values import CERTIFICATE, KMS_KEY, WEB_ACL, at

DOCUMENT = read_document(TEMPLATE)
RESOURCES = section(DOCUMENT, "Resources")
TEMPLATE_AT_DEFAULTS = Template()
TEMPLATE_WITH_CORS = Template(parameters={"CorsOrigins": "https://app.example.com"})
API = TEMPLATE_AT_DEFAULTS.api

GATEWAY_ERRORS = {
    "MISSING_AUTHENTICATION_TOKEN": "route_not_found",
    "INVALID_SIGNATURE": "route_not_found",
    "EXPIRED_TOKEN": "route_not_found",
    "RESOURCE_NOT_FOUND": "route_not_found",
    "UNAUTHORIZED": "invalid_api_key",
    "INVALID_API_KEY": "invalid_api_key",
    "ACCESS_DENIED": "insufficient_scope",
    "REQUEST_TOO_LARGE": "request_too_large",
    "UNSUPPORTED_MEDIA_TYPE": "unsupported_content_encoding",
    "THROTTLED": "rate_limit_exceeded",
    "QUOTA_EXCEEDED": "rate_limit_exceeded",
    "INTEGRATION_TIMEOUT": "server_error",
    "DEFAULT_4XX": "request_rejected",
    "DEFAULT_5XX": "server_error",
}
PARAMS = {"unsupported_content_encoding": "Content-Encoding"}
"""The `param` of the gateway's own errors."""
LOGGING = {"logs:CreateLogStream", "logs:PutLogEvents"}
TRACING = {"xray:PutTelemetryRecords", "xray:PutTraceSegments"}
"""Actions while requests are traced; X-Ray has no resources."""
GRANTS = {
    "ApiFunction": {
        "ConversationsTable.Arn": {
            "dynamodb:BatchGetItem",
            "dynamodb:ConditionCheckItem",
            "dynamodb:DeleteItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
        },
        "${ConversationsTable.Arn}/index/by-owner": {"dynamodb:Query"},
        "${PayloadBucket.Arn}/*": {"s3:DeleteObject", "s3:GetObject", "s3:PutObject"},
        "ApiLogGroup.Arn": LOGGING,
    },
    "AuthorizerFunction": {
        "ApiKeysTable.Arn": {"dynamodb:GetItem"},
        "AuthorizerLogGroup.Arn": LOGGING,
    },
    "PagesFunction": {"PagesLogGroup.Arn": LOGGING},
    "PreflightFunction": {"PreflightLogGroup.Arn": LOGGING},
    "PurgeFunction": {
        "ConversationsTable.Arn": {
            "dynamodb:BatchWriteItem",
            "dynamodb:GetItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
        },
        "ConversationsTable.StreamArn": {
            "dynamodb:DescribeStream",
            "dynamodb:GetRecords",
            "dynamodb:GetShardIterator",
            "dynamodb:ListStreams",
        },
        "PayloadBucket.Arn": {"s3:ListBucket"},
        "${PayloadBucket.Arn}/*": {"s3:DeleteObject"},
        "PurgeFailuresQueue.Arn": {"sqs:SendMessage"},
        "PurgeLogGroup.Arn": LOGGING,
    },
}


def attribute(value: Json) -> str:
    """Return a `!GetAtt` or `!Sub` in the template's short form."""
    [(function, argument)] = mapping(value).items()
    return str(argument) if function == "Fn::Sub" else ".".join(map(str, items(argument)))


def properties(logical_id: str) -> Json:
    return at(RESOURCES, logical_id, "Properties")


def resolved(value: Json) -> Json:
    return Intrinsics(DOCUMENT, {}).resolve(value)


def grants(function: str) -> dict[str, set[str]]:
    """Return the actions by resource of a function's own role, which has one inline policy."""
    role, _ = attribute(at(properties(function), "Role")).split(".")
    assert mapping(properties(role)).keys() == {
        "Description",
        "AssumeRolePolicyDocument",
        "Policies",
    }
    statements = items(at(properties(role), "Policies", 0, "PolicyDocument", "Statement"))
    always = [statement for statement in statements if "Fn::If" not in mapping(statement)]
    return {
        attribute(at(statement, "Resource")): set(map(str, items(at(statement, "Action"))))
        for statement in always
    }


def grants_if(condition: str, function: str) -> list[Json]:
    """Return the statements that depend on a condition."""
    role, _ = attribute(at(properties(function), "Role")).split(".")
    statements = items(at(properties(role), "Policies", 0, "PolicyDocument", "Statement"))
    choices = [items(at(each, "Fn::If"), 3) for each in statements if "Fn::If" in mapping(each)]
    assert {str(choice[0]) for choice in choices} <= {"HasKmsKey", "IsTraced"}
    assert all(choice[2] == {"Ref": "AWS::NoValue"} for choice in choices)
    return [choice[1] for choice in choices if choice[0] == condition]


def actions_of(statement: Json) -> set[str]:
    return set(map(str, items(at(statement, "Action"))))


@pytest.mark.parametrize("function", TEMPLATE_WITH_CORS.functions)
def test_function_may_do_what_it_does_and_nothing_else(
    function: str, record_property: Callable[[str, object], None]
) -> None:
    granted = grants(function)
    [traced] = grants_if("IsTraced", function)

    assert granted == GRANTS[function]
    assert at(traced, "Resource") == "*"
    assert actions_of(traced) == TRACING
    granted |= {"*, if Tracing is Active": TRACING}
    for service, actions in grants_of_kms(function).items():
        granted |= {f"KmsKeyArn, for {service}": actions}
    for resource, actions in granted.items():
        for action in actions:
            record_property("grant", [function, action, resource])


def grants_of_kms(function: str) -> dict[str, set[str]]:
    """Return a function's actions on an operator's KMS key, by the service that calls KMS."""
    found = {}
    for statement in grants_if("HasKmsKey", function):
        assert at(statement, "Resource") == {"Ref": "KmsKeyArn"}
        host = attribute(at(statement, "Condition", "StringEquals", "kms:ViaService"))
        service = host.removesuffix(".${AWS::Region}.${AWS::URLSuffix}")
        found[service] = actions_of(statement)
    return found


def test_a_key_of_the_operators_encrypts_all_that_is_stored() -> None:
    resolve = Intrinsics(DOCUMENT, {"KmsKeyArn": KMS_KEY}).resolve
    kinds = {"AWS::DynamoDB::Table", "AWS::Logs::LogGroup", "AWS::S3::Bucket", "AWS::SQS::Queue"}
    stores = [name for name, each in RESOURCES.items() if at(each, "Type") in kinds]

    assert len(stores) > 8
    for name in stores:
        assert KMS_KEY in json.dumps(resolve(properties(name))), name
        assert "kms:" not in json.dumps(resolved(properties(name))).replace('"aws:kms"', ""), name
    assert "SqsManagedSseEnabled" not in mapping(resolve(properties("PurgeFailuresQueue")))
    assert at(resolved(properties("PurgeFailuresQueue")), "SqsManagedSseEnabled") is True


def test_every_route_needs_a_key_but_the_documents_and_the_pages() -> None:
    guarded = [
        route
        for route in API.routes
        if route.function == "ApiFunction" and not route.path.endswith("/openapi.json")
    ]

    assert {route.authorizer for route in guarded} == set(API.authorizers)
    assert len(API.authorizers) == 1


def test_the_stage_has_a_literal_name() -> None:
    """With a parameter, `Api.Stage` does not name the stage after both transforms."""
    assert at(properties("Api"), "StageName") == "live"


def test_a_function_with_a_condition_has_no_events() -> None:
    """If the condition is false, its events would lose the reference to their API."""
    for resource in map(mapping, RESOURCES.values()):
        if resource["Type"] == "AWS::Serverless::Function" and "Condition" in resource:
            assert "Events" not in section(resource, "Properties")


def test_the_authorizer_alone_says_who_is_counted() -> None:
    assert at(properties("Api"), "ApiKeySourceType") == "AUTHORIZER"
    assert at(properties("Api"), "Auth", "ApiKeyRequired") is True


def test_a_route_is_open_to_all_or_counts_its_callers() -> None:
    """A route without an authorizer has no usage key, so it must not require one."""
    for event in section(mapping(properties("ApiFunction")), "Events").values():
        auth = section(mapping(at(event, "Properties")), "Auth")
        assert (auth.get("Authorizer") == "NONE") == (auth.get("ApiKeyRequired") is False)
    auth = mapping(at(properties("Api"), "Auth"))
    assert auth["AddDefaultAuthorizerToCorsPreflight"] is False
    assert auth["AddApiKeyRequiredToCorsPreflight"] is False


@pytest.mark.parametrize("plan", section(section(DOCUMENT, "Mappings"), "Plans"))
def test_a_plan_has_the_limits_of_its_tier(plan: str) -> None:
    limits = section(section(section(DOCUMENT, "Mappings"), "Plans"), plan)
    made = mapping(resolved(properties(f"{plan.title()}Plan")))

    assert made["Throttle"] == {"RateLimit": limits["Rate"], "BurstLimit": limits["Burst"]}
    assert made["Quota"] == {"Limit": limits["Quota"], "Period": "DAY"}
    assert made["ApiStages"] == [{"ApiId": resolved({"Ref": "Api"}), "Stage": API.stage}]


def test_the_stack_names_its_plans() -> None:
    value = attribute(at(DOCUMENT, "Outputs", "UsagePlans", "Value"))
    plans = section(section(DOCUMENT, "Mappings"), "Plans")

    assert value.split() == [f"{plan}=${{{plan.title()}Plan}}" for plan in plans]


def test_keys_without_a_plan_share_a_count_without_a_limit() -> None:
    plan = mapping(resolved(properties("UnlimitedPlan")))
    environment = TEMPLATE_AT_DEFAULTS.functions["AuthorizerFunction"].environment

    assert not {"Throttle", "Quota"} & plan.keys()
    assert plan["ApiStages"] == [{"ApiId": resolved({"Ref": "Api"}), "Stage": API.stage}]
    assert properties("UnlimitedPlanKey") == {
        "UsagePlanId": {"Ref": "UnlimitedPlan"},
        "KeyId": {"Ref": "UnlimitedUsageKey"},
        "KeyType": "API_KEY",
    }
    made = mapping(resolved(properties("UnlimitedUsageKey")))
    assert made["Value"] == environment["UNLIMITED_USAGE_KEY"]
    assert made["Enabled"] is True


@pytest.mark.parametrize(
    ("given", "is_there"),
    [("", False), (WEB_ACL, True)],
)
def test_a_web_acl_stands_before_the_stage_if_one_is_given(given: str, *, is_there: bool) -> None:
    resolve = Intrinsics(DOCUMENT, {"WebAclArn": given}).resolve
    association = at(RESOURCES, "WebAclAssociation")
    pattern = str(at(DOCUMENT, "Parameters", "WebAclArn", "AllowedPattern"))

    assert re.fullmatch(pattern, given)
    assert resolve({"Condition": at(association, "Condition")}) == is_there
    assert at(resolve(at(association, "Properties")), "WebACLArn") == given


@pytest.mark.parametrize(("given", "expected"), [("PassThrough", False), ("Active", True)])
def test_tracing_is_the_operators_choice(given: str, *, expected: bool) -> None:
    resolve = Intrinsics(DOCUMENT, {"Tracing": given}).resolve

    assert at(resolve(properties("Api")), "TracingEnabled") is expected
    for function in TEMPLATE_WITH_CORS.functions:
        assert at(resolve(properties(function)), "Tracing") == given


@pytest.mark.parametrize(
    ("given", "writes", "makes_role"),
    [("None", False, False), ("AccountRole", True, False), ("OwnRole", True, True)],
)
def test_access_logs_are_the_operators_choice(
    given: str, *, writes: bool, makes_role: bool
) -> None:
    resolve = Intrinsics(DOCUMENT, {"AccessLogs": given}).resolve

    assert ("AccessLogSetting" in mapping(resolve(properties("Api")))) == writes
    assert resolve({"Condition": at(RESOURCES, "AccessLogGroup", "Condition")}) == writes
    assert resolve({"Condition": at(RESOURCES, "GatewayAccount", "Condition")}) == makes_role
    assert resolve({"Condition": at(RESOURCES, "GatewayLogRole", "Condition")}) == makes_role


@pytest.mark.parametrize("shared", ["GatewayAccount", "GatewayLogRole"])
def test_what_other_apis_of_the_account_use_outlives_the_stack(shared: str) -> None:
    assert at(RESOURCES, shared, "DeletionPolicy") == "Retain"
    assert at(RESOURCES, shared, "UpdateReplacePolicy") == "Retain"


def test_an_access_log_holds_neither_keys_nor_queries() -> None:
    api = Intrinsics(DOCUMENT, {"AccessLogs": "AccountRole"}).resolve(properties("Api"))
    line = json.loads(str(at(api, "AccessLogSetting", "Format")))

    assert set(line.values()) == {
        "$context.requestId",
        "$context.requestTime",
        "$context.identity.sourceIp",
        "$context.authorizer.key_id",
        "$context.httpMethod",
        "$context.resourcePath",
        "$context.status",
        "$context.responseLength",
        "$context.responseLatency",
        "$context.integrationLatency",
        "$context.integration.status",
        "$context.integration.integrationStatus",
        "$context.authorizer.latency",
        "$context.authorizer.status",
        "$context.error.responseType",
    }


URLS = ("ApiUrl", "OpenAiBaseUrl")
EXECUTE_API = "https://local-stack-Api.execute-api.us-east-1.amazonaws.com/live"


@pytest.mark.parametrize(
    ("domain", "base_path", "root"),
    [
        ("", "", EXECUTE_API),
        ("api.example.com", "", "https://api.example.com"),
        ("api.example.com", "chat", "https://api.example.com/chat"),
    ],
)
def test_the_stack_names_the_url_that_clients_use(domain: str, base_path: str, root: str) -> None:
    given: dict[str, Json] = {"DomainName": domain, "BasePath": base_path}
    resolve = Intrinsics(DOCUMENT, given).resolve
    outputs = {name: at(resolve(section(DOCUMENT, "Outputs")), name, "Value") for name in URLS}

    assert outputs == {"ApiUrl": root, "OpenAiBaseUrl": f"{root}/v1"}


@pytest.mark.parametrize("base_path", ["", "chat"])
def test_a_domain_of_the_operators_stands_before_the_stage(base_path: str) -> None:
    given: dict[str, Json] = {
        "DomainName": "api.example.com",
        "CertificateArn": CERTIFICATE,
        "BasePath": base_path,
    }
    resolve = Intrinsics(DOCUMENT, given).resolve

    assert resolve(properties("Domain")) == {
        "DomainName": "api.example.com",
        "RegionalCertificateArn": CERTIFICATE,
        "SecurityPolicy": "TLS_1_2",
        "EndpointConfiguration": {"Types": ["REGIONAL"]},
    }
    mapped = mapping(resolve(properties("DomainMapping")))
    assert mapped.get("BasePath") == (base_path or None)
    assert mapped["Stage"] == API.stage


def test_there_is_no_domain_by_default() -> None:
    for name in ("Domain", "DomainMapping"):
        assert at(RESOURCES, name, "Condition") == "HasDomain"
    assert resolved({"Condition": "HasDomain"}) is False


def test_a_domain_needs_its_certificate() -> None:
    rule = at(DOCUMENT, "Rules", "DomainHasCertificate")

    def holds(domain: str, certificate: str) -> bool:
        given: dict[str, Json] = {"DomainName": domain, "CertificateArn": certificate}
        resolve = Intrinsics(DOCUMENT, given).resolve
        applies = resolve(at(rule, "RuleCondition"))
        return not applies or bool(resolve(at(rule, "Assertions", 0, "Assert")))

    assert holds("", "")
    assert holds("api.example.com", CERTIFICATE)
    assert not holds("api.example.com", "")


def test_every_route_names_its_method() -> None:
    assert {route.method for route in API.routes} <= {"GET", "HEAD", "POST", "DELETE"}


def test_every_path_responds_to_preflights_without_a_key_if_pages_may_call() -> None:
    preflights = [route for route in TEMPLATE_WITH_CORS.api.routes if route.method == "OPTIONS"]

    called = {route.path for route in API.routes if route.function == "ApiFunction"}
    assert {route.path for route in preflights} == called
    assert {(route.function, route.authorizer) for route in preflights} == {
        ("PreflightFunction", None)
    }


def test_a_change_of_origins_reaches_the_stage() -> None:
    """SAM creates no new deployment for a parameter that only a condition uses."""
    assert at(properties("Api"), "AlwaysDeploy") is True


@pytest.mark.parametrize(
    ("header", "is_plausible"),
    [
        ("Bearer lck_x", True),
        ("bearer x", True),
        ("Bearer " + "x" * 256, True),
        ("Bearer " + "x" * 257, False),
        ("Bearer ", False),
        ("Bearer a b", False),
        ("Basic eDp5", False),
        ("Bearer \u00e9", False),
    ],
)
def test_only_what_may_be_a_key_reaches_the_authorizer(header: str, *, is_plausible: bool) -> None:
    [authorizer] = API.authorizers.values()

    assert authorizer.validation is not None
    assert bool(authorizer.validation.fullmatch(header)) == is_plausible


def test_a_revoked_key_is_let_in_for_a_minute_at_most() -> None:
    assert [authorizer.ttl_seconds for authorizer in API.authorizers.values()] == [60]


def test_every_error_of_the_gateway_is_in_the_table() -> None:
    assert GATEWAY_ERRORS.keys() == API.responses.keys()


@pytest.mark.parametrize("kind", API.responses)
def test_gateway_rejects_in_the_envelope(kind: str) -> None:
    response, code = API.responses[kind], GATEWAY_ERRORS[kind]
    body = json.loads(response.templates["application/json"])

    assert body == {
        "error": {
            "message": body["error"]["message"],
            "type": ERRORS[code].type,
            "param": PARAMS.get(code),
            "code": code,
        }
    }
    assert response.status in {*ERRORS[code].statuses, None}
    assert ERRORS[code].headers.keys() <= response.headers.keys()


@pytest.mark.parametrize("kind", API.responses)
def test_gateway_repeats_nothing_of_the_request(kind: str) -> None:
    """API Gateway's own message for an unknown route contains the Authorization header."""
    assert "$" not in "".join(API.responses[kind].templates.values())


@pytest.mark.parametrize("kind", API.responses)
def test_error_of_the_gateway_carries_the_request_id(kind: str) -> None:
    assert API.responses[kind].headers["x-request-id"] == "context.requestId"


@pytest.mark.parametrize("kind", API.responses)
def test_error_of_the_gateway_can_be_read_by_pages_if_any_may_call(kind: str) -> None:
    headers = TEMPLATE_WITH_CORS.api.responses[kind].headers

    assert headers["Access-Control-Allow-Origin"] == "'*'"
    assert headers["Access-Control-Expose-Headers"] == "'x-request-id, Retry-After'"
    assert not [name for name in API.responses[kind].headers if name.startswith("Access")]


@pytest.mark.parametrize("kind", ["THROTTLED", "QUOTA_EXCEEDED"])
def test_throttled_client_gets_retry_after(kind: str) -> None:
    assert API.responses[kind].headers["Retry-After"].strip("'").isdigit()


def test_processor_of_every_function_is_the_operators_choice() -> None:
    for name in TEMPLATE_WITH_CORS.functions:
        assert at(properties(name), "Architectures") == [{"Ref": "Architecture"}]


def test_api_gateway_waits_for_the_slowest_response() -> None:
    assert TEMPLATE_AT_DEFAULTS.functions["ApiFunction"].timeout_seconds < 29


@pytest.mark.parametrize("table", TEMPLATE_AT_DEFAULTS.tables)
def test_table_is_encrypted_restorable_and_on_demand(table: str) -> None:
    declared = TEMPLATE_AT_DEFAULTS.tables[table]

    assert declared["BillingMode"] == "PAY_PER_REQUEST"
    assert declared["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS"}
    assert at(declared, "PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled") is True


@pytest.mark.parametrize("given", ["true", "false"])
@pytest.mark.parametrize("table", TEMPLATE_AT_DEFAULTS.tables)
def test_deletion_protection_is_the_operators_choice(table: str, given: str) -> None:
    tables = Template(parameters={"DeletionProtection": given}).tables

    assert tables[table]["DeletionProtectionEnabled"] == given


def test_table_is_protected_by_default() -> None:
    assert at(DOCUMENT, "Parameters", "DeletionProtection", "Default") == "true"


@pytest.mark.parametrize("store", [*TEMPLATE_AT_DEFAULTS.tables, *TEMPLATE_AT_DEFAULTS.buckets])
def test_replaced_store_is_kept(store: str) -> None:
    assert at(RESOURCES, store, "UpdateReplacePolicy") == "Retain"


def test_conversations_expire_and_are_streamed() -> None:
    declared = TEMPLATE_AT_DEFAULTS.tables["ConversationsTable"]

    assert declared["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert declared["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}


def test_bucket_is_encrypted_and_private() -> None:
    bucket = mapping(properties("PayloadBucket"))

    assert bucket["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "BlockPublicPolicy": True,
        "IgnorePublicAcls": True,
        "RestrictPublicBuckets": True,
    }
    assert "aws:kms" in json.dumps(bucket["BucketEncryption"])
    assert at(bucket, "OwnershipControls", "Rules", 0, "ObjectOwnership") == "BucketOwnerEnforced"


def test_bucket_is_reached_by_tls_only() -> None:
    [statement] = items(at(properties("PayloadBucketPolicy"), "PolicyDocument", "Statement"))

    assert at(statement, "Effect") == "Deny"
    assert at(statement, "Principal") == "*"
    assert at(statement, "Condition") == {"Bool": {"aws:SecureTransport": False}}
    assert [attribute(value) for value in items(at(statement, "Resource"))] == [
        "PayloadBucket.Arn",
        "${PayloadBucket.Arn}/*",
    ]


def test_objects_live_as_long_as_the_table_can_go_back() -> None:
    days = Intrinsics(DOCUMENT, {"RecoveryPeriodInDays": 7}).resolve

    table = days(properties("ConversationsTable"))
    bucket = days(properties("PayloadBucket"))

    assert at(bucket, "VersioningConfiguration", "Status") == "Enabled"
    assert at(bucket, "LifecycleConfiguration", "Rules", 0, "NoncurrentVersionExpiration") == {
        "NoncurrentDays": at(table, "PointInTimeRecoverySpecification", "RecoveryPeriodInDays")
    }


@pytest.mark.parametrize("function", TEMPLATE_WITH_CORS.functions)
def test_function_has_its_own_log_group_with_a_retention(function: str) -> None:
    group = at(properties(function), "LoggingConfig", "LogGroup", "Ref")

    assert group == function.replace("Function", "LogGroup")
    assert at(properties(str(group)), "RetentionInDays") == {"Ref": "LogRetentionInDays"}


BY_TTL = "dynamodb.amazonaws.com"


def stream_record(name: str, sk: str, image: Json, old: Json = None, by: str = "us") -> Json:
    return {
        "eventName": name,
        "userIdentity": {"principalId": by},
        "dynamodb": {"Keys": {"sk": {"S": sk}}, "NewImage": image, "OldImage": old},
    }


@pytest.mark.parametrize(
    ("record", "is_purged"),
    [
        (stream_record("MODIFY", "C", {"deleted_at": {"N": "1764000000"}}), True),
        (stream_record("MODIFY", "C", {"updated_at": {"N": "1764000000"}}), False),
        (stream_record("INSERT", "C", {"created_at": {"N": "1764000000"}}), False),
        (stream_record("INSERT", "C", {"deleted_at": {"N": "1764000000"}}), True),
        (stream_record("REMOVE", "C", None), False),
        (stream_record("REMOVE", "C", None, {"deleted_at": {"N": "1764000000"}}, BY_TTL), True),
        (stream_record("REMOVE", "C", None, {"created_at": {"N": "1764000000"}}, BY_TTL), True),
        (stream_record("REMOVE", "b#0", None, {"object": {"S": "k"}}, BY_TTL), True),
        (stream_record("REMOVE", "b#0", None, {"object": {"S": "k"}}), False),
        (stream_record("REMOVE", "b#0", None, {"data": {"B": ""}}, BY_TTL), False),
        (stream_record("MODIFY", "b#0", {"deleted_at": {"N": "1764000000"}}), False),
    ],
    ids=[
        "marked",
        "appended to",
        "created",
        "marked after it expired",
        "gone",
        "forgotten after its deletion",
        "expired",
        "expired with an object",
        "deleted with an object",
        "expired without one",
        "batch",
    ],
)
def test_purge_receives_deleted_conversations_and_expired_batches(
    record: Json, *, is_purged: bool
) -> None:
    [subscription] = TEMPLATE_AT_DEFAULTS.functions["PurgeFunction"].subscriptions

    assert is_purged == any(
        matches(json.loads(pattern), record) for pattern in subscription.filters
    )


def test_a_purge_that_fails_for_good_is_reported_and_blocks_nothing() -> None:
    event = at(properties("PurgeFunction"), "Events", "ConversationDeleted", "Properties")

    destination = at(event, "DestinationConfig", "OnFailure", "Destination")

    assert attribute(destination) == "PurgeFailuresQueue.Arn"
    assert at(event, "FunctionResponseTypes") == ["ReportBatchItemFailures"]
    assert at(event, "BisectBatchOnFunctionError") is True
    assert 0 < int(str(at(event, "MaximumRetryAttempts"))) < 10_000
    assert int(str(at(event, "MaximumRecordAgeInSeconds"))) == 24 * 3600  # as long as a stream
