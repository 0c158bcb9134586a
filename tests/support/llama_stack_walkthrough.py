"""Program that prints the results of all eight operations of llama-stack-client."""

from __future__ import annotations

import itertools
import json
import sys
from typing import Any

from llama_stack_client import LlamaStackClient, NotFoundError

type Json = dict[str, Any]

ITEMS_PER_REQUEST = 20
ITEMS_PER_PAGE = 10


def take(url: str, key: str, items: list[Json]) -> Json:
    """Run each operation, and return its result as dumped by the client's own types."""
    with LlamaStackClient(api_key=key, base_url=url, max_retries=0) as client:
        api = client.conversations
        made = api.create(metadata={"topic": "weather"})
        read = api.retrieve(made.id)
        updated = api.update(made.id, metadata={"mood": "calm"})
        appended = [
            api.items.create(made.id, items=list(batch))
            for batch in itertools.batched(items, ITEMS_PER_REQUEST, strict=False)
        ]
        listed = list(api.items.list(made.id, limit=ITEMS_PER_PAGE, order="asc"))
        include = ["computer_call_output.output.image_url"]
        return {
            "create": _plain(made),
            "get": _plain(read),
            "update": _plain(updated),
            "create_items": [_plain(item) for page in appended for item in page.data],
            "list_items": [_plain(item) for item in listed],
            "include": [
                _plain(item) for item in api.items.list(made.id, order="asc", include=include)
            ],
            "get_item": [
                _plain(api.items.get(item.id, conversation_id=made.id)) for item in listed
            ],
            "delete_item": _plain(api.items.delete(listed[0].id, conversation_id=made.id)),
            "left": [_plain(item) for item in api.items.list(made.id)],
            "delete": _plain(api.delete(made.id)),
            "gone": _error_of(api, made.id),
        }


def _error_of(api: Any, conversation_id: str) -> str:
    """Return the fields of the error that the client raises."""
    try:
        api.retrieve(conversation_id)
    except NotFoundError as error:
        return f"{error.status_code} {error.body['error']['code']}"
    return "nothing"


def _plain(response: Any) -> Json:
    """Return all fields of a result, without warnings about items unknown to the client."""
    plain: Json = response.to_dict(mode="json", warnings=False)
    return plain


if __name__ == "__main__":
    [address, secret] = sys.argv[1:]
    json.dump(take(address, secret, json.load(sys.stdin)), sys.stdout)
