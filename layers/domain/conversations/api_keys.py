"""API keys: issued once, kept as hashes, verified by the authorizer.

A key is `lck_`, 43 random base62 characters (256 bits) and 6 of their CRC-32, so that a typing
error is found without a read, and a leaked key by whoever scans for them. The table holds the
key's SHA-256 and never the key; 256 random bits need no salt.
"""

from __future__ import annotations

import hashlib
import secrets
import string
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from conversations import ids

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

type Scope = Literal["read", "write", "delete"]

SCOPES: frozenset[Scope] = frozenset(get_args(Scope.__value__))
PREFIX = "lck_"

_ALPHABET = string.digits + string.ascii_letters
_SECRET_LENGTH = 43
_CHECKSUM_LENGTH = 6


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key; times are seconds since the epoch."""

    key_id: str
    account: str
    name: str
    scopes: frozenset[Scope]
    may_delegate: bool
    """Whether `X-On-Behalf-Of` is obeyed: the account vouches for its end users."""
    plan: str | None
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    last_four: str

    @property
    def is_live(self) -> bool:
        """Neither revoked nor expired at this moment."""
        expired = self.expires_at is not None and self.expires_at <= time.time()
        return self.revoked_at is None and not expired


class ApiKeys:
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
        plan: str | None = None,
        expires_at: int | None = None,
        key: str | None = None,
    ) -> tuple[str, ApiKey]:
        """Issue a key and give it in plain, for the only time, with its record.

        *key* is for the local stack, where a developer chooses it; a chosen key that is there
        already is written anew.

        Raises:
            ValueError: *account* is no id, or the chosen key begins like one of ours and is none.
        """
        if not ids.is_id(account):
            raise ValueError(f"The account '{account}' is not 1 to 64 of A-Z a-z 0-9 _ -.")
        key = key or _new_key()
        if not _may_be_a_key(key):
            raise ValueError(f"A key that begins with {PREFIX} ends in its checksum.")
        record = ApiKey(
            key_id=f"key_{hash_key(key)[:16]}",
            account=account,
            name=name,
            scopes=scopes,
            may_delegate=may_delegate,
            plan=plan,
            created_at=int(time.time()),
            expires_at=expires_at,
            revoked_at=None,
            last_four=key[-4:],
        )
        self._dynamodb.put_item(TableName=self._table, Item=_row(hash_key(key), record))
        return key, record

    def verify(self, key: str) -> ApiKey | None:
        """The record of a key that opens the door now; None for every other, for any reason."""
        if not _may_be_a_key(key):
            return None
        answer = self._dynamodb.get_item(
            TableName=self._table, Key={"key_hash": {"S": hash_key(key)}}, ConsistentRead=True
        )
        record = _record(answer["Item"]) if "Item" in answer else None
        return record if record and record.is_live else None

    def all(self) -> Iterator[ApiKey]:
        """Every key ever issued, in no order."""
        for row in self._rows():
            yield _record(row)

    def revoke(self, key_id: str) -> ApiKey | None:
        """Close a key for good; None if there is no such key.

        Callers are refused once API Gateway's cache of the authorizer's answer has run out
        (60 seconds, `ReauthorizeEvery` in the template).
        """
        for row in self._rows():
            if row["key_id"]["S"] == key_id:
                answer = self._dynamodb.update_item(
                    TableName=self._table,
                    Key={"key_hash": row["key_hash"]},
                    UpdateExpression="SET revoked_at = if_not_exists(revoked_at, :now)",
                    ExpressionAttributeValues={":now": {"N": str(int(time.time()))}},
                    ReturnValues="ALL_NEW",
                )
                return _record(answer["Attributes"])
        return None

    def _rows(self) -> Iterator[dict[str, AttributeValueTypeDef]]:
        for page in self._dynamodb.get_paginator("scan").paginate(
            TableName=self._table, ConsistentRead=True
        ):
            yield from page["Items"]


def hash_key(key: str) -> str:
    """The only form in which a key is kept."""
    return hashlib.sha256(key.encode()).hexdigest()


def _new_key() -> str:
    secret = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_LENGTH))
    return f"{PREFIX}{secret}{_checksum(secret)}"


def _may_be_a_key(key: str) -> bool:
    secret = key[len(PREFIX) : -_CHECKSUM_LENGTH]
    return not key.startswith(PREFIX) or key[-_CHECKSUM_LENGTH:] == _checksum(secret)


def _checksum(secret: str) -> str:
    number = zlib.crc32(secret.encode())
    digits = ""
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits


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
    if record.plan is not None:
        row["plan"] = {"S": record.plan}
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
        plan=row["plan"]["S"] if "plan" in row else None,
        created_at=int(row["created_at"]["N"]),
        expires_at=int(row["expires_at"]["N"]) if "expires_at" in row else None,
        revoked_at=int(row["revoked_at"]["N"]) if "revoked_at" in row else None,
        last_four=row["last_four"]["S"],
    )
