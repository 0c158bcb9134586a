"""`conversations erase`: verified deletion of all conversations of an owner or an account."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
from botocore.exceptions import ClientError

from conversations.errors import ConversationBusyError, ConversationNotFoundError
from conversations.storage import rows
from conversations.storage.purge import requeue_purge
from conversations.storage.scan import scan_index
from conversations.storage.store import Store
from conversations_cli.data_options import (
    Data,
    Scope,
    amount,
    data_command,
    progress,
    scope_options,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mypy_boto3_s3.type_defs import LifecycleRuleOutputTypeDef

    from conversations_cli.data_options import Show

FOREVER = "forever"
POLL_SECONDS = 1.0
DELETE_ATTEMPTS = 10
"""Number of attempts to delete a conversation that other requests keep changing."""


class Receipt(NamedTuple):
    """Receipt of an erasure; times are ISO 8601 in UTC."""

    account: str
    owner: str | None
    """The owner's identity; null for the account and all its end users."""
    conversations: int
    created_meanwhile: int
    """Conversations that were created after the erasure listed them, and are not erased."""
    started_at: str
    verified_at: str
    """The time when nothing but marks of deletion remained: no other row, object or index entry."""
    rows_restorable_until: str | None
    """The end of point-in-time recovery of the rows; null if it is disabled."""
    objects_restorable_until: str | None
    """The time until which the bucket keeps versions of deleted objects, at least.

    `FOREVER` if no rule of the bucket removes them; null if the bucket keeps no versions.
    """


