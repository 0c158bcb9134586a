"""All ten operations of the mka1 SDK on one conversation; as a program, it prints their results.

It runs in a process of its own, because one process cannot import two releases of the SDK.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from mka1 import SDK
from mka1.errors import SDKError

if TYPE_CHECKING:
    from collections.abc import Awaitable

type Json = dict[str, Any]

ITEMS_PER_REQUEST = 20
ITEMS_PER_PAGE = 10


class Caller(NamedTuple):
    """Operations by name, of the synchronous or the asynchronous SDK."""

    api: Any
    is_async: bool

    async def call(self, operation: str, **arguments: Any) -> Any:
        if self.is_async:
            return await getattr(self.api, f"{operation}_async")(**arguments)
        return getattr(self.api, operation)(**arguments)

    async def pages(self, **arguments: Any) -> list[Any]:
        """Return all items, page by page."""
        page = await self.call("list_items", limit=ITEMS_PER_PAGE, **arguments)
        items: list[Any] = page.data
        while page.has_more:
            arguments["after"] = page.last_id
            page = await self.call("list_items", limit=ITEMS_PER_PAGE, **arguments)
            items += page.data
        return items


def take(url: str, key: str, items: list[Json], *, is_async: bool) -> Json:
    """Run each operation, and return its result as dumped by the SDK's own types."""
    return asyncio.run(_take(url, key, items, is_async=is_async))


async def _take(url: str, key: str, items: list[Json], *, is_async: bool) -> Json:
    with SDK(bearer_auth=key, server_url=url, timeout_ms=60_000) as sdk:
        async with sdk:
            responses = await _answers(Caller(sdk.llm.conversations, is_async), items)
    return {operation: _plain(response) for operation, response in responses.items()}


async def _answers(sdk: Caller, items: list[Json]) -> Json:
    made = await sdk.call("create", metadata={"topic": "weather"})
    there = {"conversation_id": made.id}
    read = await sdk.call("get", **there)
    updated = await sdk.call("update", **there, metadata={"mood": "calm"})
    appended = [
        await sdk.call("create_items", **there, items=list(batch))
        for batch in itertools.batched(items, ITEMS_PER_REQUEST, strict=False)
    ]
    listed = await sdk.pages(**there)
    ids = [item.id for item in listed if item.type != "item_reference"]
    return {
        "create": made,
        "get": read,
        "update": updated,
        "create_items": [item for page in appended for item in page.data],
        "list_items": listed,
        "kinds": [type(item).__name__ for item in listed],
        "include": await sdk.pages(**there, include=["computer_call_output.output.image_url"]),
        "get_item": [await sdk.call("get_item", **there, item_id=each) for each in ids],
        "delete_item": await sdk.call("delete_item", **there, item_id=ids[0]),
        "delete_items": await sdk.call("delete_items", **there, item_ids=ids[1:-1]),
        "left": await sdk.pages(**there, order="desc"),
        "list": await sdk.call("list", metadata={"mood": "calm"}),
        "delete": await sdk.call("delete", **there),
        "gone": await _error_of(sdk.call("get", **there)),
    }


async def _error_of(response: Awaitable[Any]) -> str:
    """Return the fields of the error that the SDK raises."""
    try:
        await response
    except SDKError as error:
        return f"{error.status_code} {json.loads(error.body)['error']['code']}"
    return "nothing"


def _plain(response: Any) -> Any:
    if isinstance(response, list):
        return [_plain(each) for each in response]
    return (
        response if isinstance(response, str) else response.model_dump(mode="json", by_alias=True)
    )


if __name__ == "__main__":
    url, key = sys.argv[1:]
    given = json.load(sys.stdin)
    json.dump([take(url, key, given, is_async=is_async) for is_async in (False, True)], sys.stdout)
