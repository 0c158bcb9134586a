"""`conversations keys ...`, on moto."""

from __future__ import annotations

import json
import re
import shlex
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ReadTimeoutError
from click.testing import CliRunner, Result
from moto.core import set_initial_no_auth_action_count

from conversations_cli import log_query
from conversations_cli.__main__ import main
from conversations_cli.key_commands import keys
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conversations.auth.api_keys import ApiKeyRepository
    from local.stack import DevStack

GUIDE, README = (ROOT / name for name in ("docs/keys.md", "README.md"))
STACKS = re.findall(
    r'^stack_name = "(.+)"$', README.with_name("samconfig.toml").read_text(), re.MULTILINE
)
ACME = ("--account", "acme", "--name", "ci")


@pytest.fixture(scope="module")
def described(running_stack: DevStack) -> Iterator[list[str]]:
    """Create a stack for CloudFormation to describe, with the plan `free` and the tests' table."""
    gateway, cloudformation = boto3.client("apigateway"), boto3.client("cloudformation")
    plan = gateway.create_usage_plan(name="keys-free")
    outputs = {
        "ApiKeysTableName": {"Value": running_stack.template.name("ApiKeysTable")},
        "ApiId": {"Value": "abc123"},
        "ApiLogGroupName": {"Value": "/aws/lambda/keys/api"},
        "UsagePlans": {"Value": f"free={plan['id']} gold=nowhere"},
    }
    for name, given in (("keys", outputs), ("other", {})):
        body = {"Resources": {"Any": {"Type": "AWS::SQS::Queue"}}, "Outputs": given}
        cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(body))
    yield ["--stack", "keys"]
    for name in ("keys", "other"):
        cloudformation.delete_stack(StackName=name)
    gateway.delete_usage_plan(usagePlanId=plan["id"])


@pytest.fixture
def at(described: list[str], stack: DevStack) -> Iterator[list[str]]:
    """Return the options that name the stack, whose table is empty; hold moto's lock."""
    with stack.engine.lock:
        yield described
        for key_id in counted():
            boto3.client("apigateway").delete_api_key(apiKey=key_id)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["keys", *arguments])


def json_of(*arguments: str) -> Any:
    """Return the JSON that a command prints."""
    result = invoke(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def counted() -> list[str]:
    """Return the ids of all API Gateway keys."""
    return [key["id"] for key in boto3.client("apigateway").get_api_keys()["items"]]


def test_a_created_key_is_all_of_standard_output(at: list[str], api_keys: ApiKeyRepository) -> None:
    result = invoke("create", *at, *ACME, "--scope", "read", "--scope", "write", "--delegate")

    record = api_keys.verify(result.stdout.removesuffix("\n"))
    assert record is not None
    assert (record.account, record.scopes, record.may_delegate) == (
        "acme",
        frozenset({"read", "write"}),
        True,
    )
    assert record.key_id in result.stderr
    assert "not shown again" in result.stderr


def test_a_created_key_is_in_the_json(at: list[str], api_keys: ApiKeyRepository) -> None:
    made = json_of("create", *at, *ACME)

    record = api_keys.verify(made.pop("key"))
    assert record is not None
    assert made == {
        "key_id": record.key_id,
        "account": "acme",
        "name": "ci",
        "scopes": ["delete", "read", "write"],
        "may_delegate": False,
        "created_at": record.created_at,
        "expires_at": None,
        "revoked_at": None,
        "replaced_by": None,
        "last_four": record.last_four,
        "plan": None,
        "usage_key_id": None,
        "state": "valid",
    }


@pytest.mark.parametrize(
    ("given", "seconds"), [("90d", 90 * 86_400), ("12h", 43_200), ("30m", 1_800), ("2w", 1_209_600)]
)
def test_a_key_expires_after_a_duration(given: str, seconds: int, at: list[str]) -> None:
    made = json_of("create", *at, *ACME, "--expires", given)

    assert abs(made["expires_at"] - time.time() - seconds) < 60


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("2999-01-31", 32_474_736_000),
        ("2999-01-31T12:00", 32_474_779_200),
        ("2999-01-31T12:00+02:00", 32_474_772_000),
    ],
)
def test_a_key_expires_at_a_date(given: str, seconds: int, at: list[str]) -> None:
    assert json_of("create", *at, *ACME, "--expires", given)["expires_at"] == seconds


