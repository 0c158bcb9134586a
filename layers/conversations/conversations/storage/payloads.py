"""Payloads of batches: their lines, plain or compressed, in the row or in one S3 object.

The lines of an ordinary batch are compressed together. Lines of a large batch are compressed one by
one, so that one item is read by a byte range of the object, and deleted without compressing the
others again.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import uuid
import zlib
from typing import TYPE_CHECKING, Literal, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from conversations.errors import ConversationBusyError, ServerError
from conversations.json_text import response_bytes
from conversations.storage.backoff import attempts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Executor
    from datetime import datetime

    from mypy_boto3_s3.client import S3Client

    from conversations.telemetry import RequestStats

type Codec = Literal["json", "zlib"]

COMPRESS_BYTES = 600
"""Size of a batch's JSON below which compression saves no write unit."""
COMPRESS_RATIO = 0.9
"""Maximum ratio of compressed to plain size for which the compressed form is stored."""
SPILL_BYTES = 16 * 1024
"""Size of the stored payload above which it spills to an object."""
LARGE_BYTES = 64 * 1024
"""Size of a batch's JSON from which its lines are compressed one by one, into an object."""
MAX_RESPONSE_PAYLOAD_BYTES = 6_000_000
"""Limit of the items in one response; Lambda's limit for the whole response is 6,291,456 bytes."""
_DELETE_OBJECTS_MAX = 1_000
_MISSING = frozenset({"NoSuchKey", "AccessDenied"})
"""S3's codes for a missing object; AccessDenied without the permission to list the bucket."""


class Payload(NamedTuple):
    """A batch's lines in stored form: *data* in the row, or in the object named *object_key*."""

    codec: Codec
    size: int
    """Bytes that the lines take in a response of Lambda, which escapes their quotes once more."""
    data: bytes = b""
    object_key: str | None = None
    ends: tuple[int, ...] = ()
    """The end of each line in the data, if the lines are compressed one by one."""


class Part(NamedTuple):
    """The lines of a payload from index *start* up to, but not including, *stop*."""

    payload: Payload
    start: int
    stop: int

    def byte_range(self) -> tuple[int, int]:
        """Return the start and the stop of the lines in the data; 0 and 0 mean all data."""
        ends = (0, *self.payload.ends)
        return (ends[self.start], ends[self.stop]) if self.payload.ends else (0, 0)

    def decode(self, data: bytes, offset: int = 0) -> list[str]:
        """Return the lines; *data* is the payload's data from *offset* on."""
        if not self.payload.ends:
            return _split(self.payload, data)[self.start : self.stop]
        ends = [end - offset for end in (0, *self.payload.ends)][self.start : self.stop + 1]
        return [zlib.decompress(data[a:b]).decode() for a, b in itertools.pairwise(ends)]


def encode(lines: Sequence[str]) -> Payload:
    """Return the payload of *lines*: plain, compressed, or compressed one by one if it is large."""
    raw = "\n".join(lines).encode()
    size = response_bytes(raw)
    if len(raw) >= LARGE_BYTES:
        return _join([zlib.compress(line.encode()) for line in lines], size)
    if len(raw) >= COMPRESS_BYTES:
        packed = zlib.compress(raw)
        if len(packed) <= COMPRESS_RATIO * len(raw):
            return Payload("zlib", size, packed)
    return Payload("json", size, raw)


def keep_lines(payload: Payload, data: bytes, kept: Sequence[int]) -> Payload:
    """Return a payload with only the lines at the indexes *kept*; *data* is that of *payload*."""
    if not payload.ends:
        lines = _split(payload, data)
        return encode([lines[index] for index in kept])
    bounds = [*itertools.pairwise((0, *payload.ends))]
    segments = [data[slice(*bounds[index])] for index in kept]
    size = sum(response_bytes(zlib.decompress(segment)) for segment in segments)
    return _join(segments, size + len(segments) - 1)


def _split(payload: Payload, data: bytes) -> list[str]:
    raw = zlib.decompress(data) if payload.codec == "zlib" else data
    return raw.decode().split("\n")


def _join(segments: Sequence[bytes], size: int) -> Payload:
    ends = itertools.accumulate(map(len, segments))
    return Payload("zlib", size, b"".join(segments), ends=tuple(ends))


