"""All eight operations of the openai SDK on one conversation."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from typing import TYPE_CHECKING, Any

from openai import AsyncOpenAI, NotFoundError, OpenAI

if TYPE_CHECKING:
    from collections.abc import Callable

type Json = dict[str, Any]

ITEMS_PER_REQUEST = 20
ITEMS_PER_PAGE = 10


def take(url: str, key: str, items: list[Json], *, is_async: bool) -> Json:
    """Run each operation, and return its result as dumped by the SDK's own types.

    The dump warns about a field that does not fit its type.
    """
    return asyncio.run(_take(url, key, items, is_async=is_async))


async def _take(url: str, key: str, items: list[Json], *, is_async: bool) -> Json:
    options: Any = {"api_key": key, "base_url": url, "max_retries": 0}
    if not is_async:
        with OpenAI(**options) as plain:
            responses = await _answers(plain, items)
    else:
        async with AsyncOpenAI(**options) as waiting:
            responses = await _answers(waiting, items)
    return {operation: _plain(response) for operation, response in responses.items()}


async def _answers(client: Any, items: list[Json]) -> Json:
    api = client.conversations
    made = await _of(api.create(metadata={"topic": "weather"}))
    read = await _of(api.retrieve(made.id))
    updated = await _of(api.update(made.id, metadata={"mood": "calm"}))
    appended = [
        await _of(api.items.create(made.id, items=list(batch)))
        for batch in itertools.batched(items, ITEMS_PER_REQUEST, strict=False)
    ]
    listed = await _all(api.items.list(made.id, limit=ITEMS_PER_PAGE, order="asc"))
    include = ["computer_call_output.output.image_url"]
    return {
        "create": made,
        "get": read,
        "update": updated,
        "create_items": [item for page in appended for item in page.data],
        "list_items": listed,
        "kinds": [type(item).__name__ for item in listed],
        "include": await _all(api.items.list(made.id, order="asc", include=include)),
        "get_item": [
            await _of(api.items.retrieve(item.id, conversation_id=made.id)) for item in listed
        ],
        "delete_item": await _of(api.items.delete(listed[0].id, conversation_id=made.id)),
        "left": await _all(api.items.list(made.id)),
        "delete": await _of(api.delete(made.id)),
        "gone": await _error_of(api.retrieve, made.id),
    }


async def _of(response: Any) -> Any:
    return await response if inspect.isawaitable(response) else response


async def _error_of(operation: Callable[[str], Any], conversation_id: str) -> str:
    """Return the fields of the error that the SDK raises."""
    try:
        await _of(operation(conversation_id))
    except NotFoundError as error:
        return f"{error.status_code} {error.code}"
    return "nothing"


async def _all(pages: Any) -> list[Any]:
    """Return all items of all pages."""
    return [item async for item in pages] if hasattr(pages, "__aiter__") else list(pages)


def _plain(response: Any) -> Any:
    if isinstance(response, list):
        return [_plain(each) for each in response]
    return response if isinstance(response, str) else response.to_dict(mode="json")
