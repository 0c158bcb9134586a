"""Items that are too large for a row, through HTTP."""

from __future__ import annotations

import base64
import json
import random
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.http_helpers import HELLO, Json, error_of
from tests.support.log_lines import module_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from local.stack import DevStack


def image(size: int, seed: int) -> Json:
    """Return a message with *size* bytes of an incompressible image."""
    pixels = base64.b64encode(random.Random(seed).randbytes(size * 3 // 4)).decode()  # noqa: S311 - no secret
    part = {
        "type": "input_image",
        "detail": "auto",
        "image_url": f"data:image/png;base64,{pixels}",
    }
    return {"type": "message", "role": "user", "content": [part]}


def count_objects(stack: DevStack) -> int:
    with stack.engine.lock:
        bucket = stack.template.name("PayloadBucket")
        return stack.resources.s3.list_objects_v2(Bucket=bucket)["KeyCount"]


def contents(stack: DevStack) -> list[bytes]:
    """Return the contents of all objects."""
    s3, bucket = stack.resources.s3, stack.template.name("PayloadBucket")
    with stack.engine.lock:
        listed = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
        return [s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read() for each in listed]


def line(item: Json) -> bytes:
    """Return the stored line of an item without an id."""
    return json.dumps(item, separators=(",", ":"), ensure_ascii=False).encode()


@contextmanager
def counting_bytes(stack: DevStack) -> Iterator[list[int]]:
    """Record the bytes that the API function reads from the bucket."""
    app = module_of(stack, "ApiFunction")
    fetched: list[int] = []

    def count(parsed: Json, **_: object) -> None:
        fetched.append(parsed["ContentLength"])

    events = app.payload_store()._client.meta.events  # noqa: SLF001 - the client in use
    events.register("after-call.s3.GetObject", count)
    yield fetched
    events.unregister("after-call.s3.GetObject", count)


def test_20_items_with_5_mb_of_images_come_back_equal(
    client: httpx.Client, conversation: str, stack: DevStack
) -> None:
    batch = [image(250_000, seed) for seed in range(20)]

    response = client.post(f"{conversation}/items", json={"items": batch}).json()["data"]
    page = client.get(f"{conversation}/items").json()

    assert [item["content"] for item in response] == [item["content"] for item in batch]
    assert (page["data"], page["has_more"]) == (response, False)
    assert count_objects(stack) == 1


@pytest.mark.parametrize("size", [15_000, 16_000, 17_000, 400_000, 4_400_000])
def test_an_item_on_either_side_of_a_threshold_comes_back_equal(
    size: int, client: httpx.Client, conversation: str
) -> None:
    item = image(size, seed=size)

    [response] = client.post(f"{conversation}/items", json={"items": [item]}).json()["data"]

    assert response == {"id": response["id"], **item}
    assert client.get(f"{conversation}/items/{response['id']}").json() == response


def test_one_item_over_the_limit_stores_nothing_of_its_batch(
    client: httpx.Client, conversation: str, stack: DevStack
) -> None:
    """The item has a number of five characters, which the response writes with 19."""
    numbers = ",".join(["1e15"] * 320_000)
    items = [image(100_000, seed=1), HELLO, {**HELLO, "x": "numbers"}]
    body = json.dumps({"items": items}).replace('"numbers"', f"[{numbers}]")

    response = client.post(f"{conversation}/items", content=body)

    assert (response.status_code, error_of(response)["param"]) == (413, "items[2]")
    assert client.get(f"{conversation}/items").json()["data"] == []
    assert count_objects(stack) == 0


def test_a_deletion_takes_content_out_of_row_and_object_and_leaves_the_others_as_they_were(
    client: httpx.Client, conversation: str, stack: DevStack
) -> None:
    """The lines of a large batch are compressed one by one: the others' bytes do not change."""
    batch = [image(100_000, seed) for seed in range(3)]
    data = client.post(f"{conversation}/items", json={"items": batch}).json()["data"]
    [before] = contents(stack)

    client.delete(f"{conversation}/items/{data[1]['id']}").raise_for_status()

    [after] = contents(stack)
    first, second, third = (zlib.compress(line(item)) for item in batch)
    assert (before, after) == (first + second + third, first + third)
    assert client.get(f"{conversation}/items").json()["data"] == [data[0], data[2]]


def test_a_deletion_from_a_spilled_batch_leaves_no_object_once_the_rest_fits_a_row(
    client: httpx.Client, conversation: str, stack: DevStack
) -> None:
    batch = [HELLO, image(40_000, seed=1), {**HELLO, "id": "mine"}]
    data = client.post(f"{conversation}/items", json={"items": batch}).json()["data"]
    assert count_objects(stack) == 1

    client.delete(f"{conversation}/items/{data[1]['id']}").raise_for_status()

    assert count_objects(stack) == 0
    assert client.get(f"{conversation}/items").json()["data"] == [data[0], data[2]]


def test_the_object_of_a_batch_goes_with_its_last_item(
    client: httpx.Client, conversation: str, stack: DevStack
) -> None:
    batch = [image(100_000, seed) for seed in range(3)]
    data = client.post(f"{conversation}/items", json={"items": batch}).json()["data"]

    for item in data:
        client.delete(f"{conversation}/items/{item['id']}").raise_for_status()

    assert count_objects(stack) == 0
    assert client.get(f"{conversation}/items").json()["data"] == []


@pytest.mark.parametrize(
    ("path", "indexes"),
    [
        ("/{id}", [9]),
        ("?after={id}&limit=1", [10]),
        ("?after={id}&limit=3&order=desc", [6, 7, 8]),
        ("?limit=1&order=desc", [19]),
    ],
)
def test_items_of_a_large_batch_are_read_by_their_range(
    path: str, indexes: list[int], client: httpx.Client, conversation: str, stack: DevStack
) -> None:
    batch = [image(250_000, seed) for seed in range(20)]
    data = client.post(f"{conversation}/items", json={"items": batch}).json()["data"]

    with counting_bytes(stack) as fetched:
        response = client.get(f"{conversation}/items{path.format(id=data[9]['id'])}").json()

    assert sum(fetched) == sum(len(zlib.compress(line(batch[index]))) for index in indexes)
    found = response.get("data", [response])
    assert sorted(item["id"] for item in found) == [data[index]["id"] for index in indexes]


def test_a_repetition_leaves_no_second_object(
    client: httpx.Client, conversation: str, stack: DevStack
) -> None:
    responses = [
        client.post(
            f"{conversation}/items",
            json={"items": [image(100_000, seed=1)]},
            headers={"Idempotency-Key": "k1"},
        )
        for _ in range(2)
    ]

    assert responses[0].content == responses[1].content
    assert count_objects(stack) == 1


def test_a_deleted_conversations_objects_are_purged(
    client: httpx.Client, conversation: str, stack: DevStack
) -> None:
    batch = [image(20_000, seed) for seed in range(20)]
    client.post(f"{conversation}/items", json={"items": batch}).raise_for_status()

    client.delete(conversation).raise_for_status()
    stack.drain_streams()

    assert count_objects(stack) == 0