class ObjectMissingError(ClientError):
    """A missing object, which a row named when the row was read."""

    def __init__(self, error: ClientError, object_key: str) -> None:
        super().__init__(error.response, error.operation_name)
        self.object_key = object_key


def read_again_if_deleted[Found](stats: RequestStats, read: Callable[[], Found]) -> Found:
    """Return the result of *read*, repeated while objects disappear after their rows were read.

    Raises:
        ObjectMissingError: an object does not exist, though its row still names it.
        ConversationBusyError: deletions kept replacing the objects.
    """
    missing: set[str] = set()
    for _ in attempts(stats):
        try:
            return read()
        except ObjectMissingError as error:
            if error.object_key in missing:
                raise
            missing.add(error.object_key)
    raise ConversationBusyError


class PayloadStore:
    """The bucket of payloads that are too large for a row; its client is made on first use."""

    def __init__(
        self,
        bucket: str,
        client: Callable[[], S3Client],
        executor: Executor,
        spill_bytes: int = SPILL_BYTES,
    ) -> None:
        self._bucket = bucket
        self._spill_bytes = spill_bytes
        self._make_client = client
        self._lock = threading.Lock()
        self.executor = executor
        """The threads that wait for S3 beside the request's own."""

    def spill_if_large(self, payload: Payload, folder: str) -> Payload:
        """Put the data of a large payload into an object in *folder*; return the new payload.

        The object's name does not depend on the row, so that the row can still get another key. A
        small payload is returned as it is.
        """
        if not payload.ends and len(payload.data) <= self._spill_bytes:
            return payload
        object_key = f"{folder}/{uuid.uuid4()}"
        self._client.put_object(Bucket=self._bucket, Key=object_key, Body=payload.data)
        return payload._replace(data=b"", object_key=object_key)

    def read_lines(self, parts: Sequence[Part]) -> list[list[str]]:
        """Return the lines of each part, in order; objects are read in parallel."""
        object_count = sum(part.payload.object_key is not None for part in parts)
        read_all = self.executor.map if object_count > 1 else map
        return [*read_all(self._read, parts)]

    def read_all(self, payload: Payload) -> bytes:
        """Return all data of a payload."""
        if payload.object_key is None:
            return payload.data
        return self._get(payload.object_key)

    def delete(self, object_keys: Iterable[str | None]) -> None:
        """Delete objects; None stands for a payload without one, and a missing one is no error.

        Raises:
            ServerError: some objects still exist.
        """
        existing = (key for key in object_keys if key is not None)
        for keys in itertools.batched(existing, _DELETE_OBJECTS_MAX, strict=False):
            response = self._client.delete_objects(
                Bucket=self._bucket,
                Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True},
            )
            if response.get("Errors"):
                raise ServerError(f"S3 did not delete {len(response['Errors'])} objects.")

    def delete_best_effort(self, object_keys: Iterable[str | None]) -> None:
        """Delete objects that no row names, and ignore a failure.

        `conversations objects orphans` lists what remains.
        """
        with contextlib.suppress(BotoCoreError, ClientError, ServerError):
            self.delete(object_keys)

    def list_folder(self, folder: str) -> Iterator[list[str]]:
        """Yield the keys of all objects in a *folder*, up to 1,000 at a time."""
        pages = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._bucket, Prefix=f"{folder}/"):
            yield [found["Key"] for found in page.get("Contents", [])]

    def list_older_than(self, cutoff: datetime) -> Iterator[str]:
        """Yield the keys of all objects that are older than *cutoff*."""
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket):
            for found in page.get("Contents", []):
                if found["LastModified"] < cutoff:
                    yield found["Key"]

    @property
    def _client(self) -> S3Client:
        """The client; a thread waits while another one makes it."""
        with self._lock:
            return self._make_client()

    def _read(self, part: Part) -> list[str]:
        start, stop = part.byte_range()
        if not stop:
            return part.decode(self.read_all(part.payload))
        data = self._get(str(part.payload.object_key), Range=f"bytes={start}-{stop - 1}")
        return part.decode(data, start)

    def _get(self, object_key: str, **byte_range: str) -> bytes:
        try:
            response = self._client.get_object(
                Bucket=self._bucket,
                Key=object_key,
                **byte_range,  # type: ignore[arg-type]
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                raise ObjectMissingError(error, object_key) from error
            raise
        return response["Body"].read()