@pytest.mark.parametrize(
    "given",
    ["2020-01-01", "0d", "-1d", "90", "soon", "99999999d", "1y", "", "9999-12-31T23:59-23:59"],
)
def test_a_key_expires_in_the_future_or_is_not_made(
    given: str, at: list[str], api_keys: ApiKeyRepository
) -> None:
    result = invoke("create", *at, *ACME, "--expires", given)

    assert result.exit_code == 2
    assert f"'{given}'" in result.stderr
    assert [*api_keys.list_all()] == []


def test_the_list_holds_valid_keys_and_all_on_request(
    at: list[str], api_keys: ApiKeyRepository
) -> None:
    valid = api_keys.create(account="a", name="valid")[1].key_id
    revoked = api_keys.create(account="a", name="revoked")[1].key_id
    api_keys.revoke(revoked)
    expired = api_keys.create(account="a", name="expired", expires_at=1)[1].key_id

    assert [record["key_id"] for record in json_of("list", *at)] == [valid]
    every = {record["key_id"]: record["state"] for record in json_of("list", *at, "--all")}
    assert every == {valid: "valid", revoked: "revoked", expired: "expired"}


def test_the_list_goes_on_behind_the_first_megabyte(
    at: list[str], api_keys: ApiKeyRepository
) -> None:
    made = [api_keys.create(account="a", name="x" * 300_000)[1].key_id for _ in range(5)]

    assert {record["key_id"] for record in json_of("list", *at)} == {*made}


