"""Events of requests, as API Gateway sends them to the API function."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

EVENT = Path(__file__).parent.parent / "events" / "api.json"
PREFIX = "/api/v1/llm"
CONVERSATIONS = "/conversations"
CONVERSATION = f"{CONVERSATIONS}/{{conversation_id}}"
ITEMS = f"{CONVERSATION}/items"
ITEM = f"{ITEMS}/{{item_id}}"

_SENTENCE = "The kettle was on, the cat was out, and nobody had read the letter yet. "

type Event = dict[str, Any]


def authorization() -> Event:
    """Return the event of `events/authorizer.json`."""
    sample: Event = json.loads(EVENT.with_name("authorizer.json").read_text(encoding="utf-8"))
    return sample


def append(conversation_id: str, count: int) -> Event:
    """Return an append of messages of 450 bytes; 20 of them are a body of 10 KB."""
    return event("POST", ITEMS, {"items": messages(count)}, conversation_id=conversation_id)


def list_items(conversation_id: str, limit: int, order: str = "asc") -> Event:
    """Return a list request for the oldest items, or for the newest (*order* `desc`)."""
    query = {"limit": str(limit), "order": order}
    return event("GET", ITEMS, query=query, conversation_id=conversation_id)


def get_item(conversation_id: str, item_id: str) -> Event:
    """Return a get request for one item."""
    return event("GET", ITEM, conversation_id=conversation_id, item_id=item_id)


def messages(count: int) -> list[dict[str, str]]:
    """Return *count* messages of about 450 characters."""
    return [
        {"type": "message", "role": "user", "content": f"{index}: {_SENTENCE * 6}"}
        for index in range(count)
    ]


def event(
    method: str,
    resource: str,
    body: object = None,
    query: dict[str, str] | None = None,
    **parameters: str,
) -> Event:
    """Return a REST proxy event for the account of `events/api.json`."""
    sample: Event = json.loads(EVENT.read_text(encoding="utf-8"))
    resource = PREFIX + resource
    path = resource.format(**parameters)
    context = {"httpMethod": method, "path": f"/live{path}", "resourcePath": resource}
    return {
        **sample,
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "queryStringParameters": query,
        "multiValueQueryStringParameters": query
        and {name: [value] for name, value in query.items()},
        "pathParameters": parameters or None,
        "requestContext": {**sample["requestContext"], **context},
        "body": None if body is None else json.dumps(body),
    }
