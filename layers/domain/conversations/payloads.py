"""How an item's JSON is kept: as it is, compressed, or in an object of its own.

Small items stay in their row. What is still above `SPILL_BYTES` after compression goes to the
bucket before its row is written, because a row of 400 KB is DynamoDB's limit and an object is the
cheaper place long before it.
"""

from __future__ import annotations

import contextlib
import itertools
import uuid
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from botocore.exceptions import BotoCoreError, ClientError

from conversations.errors import RequestTooLargeError, ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor

    from mypy_boto3_s3.client import S3Client

type Codec = Literal["json", "zlib"]

COMPRESS_BYTES = 700
"""Below this an item's row rounds up to the same write unit, compressed or not."""
COMPRESS_RATIO = 0.9
SPILL_BYTES = 16 * 1024
MAX_ITEM_BYTES = 4_500_000
"""What still fits one answer of Lambda (6 MB, with the JSON escaped once more)."""


@dataclass(frozen=True, slots=True)
class Payload:
    """One item's JSON as it is kept: *data* in the row, or in the object named *object_key*."""

    codec: Codec
    size: int
    """Bytes of the JSON before compression: what a reader will have to carry."""
    data: bytes = b""
    object_key: str | None = None


def encode(text: str, *, param: str) -> Payload:
    """Compress *text* where that pays; *param* is the item's path in the request.

    Raises:
        RequestTooLargeError: the item could be stored but never be read again.
    """
    raw = text.encode()
    if len(raw) > MAX_ITEM_BYTES:
        raise RequestTooLargeError(
            f"{param} has {len(raw)} bytes of JSON, over the limit of {MAX_ITEM_BYTES}.",
            param=param,
        )
    if len(raw) >= COMPRESS_BYTES:
        packed = zlib.compress(raw)
        if len(packed) <= COMPRESS_RATIO * len(raw):
            return Payload("zlib", len(raw), packed)
    return Payload("json", len(raw), raw)


def decode(payload: Payload) -> str:
    """The JSON text that `encode` was given; its data must have been fetched."""
    return (zlib.decompress(payload.data) if payload.codec == "zlib" else payload.data).decode()


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
        can still be given another key.
        """
        return self._in_parallel(
            lambda payload: self._put(payload, folder),
            payloads,
            [len(payload.data) > self._spill_bytes for payload in payloads],
        )

    def fetch(self, payloads: Sequence[Payload]) -> list[Payload]:
        """The payloads with their data, in order; what spilled is read in parallel."""
        return self._in_parallel(
            self._get, payloads, [payload.object_key is not None for payload in payloads]
        )

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

    def _in_parallel(
        self,
        move: Callable[[Payload], Payload],
        payloads: Sequence[Payload],
        is_moved: Sequence[bool],
    ) -> list[Payload]:
        if not any(is_moved):
            return list(payloads)
        moved = self._executor.map(move, itertools.compress(payloads, is_moved))
        return [
            next(moved) if moves else payload
            for payload, moves in zip(payloads, is_moved, strict=True)
        ]

    def _put(self, payload: Payload, folder: str) -> Payload:
        object_key = f"{folder}/{uuid.uuid4()}"
        self._client().put_object(Bucket=self._name, Key=object_key, Body=payload.data)
        return Payload(payload.codec, payload.size, object_key=object_key)

    def _get(self, payload: Payload) -> Payload:
        answer = self._client().get_object(Bucket=self._name, Key=payload.object_key or "")
        return replace(payload, data=answer["Body"].read())