def test_the_oldest_key_is_listed_first(
    at: list[str], api_keys: ApiKeyRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    for second in (3, 1, 2):
        monkeypatch.setattr(
            "conversations.auth.api_keys.time", SimpleNamespace(time=lambda s=second: s)
        )
        made.append(api_keys.create(account="a", name="n")[1])

    listed = [record["created_at"] for record in json_of("list", *at)]
    assert listed == [1, 2, 3]


def test_the_table_is_for_people(at: list[str], api_keys: ApiKeyRepository) -> None:
    _, record = api_keys.create(account="acme", name="ci", expires_at=32_474_736_000)

    title, line = invoke("list", *at).stdout.splitlines()

    assert title.split() == [
        *("key_id", "state", "account", "name", "scopes", "plan", "expires_at", "last_four")
    ]
    assert line.split() == [
        *(record.key_id, "valid", "acme", "ci", "delete,read,write", "-"),
        *("2999-01-31", "00:00Z", record.last_four),
    ]
    assert line.index("valid") == title.index("state")


def test_all_of_a_key_is_shown_but_its_secret(
    at: list[str], stack: DevStack, api_keys: ApiKeyRepository
) -> None:
    key, record = api_keys.create(account="acme", name="ci")
    [row] = stack.resources.dynamodb.scan(TableName=stack.template.name("ApiKeysTable"))["Items"]

    shown = invoke("show", *at, record.key_id).stdout + str(json_of("show", *at, record.key_id))

    assert "acme" in shown
    assert key not in shown
    assert row["key_hash"]["S"] not in shown


def test_a_revoked_key_stays_revoked(at: list[str], api_keys: ApiKeyRepository) -> None:
    key, record = api_keys.create(account="acme", name="ci")

    revoked = json_of("revoke", *at, record.key_id)

    assert revoked["state"] == "revoked"
    assert json_of("revoke", *at, record.key_id) == revoked
    assert api_keys.verify(key) is None


def test_a_rotated_key_has_the_rights_of_the_old_one(
    at: list[str], api_keys: ApiKeyRepository
) -> None:
    old = json_of("create", *at, *ACME, "--scope", "read", "--delegate", "--plan", "free")

    new = json_of("rotate", *at, old["key_id"])

    same = ["account", "name", "scopes", "may_delegate", "plan", "usage_key_id", "expires_at"]
    assert {name: new[name] for name in same} == {name: old[name] for name in same}
    assert all(api_keys.verify(made["key"]) for made in (old, new))
    ended = json_of("show", *at, old["key_id"])
    assert ended["replaced_by"] == new["key_id"]
    assert abs(ended["expires_at"] - time.time() - 86_400) < 60


def test_an_overlap_of_nothing_ends_the_old_key(at: list[str], api_keys: ApiKeyRepository) -> None:
    key, record = api_keys.create(account="acme", name="ci")

    new = invoke("rotate", *at, record.key_id, "--overlap", "0")

    assert api_keys.verify(key) is None
    assert api_keys.verify(new.stdout.removesuffix("\n"))
    assert f"'{record.key_id}' expires at" in new.stderr


@pytest.mark.parametrize("state", ["revoked", "expired", "rotated"])
def test_a_key_that_is_not_valid_is_not_rotated(
    state: str, at: list[str], api_keys: ApiKeyRepository
) -> None:
    past = 1 if state == "expired" else None
    key_id = api_keys.create(account="acme", name="ci", expires_at=past)[1].key_id
    if state == "revoked":
        invoke("revoke", *at, key_id)
    if state == "rotated":
        invoke("rotate", *at, key_id)
    before = [*api_keys.list_all()]

    result = invoke("rotate", *at, key_id, "--plan", "free")

    assert (result.exit_code, result.stdout) == (1, "")
    assert f"Key '{key_id}' " in result.stderr
    assert state in result.stderr
    assert [*api_keys.list_all()] == before
    assert counted() == []


def test_a_key_whose_rotation_had_no_response_can_still_be_replaced(
    at: list[str], api_keys: ApiKeyRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    call_aws: Any = vars(BaseClient)["_make_api_call"]
    old = json_of("create", *at, *ACME)

    def lose(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        response = call_aws(client, operation, parameters)
        if operation in {"TransactWriteItems", "GetItem"}:
            raise ReadTimeoutError(endpoint_url="https://aws.invalid")
        return response

    with monkeypatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", lose)
        lost = invoke("rotate", *at, old["key_id"])
    again = invoke("rotate", *at, old["key_id"])
    [unknown] = re.findall(r"was rotated to (\w+)\. If that key was not printed", again.stderr)
    new = json_of("rotate", *at, unknown, "--overlap", "0")

    assert (lost.exit_code, lost.stdout, again.exit_code) == (1, "", 1)
    assert api_keys.verify(new["key"])
    assert json_of("show", *at, unknown)["state"] == "expired"


def test_a_plan_counts_by_a_key_that_opens_nothing(
    at: list[str], api_keys: ApiKeyRepository
) -> None:
    made = json_of("create", *at, *ACME, "--plan", "free")

    gateway = boto3.client("apigateway")
    [plan] = gateway.get_usage_plans(keyId=made["usage_key_id"])["items"]
    usage_key = gateway.get_api_key(apiKey=made["usage_key_id"], includeValue=True)
    assert plan["name"] == "keys-free"
    assert (usage_key["name"], usage_key["enabled"]) == ("acme: ci", True)
    assert api_keys.verify(usage_key["value"]) is None


def test_another_plan_is_another_count(at: list[str]) -> None:
    old = json_of("create", *at, *ACME)

    new = json_of("rotate", *at, old["key_id"], "--plan", "free")

    assert (new["plan"], counted()) == ("free", [new["usage_key_id"]])


def test_a_count_ends_with_the_last_key_that_shares_it(at: list[str]) -> None:
    old = json_of("create", *at, *ACME, "--plan", "free")
    new = json_of("rotate", *at, old["key_id"])

    json_of("revoke", *at, old["key_id"])
    assert counted() == [new["usage_key_id"]]
    json_of("revoke", *at, new["key_id"])
    assert counted() == []
    assert json_of("revoke", *at, new["key_id"])["state"] == "revoked"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["create", *ACME, "--plan", "silver"],
            "Plan 'silver' was not found. The plans are: free, gold.",
        ),
        (["create", "--account", "a:b", "--name", "n", "--plan", "free"], "a:b"),
        (["create", *ACME, "--scope", "admin"], "admin"),
        (["create", "--name", "n"], "--account"),
        (["rotate", "key_none", "--overlap", "soon"], "'soon'"),
        (["list", "--table", "t"], "Use one of --stack, --local or --table."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_invalid_options_are_reported(
    arguments: list[str], message: str, at: list[str], api_keys: ApiKeyRepository
) -> None:
    result = invoke(*arguments, *at)

    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert [*api_keys.list_all()] == []
    assert counted() == []


@pytest.mark.parametrize("command", ["show", "revoke", "rotate"])
def test_an_unknown_key_is_reported(command: str, at: list[str]) -> None:
    result = invoke(command, *at, "key_none")

    assert (result.exit_code, result.stderr) == (1, "Error: Key 'key_none' was not found.\n")


@pytest.mark.usefixtures("at")
def test_plans_need_a_stack(stack: DevStack) -> None:
    table = stack.template.name("ApiKeysTable")

    result = invoke("create", "--table", table, *ACME, "--plan", "free")

    assert result.exit_code == 2
    assert "plans require --stack" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        (["--stack", "none"], {}, "Stack 'none' was not found in us-east-1."),
        (["--stack", "other"], {}, "Stack 'other' is not a stack of lambda-conversations."),
        (["--table", "none"], {}, "Table 'none' was not found in us-east-1."),
        (
            ["--table", "none", "--region", "eu-west-1"],
            {},
            "Table 'none' was not found in eu-west-1.",
        ),
        (
            ["--stack", "keys"],
            {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
            "No AWS credentials were found. Log in, or use --profile.",
        ),
        (
            ["--stack", "keys"],
            {"AWS_DEFAULT_REGION": None},
            "No AWS region is set. Use --region, or set AWS_DEFAULT_REGION.",
        ),
        (
            ["--stack", "keys", "--profile", "none"],
            {},
            "AWS cannot be called: The config profile (none) could not be found",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, (list, dict)) else "",
)
@pytest.mark.usefixtures("at")
def test_a_missing_resource_is_reported_in_a_sentence(
    arguments: list[str],
    variables: dict[str, str | None],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)

    result = invoke("list", *arguments)

    assert (result.exit_code, result.stderr) == (1, f"Error: {message}\n")


@pytest.mark.usefixtures("at")
@set_initial_no_auth_action_count(2)
def test_a_missing_permission_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    iam = boto3.client("iam")
    iam.create_user(UserName="stranger")
    made = iam.create_access_key(UserName="stranger")["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", made["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", made["SecretAccessKey"])

    result = invoke("list", "--stack=keys")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: These AWS credentials lack a permission: User: arn:")
    assert "is not authorized to perform: cloudformation:DescribeStacks" in result.stderr


@pytest.mark.parametrize(
    "line",
    re.findall(r"conversations keys [^\n)|]*", "".join(map(Path.read_text, (README, GUIDE)))),
)
def test_a_documented_command_is_understood(line: str) -> None:
    _, _, name, *arguments = shlex.split(line)

    with keys.commands[name].make_context(name, arguments) as context:
        assert context.params["stack"] in STACKS


def test_keys_of_one_account_are_listed(at: list[str]) -> None:
    for account in ("acme", "globex"):
        invoke("create", *at, "--account", account, "--name", "ci")

    listed = invoke("list", *at, "--account", "globex", "--json")

    assert [record["account"] for record in json.loads(listed.stdout)] == ["globex"]
    assert listed.stderr == "1 found\n"


def test_no_key_is_said_on_standard_error(at: list[str]) -> None:
    listed = invoke("list", *at, "--json")

    assert (listed.stdout, listed.stderr) == ("[]\n", "0 found\n")


def test_revocation_says_how_to_end_the_key_now(at: list[str]) -> None:
    made = json_of("create", *at, *ACME)

    message = invoke("revoke", *at, made["key_id"]).stderr

    assert "after at most 60 seconds" in message
    assert "flush-stage-authorizers-cache --rest-api-id abc123 --stage-name live" in message


def test_last_use_is_in_the_log(at: list[str]) -> None:
    made, unused = json_of("create", *at, *ACME), json_of("create", *at, *ACME)
    lines = [
        {"timestamp": "2026-11-26T12:00:00.000+00:00", "message": "request", "key_id": "key_other"},
        {
            "timestamp": "2026-11-26T13:00:00.000+00:00",
            "message": "request",
            "key_id": made["key_id"],
        },
    ]
    with logged(lines):
        used_at = json_of("show", *at, made["key_id"], "--last-use")["last_used_at"]
    with logged([]):
        assert json_of("show", *at, unused["key_id"], "--last-use")["last_used_at"] is None

    assert used_at == 1795698000
    assert "last_used_at" not in json_of("show", *at, made["key_id"])


@contextmanager
def logged(lines: list[dict[str, str]]) -> Iterator[None]:
    """Write these lines, the oldest first, to the log of the stack's API function."""
    logs, group = boto3.client("logs"), {"logGroupName": "/aws/lambda/keys/api"}
    stream, now = {**group, "logStreamName": "one"}, int(time.time() * 1000)
    logs.create_log_group(**group)
    logs.create_log_stream(**stream)
    events = [
        {"timestamp": now - 1000 + at, "message": json.dumps(line)} for at, line in enumerate(lines)
    ]
    if events:
        logs.put_log_events(**stream, logEvents=events)
    yield
    logs.delete_log_group(**group)


def test_last_use_waits_for_the_query(at: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    call_aws: Any = vars(BaseClient)["_make_api_call"]  # the one door to AWS
    made, states = json_of("create", *at, *ACME), ["Running"]

    def slow(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        response = call_aws(client, operation, parameters)
        if operation == "GetQueryResults" and states:
            response["status"] = states.pop()
        return response

    monkeypatch.setattr(BaseClient, "_make_api_call", slow)
    monkeypatch.setattr(log_query, "POLL_SECONDS", 0)
    line = {
        "timestamp": "2026-11-26T13:00:00+00:00",
        "message": "request",
        "key_id": made["key_id"],
    }

    with logged([line]):
        shown = json_of("show", *at, made["key_id"], "--last-use")

    assert shown["last_used_at"] == 1795698000
    assert not states


@pytest.mark.parametrize("status", ["Failed", "Cancelled", "Timeout", "Unknown"])
def test_last_use_is_not_told_if_the_query_fails(
    at: list[str], status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call_aws: Any = vars(BaseClient)["_make_api_call"]
    made = json_of("create", *at, *ACME)

    def fail(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        response = call_aws(client, operation, parameters)
        return response | ({"status": status} if operation == "GetQueryResults" else {})

    monkeypatch.setattr(BaseClient, "_make_api_call", fail)

    with logged([]):
        result = invoke("show", *at, made["key_id"], "--last-use", "--json")

    assert (result.exit_code, result.stdout) == (1, "")
    assert f"'/aws/lambda/keys/api' ended with the status '{status}'" in result.stderr


def test_last_use_needs_a_stack_with_a_log(at: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    made = json_of("create", *at, *ACME)
    monkeypatch.setattr(log_query, "API_LOG_GROUP", "none")

    result = invoke("show", *at, made["key_id"], "--last-use")

    assert (result.exit_code, "Deploy this release" in result.stderr) == (1, True)


def test_last_use_needs_a_stack(at: list[str], stack: DevStack) -> None:
    made = json_of("create", *at, *ACME)
    table = ("--table", stack.template.name("ApiKeysTable"))

    result = invoke("show", *table, made["key_id"], "--last-use")

    assert result.exit_code == 2
    assert "--last-use requires --stack" in result.stderr
