"""First key and first conversation of a stack, and the message that shows them."""

import json
import re
import shlex
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from conversations.auth.api_keys import ApiKeyRepository
from conversations.errors import ConversationNotFoundError
from conversations.http.dialects import PREFIXES
from conversations.ids import owner_of
from conversations.model import Conversation
from conversations.storage.payloads import PayloadStore
from conversations.storage.rows import conversation_row
from conversations.storage.store import Store
from conversations.storage.transactions import Table
from local.errors import UnusableKeyError
from local.stack import DevStack

ACCOUNT: Final = "local"
CONVERSATION_ID: Final = "conv_abc123"
CONVERSATIONS_PATH: Final = "/api/v1/llm/conversations"

_EXAMPLE: Final = {
    "items": [{"type": "message", "role": "user", "content": "What is the weather today?"}]
}


def issue_key(stack: DevStack, chosen: str | None, key_file: Path) -> str:
    """Return a key for the stack: the chosen one, else that of the last start, else a new one.

    All keys belong to one account, so that any of them reaches the data of earlier starts.

    Raises:
        UnusableKeyError: the chosen key is invalid.
    """
    if chosen is not None and not re.fullmatch(r"[!-~]{1,256}", chosen):
        raise UnusableKeyError("API_KEY must be 1 to 256 visible ASCII characters without a space.")
    saved_key = key_file.read_text() if key_file.exists() else None
    keys = ApiKeyRepository(stack.resources.dynamodb, stack.template.name("ApiKeysTable"))
    try:
        with stack.engine.lock:
            key, _ = keys.create(
                account=ACCOUNT, name="local", may_delegate=True, key=chosen or saved_key
            )
    except ValueError as error:
        raise UnusableKeyError(f"API_KEY cannot be used: {error}") from error
    if chosen is None and saved_key is None:
        key_file.parent.mkdir(parents=True, exist_ok=True)
        key_file.touch(mode=0o600)
        key_file.write_text(key)
    return key


def create_documented_conversation(stack: DevStack) -> None:
    """Create the documentation's conversation in the key's account, unless it exists."""
    resources, name = stack.resources, stack.template.name
    owner, table = owner_of(ACCOUNT, ""), Table(resources.dynamodb, name("ConversationsTable"))
    with ThreadPoolExecutor(max_workers=1) as executor, stack.engine.lock:
        payloads = PayloadStore(name("PayloadBucket"), lambda: resources.s3, executor)
        store = Store(table, payloads)
        try:
            store.get_conversation(owner, CONVERSATION_ID)
        except ConversationNotFoundError:
            conversation = Conversation.new(
                CONVERSATION_ID, owner, ACCOUNT, time.time_ns() // 1_000_000, {}
            )
            table.dynamodb.put_item(TableName=table.name, Item=conversation_row(conversation))


def read_documented_conversation(url: str, key: str) -> None:
    """Get the conversation over HTTP, which checks that every part of the stack works."""
    _send(_request(f"{url}{CONVERSATIONS_PATH}/{CONVERSATION_ID}", key))


def example_exchange(url: str, key: str) -> str:
    """Return the text of a request and its response: the documentation's append, done once.

    If the conversation already has items, the request reads the newest of them instead.
    """
    newest = _request(f"{_items_url(url)}?order=desc&limit=1", key)
    response = json.loads(_send(newest))
    if response["data"]:
        return f"GET {newest.selector}\n\n{json.dumps(response, indent=2)}"
    body = json.dumps(_EXAMPLE)
    append = _request(_items_url(url), key, body)
    response = json.loads(_send(append))
    return f"POST {append.selector}\n{body}\n\n{json.dumps(response, indent=2)}"


def example_commands(url: str, key: str) -> str:
    """Return commands that append the example again: curl, and Python with each SDK."""
    curl = [
        *("curl", _items_url(url), "-H", f"Authorization: Bearer {key}"),
        *("-H", "Content-Type: application/json", "-d", json.dumps(_EXAMPLE)),
    ]
    mka1 = (
        f'from mka1 import SDK; print(SDK(bearer_auth={json.dumps(key)}, server_url="{url}")'
        f'.llm.conversations.create_items(conversation_id="{CONVERSATION_ID}",'
        f" items={json.dumps(_EXAMPLE['items'])}))"
    )
    openai = (
        f'from openai import OpenAI; print(OpenAI(api_key={json.dumps(key)}, base_url="{url}/v1")'
        f'.conversations.items.create("{CONVERSATION_ID}", items={json.dumps(_EXAMPLE["items"])}))'
    )
    commands = [curl, *([".venv/bin/python", "-c", code] for code in (mka1, openai))]
    return "\n".join(map(shlex.join, commands))


def page_addresses(stack: DevStack) -> str:
    """Return a line for the address of each page, or nothing if the stack serves none."""
    mka1, openai = PREFIXES
    pages = {"console": "/console", "docs": f"{mka1}/docs", "OpenAI docs": f"{openai}/docs"}
    served = {route.path for route in stack.template.api.routes}
    return "".join(f"{name}: {stack.url}{path}\n" for name, path in pages.items() if path in served)


def _items_url(url: str) -> str:
    return f"{url}{CONVERSATIONS_PATH}/{CONVERSATION_ID}/items"


def _request(url: str, key: str, body: str | None = None) -> urllib.request.Request:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    data = None if body is None else body.encode()
    return urllib.request.Request(url, data, headers)  # noqa: S310 - our own HTTP address


def _send(request: urllib.request.Request) -> bytes:
    """Return the response's body; ignore proxies of the environment."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as response:
        body: bytes = response.read()
        return body
