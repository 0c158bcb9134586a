"""API keys: issued once, stored as hashes, verified by the authorizer.

A key without a usage plan has no limit of its own. A key with a plan has an API Gateway key, by
which API Gateway counts its requests. An API Gateway key grants no access and is never shown.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from botocore.exceptions import BotoCoreError, ClientError

from conversations import ids
from conversations.auth.key_format import PREFIX, has_valid_checksum, hash_key, key_id_of, new_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

type Scope = Literal["read", "write", "delete"]
type State = Literal["valid", "expired", "revoked"]

SCOPES: frozenset[Scope] = frozenset(get_args(Scope.__value__))


@dataclass(frozen=True, slots=True)
class UsageKey:
    """An API Gateway key in a usage plan; API keys that share it share the plan's limits."""

    usage_key_id: str
    value: str
    plan: str


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The record of a key; times are seconds since the epoch."""

    key_id: str
    account: str
    name: str
    scopes: frozenset[Scope]
    may_delegate: bool
    """Permission to act on behalf of end users with `X-On-Behalf-Of`."""
    usage_key: UsageKey | None
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    replaced_by: str | None
    """The id of the key that replaced this key in a rotation."""
    last_four: str

    @property
    def state(self) -> State:
        """The current state; only a valid key is accepted."""
        if self.revoked_at is not None:
            return "revoked"
        is_expired = self.expires_at is not None and self.expires_at <= time.time()
        return "expired" if is_expired else "valid"


class ApiKeyRepository:
    """The table of keys."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def create(  # noqa: PLR0913 - a key has that many properties, each named by its caller
        self,
        *,
        account: str,
        name: str,
        scopes: frozenset[Scope] = SCOPES,
        may_delegate: bool = False,
        usage_key: UsageKey | None = None,
        expires_at: int | None = None,
        key: str | None = None,
    ) -> tuple[str, ApiKey]:
        """Issue a key, and return it in plain text, for the only time, with its record.

        *key* is for the local stack, where a developer chooses the key; an existing record of it is
        replaced.

        Raises:
            ValueError: *account* is not an id, *scopes* is empty, or *key* begins with `PREFIX`
                but does not end in its checksum.
        """
        if not ids.is_id(account):
            raise ValueError(f"The account must be {ids.ID_RULE}, got '{account}'.")
        if not scopes:
            raise ValueError("A key must have at least one scope.")
        key = key or new_key()
        if not has_valid_checksum(key):
            raise ValueError(f"A key that begins with {PREFIX} must end in its checksum.")
        record = ApiKey(
            key_id=key_id_of(key),
            account=account,
            name=name,
            scopes=scopes,
            may_delegate=may_delegate,
            usage_key=usage_key,
            created_at=int(time.time()),
            expires_at=expires_at,
            revoked_at=None,
            replaced_by=None,
            last_four=key[-4:],
        )
        self._dynamodb.put_item(TableName=self._table, Item=_row(hash_key(key), record))
        return key, record

    def verify(self, key: str) -> ApiKey | None:
        """Return the record of a valid key; None for any other key."""
        if not has_valid_checksum(key):
            return None
        response = self._dynamodb.get_item(
            TableName=self._table, Key={"key_hash": {"S": hash_key(key)}}, ConsistentRead=True
        )
        record = _record(response["Item"]) if "Item" in response else None
        return record if record and record.state == "valid" else None

    def list_all(self) -> Iterator[ApiKey]:
        """Yield the records of all keys ever issued, in no order."""
        for row in self._rows():
            yield _record(row)

    def find(self, key_id: str) -> ApiKey | None:
        """Return the record of a key in any state; None if it does not exist."""
        row = self._row(key_id)
        return None if row is None else _record(row)

    def revoke(self, key_id: str) -> ApiKey | None:
        """Revoke a key permanently, and return its record; None if it does not exist.

        Requests are rejected once API Gateway's cached result of the authorizer expires (60
        seconds, `ReauthorizeEvery` in the template).
        """
        row = self._row(key_id)
        if row is None:
            return None
        response = self._dynamodb.update_item(
            TableName=self._table,
            Key={"key_hash": row["key_hash"]},
            UpdateExpression="SET revoked_at = if_not_exists(revoked_at, :now)",
            ExpressionAttributeValues={":now": {"N": str(int(time.time()))}},
            ReturnValues="ALL_NEW",
        )
        return _record(response["Attributes"])

    def rotate(
        self, key_id: str, *, overlap_seconds: int, usage_key: UsageKey | None = None
    ) -> tuple[str, ApiKey] | None:
        """Issue a key with the permissions of another key, which expires after the overlap.

        The new key has the lifetime of the old key, counted from now. Both keys share one usage
        key, and so its limits, unless *usage_key* is another. Both are written, or none. If the
        response is lost, the table is read to see whether the new key was written.

        Returns:
            The new key in plain text, for the only time, with its record; None if the old key does
            not exist, is not valid or was rotated before.
        """
        row = self._row(key_id)
        if row is None:
            return None
        old, now, key = _record(row), int(time.time()), new_key()
        lifetime = None if old.expires_at is None else old.expires_at - old.created_at
        new = dataclasses.replace(
            old,
            key_id=key_id_of(key),
            usage_key=usage_key or old.usage_key,
            created_at=now,
            expires_at=None if lifetime is None else now + lifetime,
            last_four=key[-4:],
        )
        ends_at = min(now + overlap_seconds, old.expires_at or now + overlap_seconds)
        is_replaced = self._replace(row["key_hash"], ends_at, _row(hash_key(key), new), new.key_id)
        return (key, new) if is_replaced else None

    def _replace(
        self,
        old: AttributeValueTypeDef,
        ends_at: int,
        row: dict[str, AttributeValueTypeDef],
        key_id: str,
    ) -> bool:
        try:
            self._dynamodb.transact_write_items(
                TransactItems=[
                    {
                        "Update": {
                            "TableName": self._table,
                            "Key": {"key_hash": old},
                            "UpdateExpression": "SET expires_at = :end, replaced_by = :new",
                            "ConditionExpression": "attribute_not_exists(revoked_at)"
                            " AND attribute_not_exists(replaced_by)"
                            " AND (attribute_not_exists(expires_at) OR expires_at > :now)",
                            "ExpressionAttributeValues": {
                                ":end": {"N": str(ends_at)},
                                ":new": {"S": key_id},
                                ":now": row["created_at"],
                            },
                        }
                    },
                    {"Put": {"TableName": self._table, "Item": row}},
                ]
            )
        except self._dynamodb.exceptions.TransactionCanceledException as error:
            if error.response["CancellationReasons"][0]["Code"] == "ConditionalCheckFailed":
                return False
            raise
        except (BotoCoreError, ClientError):
            with contextlib.suppress(BotoCoreError, ClientError):
                if self._has(row["key_hash"]):
                    return True
            raise
        return True

    def _has(self, key_hash: AttributeValueTypeDef) -> bool:
        return "Item" in self._dynamodb.get_item(
            TableName=self._table, Key={"key_hash": key_hash}, ConsistentRead=True
        )

    def _row(self, key_id: str) -> dict[str, AttributeValueTypeDef] | None:
        return next((row for row in self._rows() if row["key_id"]["S"] == key_id), None)

    def _rows(self) -> Iterator[dict[str, AttributeValueTypeDef]]:
        for page in self._dynamodb.get_paginator("scan").paginate(
            TableName=self._table, ConsistentRead=True
        ):
            yield from page["Items"]


