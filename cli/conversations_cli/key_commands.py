"""`conversations keys`: commands that create, list, show, rotate and revoke API keys."""

from __future__ import annotations

import dataclasses
import functools
import json
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from conversations.auth.api_keys import SCOPES, ApiKey, ApiKeyRepository, Scope, UsageKey
from conversations.auth.usage_plans import UsagePlans
from conversations_cli.command_line import (
    Aws,
    Duration,
    FutureTime,
    Text,
    aws_options,
    moment_text,
    report_count,
    table_text,
)
from conversations_cli.key_use import DAYS, last_use

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta

COLUMNS = ("key_id", "state", "account", "name", "scopes", "plan", "expires_at", "last_four")


@dataclass(frozen=True, slots=True)
class Registry:
    """The keys of one stack, and the format of the output."""

    keys: ApiKeyRepository
    plans: UsagePlans
    as_json: bool
    aws: Aws
    api_id: str | None
    """The API's id; None if only the table was named."""

    def usage_key(self, plan: str | None, name: str) -> AbstractContextManager[UsageKey | None]:
        """Create a usage key in a plan, and delete it if the block fails; None without a plan."""
        if plan is None:
            return nullcontext()
        if self.aws.is_local:
            raise click.BadParameter(
                "The stack of `make run` has no usage plans. Omit --plan, or use --stack."
            )
        if plan not in self.plans.names:
            known = ", ".join(self.plans.names) or "none; plans require --stack"
            raise click.BadParameter(f"Plan '{plan}' was not found. The plans are: {known}.")
        return self.plans.issued(plan, name)

    def print_new_key(self, key: str, record: ApiKey) -> None:
        """Print a key, for the only time; without `--json`, its record goes to standard error."""
        if self.as_json:
            click.echo(json.dumps({"key": key, **_fields(record)}))
            return
        click.echo(_details(_fields(record)), err=True)
        click.echo("This is the API key. It is not shown again:", err=True)
        click.echo(key)

    def show(self, record: ApiKey, more: Mapping[str, object] | None = None) -> None:
        """Print the record of a key, with *more* fields."""
        fields = {**_fields(record), **(more or {})}
        click.echo(json.dumps(fields) if self.as_json else _details(fields))


