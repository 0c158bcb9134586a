"""How an item's JSON is kept: as it is, compressed, or in an object of its own.

Small items stay in their row. What is still above `SPILL_BYTES` after compression goes to the
bucket before its row is written, because a row of 400 KB is DynamoDB's limit and an object is the
cheaper place long before it.
"""

from __future__ import annotations

import contextlib
import uuid
import zlib
from concurrent.futures import wait
from typing import TYPE_CHECKING, Literal, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from conversations.errors import RequestTooLargeError, ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor
    from datetime import datetime

    from mypy_boto3_s3.client import S3Client

type Codec = Literal["json", "zlib"]

COMPRESS_BYTES = 700
"""Below this an item's row rounds up to the same write unit, compressed or not."""
COMPRESS_RATIO = 0.9
SPILL_BYTES = 16 * 1024
MAX_CARRIED_BYTES = 6_000_000
"""What items may take in one answer: Lambda's limit is 6,291,456 bytes for the whole of it."""
READS = 3
"""How often items are read of which another one is deleted meanwhile."""
_MISSING = frozenset({"NoSuchKey", "AccessDenied"})
"""What S3 says of an object that is not there; the latter to who may not list the bucket."""


class Payload(NamedTuple):
    """One item's JSON as it is kept: *data* in the row, or in the object named *object_key*."""

    codec: Codec
    size: int
    """Bytes that the JSON takes in an answer of Lambda, which escapes its quotes once more."""
    data: bytes = b""
    object_key: str | None = None


def encode(text: str, *, param: str) -> Payload:
    """Compress *text* where that pays; *param* is the item's path in the request.

    Raises:
        RequestTooLargeError: the item could be stored but never be read again.
    """
    raw = text.encode()
    size = len(raw) + raw.count(b'"') + raw.count(b"\\")
    if size > MAX_CARRIED_BYTES:
        raise RequestTooLargeError(
            f"{param} would have {size} bytes in an answer, over the limit of {MAX_CARRIED_BYTES}.",
            param=param,
        )
    if len(raw) >= COMPRESS_BYTES:
        packed = zlib.compress(raw)
        if len(packed) <= COMPRESS_RATIO * len(raw):
            return Payload("zlib", size, packed)
    return Payload("json", size, raw)


def decode(payload: Payload) -> str:
    """The JSON text that `encode` was given; its data must have been fetched."""
    return (zlib.decompress(payload.data) if payload.codec == "zlib" else payload.data).decode()


def with_objects[Found](read: Callable[[], Found]) -> Found:
    """What *read* finds, of which nothing was deleted between its row and its object.

    Raises:
        ClientError: an object is not there, though its row still is.
    """
    for _ in range(READS - 1):
        try:
            return read()
        except ClientError as error:
            if error.response["Error"]["Code"] not in _MISSING:
                raise
    return read()


class PayloadBucket:
    """The bucket of spilled payloads; its client is made when the first one is met."""

    def __init__(
        self,
        name: str,
        client: Callable[[], S3Client],
        executor: Executor,
        spill_bytes: int = SPILL_BYTES,
    ) -> None:
        self._name = name
        self._spill_bytes = spill_bytes
        self._client = client
        self._executor = executor

    def spill(self, payloads: Sequence[Payload], folder: str) -> list[Payload]:
        """Put the large ones into *folder*, in parallel, and give all of them back in order.

        An object is there when this returns; its name holds nothing of its row, so that the row
        can still be given another key. If one cannot be put, none stays.
        """
        places = [
            f"{folder}/{uuid.uuid4()}" if len(payload.data) > self._spill_bytes else None
            for payload in payloads
        ]
        if any(places):
            self._client()  # made here, by one thread and once
        puts = [
            self._executor.submit(self._put, payload, place)
            for payload, place in zip(payloads, places, strict=True)
            if place
        ]
        wait(puts)
        spilled = [
            Payload(payload.codec, payload.size, object_key=place) if place else payload
            for payload, place in zip(payloads, places, strict=True)
        ]
        try:
            for put in puts:
                put.result()
        except (BotoCoreError, ClientError):
            self.discard(spilled)
            raise
        return spilled

    def fetch(self, payloads: Sequence[Payload]) -> list[Payload]:
        """The payloads with their data, in order; what spilled is read in parallel."""
        if any(one.object_key for one in payloads):
            self._client()
        fetched = self._executor.map(self._get, (one for one in payloads if one.object_key))
        return [next(fetched) if one.object_key else one for one in payloads]

    def discard(self, payloads: Sequence[Payload]) -> None:
        """Remove the objects of payloads whose rows are known not to be there.

        A failure is passed over: what stays is listed by `conversations objects orphans`.
        """
        with contextlib.suppress(BotoCoreError, ClientError, ServerError):
            self.remove([payload.object_key for payload in payloads if payload.object_key])

    def remove(self, object_keys: Sequence[str]) -> None:
        """Remove up to 1,000 objects; one that is gone already is no error.

        Raises:
            ServerError: some are still there.
        """
        if object_keys:
            answer = self._client().delete_objects(
                Bucket=self._name,
                Delete={"Objects": [{"Key": key} for key in object_keys], "Quiet": True},
            )
            if answer.get("Errors"):
                raise ServerError(f"{len(answer['Errors'])} objects could not be removed.")

    def list_older_than(self, moment: datetime) -> Iterator[str]:
        """The keys of all objects that were there before *moment*."""
        for page in self._client().get_paginator("list_objects_v2").paginate(Bucket=self._name):
            for stored in page.get("Contents", []):
                if stored["LastModified"] < moment:
                    yield stored["Key"]

    def _put(self, payload: Payload, object_key: str) -> None:
        self._client().put_object(Bucket=self._name, Key=object_key, Body=payload.data)

    def _get(self, payload: Payload) -> Payload:
        answer = self._client().get_object(Bucket=self._name, Key=payload.object_key or "")
        return payload._replace(data=answer["Body"].read())