def _row(key_hash: str, record: ApiKey) -> dict[str, AttributeValueTypeDef]:
    row: dict[str, AttributeValueTypeDef] = {
        "key_hash": {"S": key_hash},
        "key_id": {"S": record.key_id},
        "account": {"S": record.account},
        "name": {"S": record.name},
        "scopes": {"SS": sorted(record.scopes)},
        "may_delegate": {"BOOL": record.may_delegate},
        "created_at": {"N": str(record.created_at)},
        "last_four": {"S": record.last_four},
    }
    if record.usage_key is not None:
        row["usage"] = {"M": {n: {"S": v} for n, v in dataclasses.asdict(record.usage_key).items()}}
    if record.expires_at is not None:
        row["expires_at"] = {"N": str(record.expires_at)}
    return row


def _record(row: dict[str, AttributeValueTypeDef]) -> ApiKey:
    return ApiKey(
        key_id=row["key_id"]["S"],
        account=row["account"]["S"],
        name=row["name"]["S"],
        scopes=frozenset(scope for scope in SCOPES if scope in row["scopes"]["SS"]),
        may_delegate=row["may_delegate"]["BOOL"],
        usage_key=_usage_key(row["usage"]["M"]) if "usage" in row else None,
        created_at=int(row["created_at"]["N"]),
        expires_at=int(row["expires_at"]["N"]) if "expires_at" in row else None,
        revoked_at=int(row["revoked_at"]["N"]) if "revoked_at" in row else None,
        replaced_by=row["replaced_by"]["S"] if "replaced_by" in row else None,
        last_four=row["last_four"]["S"],
    )


def _usage_key(stored: Mapping[str, AttributeValueTypeDef]) -> UsageKey:
    return UsageKey(
        usage_key_id=stored["usage_key_id"]["S"],
        value=stored["value"]["S"],
        plan=stored["plan"]["S"],
    )