def key_command(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of all key commands to a command, and pass them as `Registry`."""

    @click.option("--table", help="The table of API keys, instead of --stack.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @aws_options
    @functools.wraps(command)
    def run(aws: Aws, table: str | None, as_json: bool, **options: object) -> None:  # noqa: FBT001 - click's flag
        if (aws.stack is None) == (table is None):
            raise click.UsageError("Use one of --stack, --local or --table.")
        outputs = aws.outputs() if aws.stack else {}
        keys = ApiKeyRepository(
            aws.session.client("dynamodb"), table or outputs["ApiKeysTableName"]
        )
        plan_ids = dict(pair.split("=") for pair in outputs.get("UsagePlans", "").split())
        plans = UsagePlans(lambda: aws.session.client("apigateway"), plan_ids)
        command(Registry(keys, plans, as_json, aws, outputs.get("ApiId")), **options)

    return run


@click.group()
def keys() -> None:
    """Create, list, show, rotate and revoke API keys."""


@keys.command()
@key_command
@click.option("--account", required=True, help="The account of the key.")
@click.option("--name", required=True, type=Text(), help="The purpose of the key, for people.")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(sorted(SCOPES)),
    multiple=True,
    default=sorted(SCOPES),
    help="A permission of the key; may be repeated.  [default: all]",
)
@click.option("--delegate", "may_delegate", is_flag=True, help="Allow the header X-On-Behalf-Of.")
@click.option(
    "--expires", "expires_at", type=FutureTime(), help="When the key expires: 90d, or 2027-01-31."
)
@click.option("--plan", help="The usage plan, which limits the key.  [default: no plan]")
def create(  # noqa: PLR0913, PLR0917 - one parameter an option
    registry: Registry,
    account: str,
    name: str,
    scopes: tuple[Scope, ...],
    may_delegate: bool,  # noqa: FBT001 - click's flag
    expires_at: int | None,
    plan: str | None,
) -> None:
    """Create a key and print it. The key is never shown again.

    Standard output contains only the key: KEY=$(conversations keys create ...).
    """
    try:
        with registry.usage_key(plan, f"{account}: {name}") as usage_key:
            key, record = registry.keys.create(
                account=account,
                name=name,
                scopes=frozenset(scopes),
                may_delegate=may_delegate,
                usage_key=usage_key,
                expires_at=expires_at,
            )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    registry.print_new_key(key, record)


@keys.command("list")
@key_command
@click.option("--all", "is_everything", is_flag=True, help="List expired and revoked keys too.")
@click.option("--account", help="Only the keys of this account.")
def list_keys(registry: Registry, is_everything: bool, account: str | None) -> None:  # noqa: FBT001 - click's flag
    """List the valid keys, the oldest first."""
    records = sorted(
        registry.keys.list_all(), key=lambda record: (record.created_at, record.key_id)
    )
    shown = [
        _fields(record)
        for record in records
        if (is_everything or record.state == "valid") and account in {None, record.account}
    ]
    if registry.as_json:
        click.echo(json.dumps(shown))
    else:
        rows = [[_text(name, fields[name]) for name in COLUMNS] for fields in shown]
        click.echo(table_text([COLUMNS, *rows]))
    report_count(len(shown))


@keys.command()
@key_command
@click.argument("key_id")
@click.option(
    "--last-use",
    "looks_for_use",
    is_flag=True,
    help=f"Also show the last request in {DAYS} days of logs. AWS charges $0.005 per GB scanned.",
)
def show(registry: Registry, key_id: str, looks_for_use: bool) -> None:  # noqa: FBT001 - click's flag
    """Show the record of a key, without the key itself."""
    record = _known(registry.keys.find(key_id), key_id)
    if not looks_for_use:
        registry.show(record)
        return
    if registry.aws.is_local:
        raise click.UsageError(
            "The stack of `make run` keeps no log. Omit --last-use, and look for the key_id in the"
            " terminal of `make run`."
        )
    if registry.aws.stack is None:
        raise click.UsageError(
            "--last-use requires --stack, because it reads the log of the API function."
        )
    used_at = last_use(registry.aws, key_id)
    registry.show(record, {"last_used_at": used_at})


@keys.command()
@key_command
@click.argument("key_id")
def revoke(registry: Registry, key_id: str) -> None:
    """Revoke a key permanently. Requests with the key fail after at most 60 seconds."""
    record = _known(registry.keys.revoke(key_id), key_id)
    if record.usage_key and not any(
        other.usage_key == record.usage_key and other.state == "valid"
        for other in registry.keys.list_all()
    ):
        registry.plans.delete_key(record.usage_key.usage_key_id)
    registry.show(record)
    at_once = (
        "restart `make run`."
        if registry.aws.is_local
        else "\naws apigateway flush-stage-authorizers-cache"
        f" --rest-api-id {registry.api_id or 'API_ID'} --stage-name live"
    )
    click.echo(
        f"Requests with key '{key_id}' fail after at most 60 seconds. To revoke it now: {at_once}",
        err=True,
    )


@keys.command()
@key_command
@click.argument("key_id")
@click.option(
    "--overlap",
    type=Duration(),
    default="24h",
    show_default=True,
    help="How long the old key stays valid; 0 revokes it immediately.",
)
@click.option(
    "--plan", help="Another usage plan.  [default: share the plan and limits of the old key]"
)
def rotate(registry: Registry, key_id: str, overlap: timedelta, plan: str | None) -> None:
    """Replace a key: create a key with equal permissions, and let the old key expire."""
    old = _known(registry.keys.find(key_id), key_id)
    with registry.usage_key(plan, f"{old.account}: {old.name}") as usage_key:
        rotated = registry.keys.rotate(
            key_id, overlap_seconds=int(overlap.total_seconds()), usage_key=usage_key
        )
        if rotated is None:
            reason = f"is {old.state}."
            if old.replaced_by:
                reason = (
                    f"was rotated to {old.replaced_by}. If that key was not printed, rotate"
                    f" {old.replaced_by} with --overlap 0, and with the same --plan."
                )
            raise click.ClickException(f"Key '{key_id}' {reason}")
    ends_at = _known(registry.keys.find(key_id), key_id).expires_at
    click.echo(f"Key '{key_id}' expires at {moment_text(ends_at)}.", err=True)
    registry.print_new_key(*rotated)


def _known(record: ApiKey | None, key_id: str) -> ApiKey:
    if record is None:
        raise click.ClickException(f"Key '{key_id}' was not found.")
    return record


def _fields(record: ApiKey) -> dict[str, object]:
    """Return the fields of a key that may be shown; times are seconds since the epoch."""
    fields = dataclasses.asdict(record)
    del fields["usage_key"]
    return {
        **fields,
        "scopes": sorted(record.scopes),
        "plan": record.usage_key and record.usage_key.plan,
        "usage_key_id": record.usage_key and record.usage_key.usage_key_id,
        "state": record.state,
    }


def _details(fields: Mapping[str, object]) -> str:
    return table_text([(name, _text(name, value)) for name, value in fields.items()])


def _text(name: str, value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case list():
            return ",".join(value)
        case int() if name.endswith("_at"):
            return moment_text(value)
    return str(value)