class Journal:
    """File with the conversations that an erasure has deleted and not yet verified.

    Their rows no longer name the owner, so an erasure needs the file to continue after an
    interruption.
    """

    def __init__(self, data: Data, scope: Scope) -> None:
        name = json.dumps(
            [data.aws.place, data.table.name, data.bucket, scope.account, scope.owner]
        )
        digest = hashlib.sha256(name.encode()).hexdigest()[:32]
        self._file = Path(click.get_app_dir("conversations")) / f"erase-{digest}.txt"

    def read(self) -> tuple[str | None, list[str]]:
        """Return the start time and the partition keys of an interrupted erasure."""
        if not self._file.exists():
            return None, []
        text = self._file.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        if whole != text:  # it was interrupted while it wrote
            self._file.write_text(whole, encoding="utf-8")
        lines = whole.splitlines()
        return next(iter(lines), None), lines[1:]

    def begin(self, started_at: str) -> None:
        """Create the file, with the start time."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(f"{started_at}\n", encoding="utf-8")

    def add(self, pks: Iterable[str]) -> None:
        """Add conversations, before they are deleted."""
        with self._file.open("a", encoding="utf-8") as file:
            file.writelines(f"{pk}\n" for pk in pks)

    def end(self) -> None:
        """Delete the file."""
        self._file.unlink()


@click.command()
@data_command
@scope_options
@click.option("--yes", "is_confirmed", is_flag=True, help="Skip the confirmation prompt.")
@click.option("--json", "as_json", is_flag=True, help="Print the receipt as JSON.")
@click.option(
    "--timeout",
    type=click.IntRange(1),
    default=900,
    show_default=True,
    help="Seconds to wait for the purge.",
)
def erase(
    data: Data,
    scope: Scope,
    is_confirmed: bool,  # noqa: FBT001 - click's flag
    as_json: bool,  # noqa: FBT001
    timeout: int,
) -> None:
    """Delete conversations, and verify that none of their items or objects remain.

    After an interruption, run the command again to continue.
    """
    journal = Journal(data, scope)
    started_at, deleted = journal.read()
    live = [*scan_index(data.table, scope.account, scope.owner)]
    pks = sorted({*deleted, *live})
    if not pks and not as_json:
        click.echo(f"Nothing to erase: {scope.label} has no conversation.")
        return
    if live and not is_confirmed:
        count = amount(len(live), "conversation")
        click.confirm(f"Permanently delete {count} of {scope.label}?", abort=True, err=True)
    if started_at is None:
        started_at = _text(datetime.now(UTC))
        journal.begin(started_at)
    journal.add(pk for pk in live if pk not in {*deleted})
    with progress() as show:
        _delete(data, live, show)
        _wait_until_gone(data, scope, pks, timeout, show)
    receipt = _receipt(data, scope, pks, started_at)
    journal.end()
    click.echo(json.dumps(receipt._asdict()) if as_json else _sentences(receipt, scope))


def _delete(data: Data, pks: list[str], show: Show) -> None:
    """Delete conversations; attempt a busy one again after the others.

    Raises:
        click.ClickException: other requests changed a conversation during every attempt.
    """
    store = Store(data.table, data.payloads)
    waiting = dict.fromkeys(pks)
    for _ in range(DELETE_ATTEMPTS):
        for pk in [*waiting]:
            owner, _, conversation_id = pk.partition("/")
            with contextlib.suppress(ConversationBusyError):
                try:
                    store.delete_conversation(owner, conversation_id)
                except ConversationNotFoundError:  # deleted meanwhile, or expired and still there
                    requeue_purge(data.table, pk)
                del waiting[pk]
            show(f"{len(pks) - len(waiting):,} of {len(pks):,} conversations deleted")
        if not waiting:
            return
        time.sleep(POLL_SECONDS)
    raise click.ClickException(
        f"Other requests keep changing {amount(len(waiting), 'conversation')}. Stop writes, and run"
        " the command again to continue."
    )


def _wait_until_gone(data: Data, scope: Scope, pks: list[str], timeout: int, show: Show) -> None:
    """Wait until no row, object or index entry of the conversations is left.

    Raises:
        click.ClickException: some are left after *timeout* seconds.
    """
    deadline = time.monotonic() + timeout
    waiting = [*pks]
    while True:
        waiting = [pk for pk in waiting if _is_left(data, pk)]
        if not waiting and not _is_listed(data, scope.account, pks):
            return
        if time.monotonic() >= deadline:
            raise click.ClickException(
                f"The purge of {amount(len(waiting), 'conversation')} is unfinished after {timeout}"
                " seconds. Run the command again to continue. `conversations purges unfinished"
                " --again` restarts failed purges."
            )
        show(f"waiting for the purge of {len(waiting):,} conversations")
        time.sleep(POLL_SECONDS)


def _is_left(data: Data, pk: str) -> bool:
    """Return whether a deleted conversation has an object, or a row beside the mark of deletion."""
    if any(map(len, data.payloads.list_folder(pk))):
        return True
    found = data.table.dynamodb.query(
        TableName=data.table.name,
        KeyConditionExpression="pk = :pk",
        ProjectionExpression="sk, deleted_at",
        ExpressionAttributeValues={":pk": {"S": pk}},
        ConsistentRead=True,
        Limit=2,
    )["Items"]
    return any(row["sk"]["S"] != rows.CONVERSATION_SK or "deleted_at" not in row for row in found)


def _is_listed(data: Data, account: str, pks: list[str]) -> bool:
    """Return whether an index still has one of the conversations."""
    owners = {pk.partition("/")[0] for pk in pks}
    return any(
        not {*pks}.isdisjoint(scan_index(data.table, account, owner)) for owner in (None, *owners)
    )


def _receipt(data: Data, scope: Scope, pks: list[str], started_at: str) -> Receipt:
    created = len({*scan_index(data.table, scope.account, scope.owner)} - {*pks})
    now = datetime.now(UTC)
    days = _recovery_days(data)
    return Receipt(
        scope.account,
        scope.owner,
        len(pks),
        created,
        started_at,
        _text(now),
        None if days is None else _text(now + timedelta(days=days)),
        _versions_until(data, now),
    )


def _recovery_days(data: Data) -> int | None:
    described = data.table.dynamodb.describe_continuous_backups(TableName=data.table.name)
    recovery = described["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    if recovery.get("PointInTimeRecoveryStatus") != "ENABLED":
        return None
    return recovery.get("RecoveryPeriodInDays", 35)


def _versions_until(data: Data, now: datetime) -> str | None:
    """Return the time until which the bucket keeps objects that are deleted *now*.

    S3 removes a version at the first midnight, UTC, after the days of the rule, or later.
    """
    if "Status" not in data.s3.get_bucket_versioning(Bucket=data.bucket):
        return None
    days = [
        rule["NoncurrentVersionExpiration"]["NoncurrentDays"]
        for rule in _lifecycle_rules(data)
        if "NoncurrentVersionExpiration" in rule
        and rule["Status"] == "Enabled"
        and rule.get("Filter", {}) in ({}, {"Prefix": ""})
        and not rule.get("Prefix")  # the older form of a filter
    ]
    if not days:
        return FOREVER
    next_day = now + timedelta(days=max(days) + 1)
    return _text(next_day.replace(hour=0, minute=0, second=0, microsecond=0))


def _lifecycle_rules(data: Data) -> list[LifecycleRuleOutputTypeDef]:
    try:
        return data.s3.get_bucket_lifecycle_configuration(Bucket=data.bucket)["Rules"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchLifecycleConfiguration":
            raise
        return []


def _sentences(receipt: Receipt, scope: Scope) -> str:
    return "\n".join(_lines(receipt, scope))


def _lines(receipt: Receipt, scope: Scope) -> Iterator[str]:
    yield f"Erased {amount(receipt.conversations, 'conversation')} of {scope.label}."
    yield f"Started at {receipt.started_at}. Verified at {receipt.verified_at}: no content remains."
    if receipt.created_meanwhile:
        created = amount(receipt.created_meanwhile, "conversation")
        yield f"Not erased: {created} created during the erasure. Stop writes, and erase again."
    if until := receipt.rows_restorable_until:
        yield f"Rows can be restored by point-in-time recovery until {until}."
    else:
        yield "Rows cannot be restored: point-in-time recovery is disabled."
    match receipt.objects_restorable_until:
        case None:
            yield "No versions of deleted objects are kept."
        case "forever":
            yield "Versions of deleted objects are kept forever: no lifecycle rule removes them."
        case until:
            yield f"Versions of deleted objects are kept at least until {until}."


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
