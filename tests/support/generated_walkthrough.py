"""A walkthrough of a client that openapi-python-client made; prints what each operation returned.

It runs in the generator's environment, which has what such a client imports.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any


def take(url: str, key: str, given: dict[str, Any]) -> dict[str, Any]:
    """Create a conversation, append to it, list and get its items, and get a missing one."""
    strings: Any = importlib.import_module("openapi_python_client.strings")
    client: Any = importlib.import_module("generated")
    models: Any = importlib.import_module("generated.models")

    def call(tag: str, name: str, *args: str, **kwargs: Any) -> Any:
        operation = given["operations"][name]
        module = importlib.import_module(f"generated.api.{tag}.{strings.snake_case(operation)}")
        if "include" in kwargs:  # an enumeration in one document, any text in the other
            kind = getattr(models, f"{strings.pascal_case(operation)}IncludeItem", str)
            kwargs["include"] = [kind(value) for value in kwargs["include"]]
        return module.sync(*args, client=session, **kwargs)

    with client.AuthenticatedClient(base_url=url, token=key) as session:
        metadata = {"metadata": {"topic": "weather"}}
        body = models.CreateConversation.from_dict(metadata)
        made = call("conversations", "create_conversation", body=body)
        batch = models.AppendItems.from_dict({"items": given["items"]})
        appended = call("items", "append_items", made.id, body=batch)
        include = ["message.output_text.logprobs", "reasoning.encrypted_content"]
        whole = call("items", "list_items", made.id, limit=50)
        first = call("items", "list_items", made.id, limit=1, include=include)
        responses = {
            "create": made,
            "append": appended,
            "list": whole,
            "include": first,
            "get": call("items", "get_item", made.id, appended.last_id),
            "missing": call("conversations", "get_conversation", "conv_none"),
            "rejected": call("items", "append_items", made.id, body=models.AppendItems(items=[])),
        }
        shown = {name: response.to_dict() for name, response in responses.items()}
        return {
            **shown,
            "kinds": {name: type(response).__name__ for name, response in responses.items()},
        }


if __name__ == "__main__":
    url, key = sys.argv[1:]
    print(json.dumps(take(url, key, json.load(sys.stdin))))  # noqa: T201 - its output
