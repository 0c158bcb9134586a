"""What a stack holds from the start: a key, and the conversation of the documentation's example."""

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


def issue_key(stack: DevStack, chosen: str | None, memory: Path) -> str:
    """A key that opens the stack: the chosen one, or that of the last start, or a new one.

    Whatever the key, the account is the same, so that a stack with a memory shows its data again.

    Raises:
        UnusableKeyError: the chosen key is none.
    """
    if chosen is not None and not re.fullmatch(r"[!-~]{1,256}", chosen):
        raise UnusableKeyError("API_KEY is 1 to 256 visible ASCII characters without a space.")
    remembered = memory.read_text() if memory.exists() else None
    keys = ApiKeyRepository(stack.resources.dynamodb, stack.template.name("ApiKeysTable"))
    try:
        with stack.engine.lock:
            key, _ = keys.create(
                account=ACCOUNT, name="local", may_delegate=True, key=chosen or remembered
            )
    except ValueError as error:
        raise UnusableKeyError(f"API_KEY cannot be used: {error}") from error
    if chosen is None and remembered is None:
        memory.parent.mkdir(parents=True, exist_ok=True)
        memory.touch(mode=0o600)
        memory.write_text(key)
    return key


def hold_documented_conversation(stack: DevStack) -> None:
    """Have the documentation's conversation in the key's account.

    If it is there, it stays as it is; if it was deleted, it is made anew.
    """
    resources, name = stack.resources, stack.template.name
    owner, table = owner_of(ACCOUNT, ""), Table(resources.dynamodb, name("ConversationsTable"))
    with ThreadPoolExecutor(max_workers=1) as executor, stack.engine.lock:
        payloads = PayloadStore(name("PayloadBucket"), lambda: resources.s3, executor)
        store = Store(table, payloads)
        try:
            store.get_conversation(owner, CONVERSATION_ID)
        except ConversationNotFoundError:
            made = Conversation(CONVERSATION_ID, owner, ACCOUNT, time.time_ns() // 1_000_000, {})
            table.dynamodb.put_item(TableName=table.name, Item=conversation_row(made, ""))


def read_documented_conversation(url: str, key: str) -> None:
    """Ask for the conversation by HTTP, which shows that every part of the stack answers."""
    _ask(_request(f"{url}{CONVERSATIONS_PATH}/{CONVERSATION_ID}", key))


def example_exchange(url: str, key: str) -> str:
    """A request by HTTP and its answer, as text: the documentation's append, but only once.

    If the conversation holds items, from an earlier start or from a client, its newest is read.
    """
    newest = _request(f"{_items_url(url)}?order=desc&limit=1", key)
    answer = json.loads(_ask(newest))
    if answer["data"]:
        return f"GET {newest.selector}\n\n{json.dumps(answer, indent=2)}"
    body = json.dumps(_EXAMPLE)
    append = _request(_items_url(url), key, body)
    answer = json.loads(_ask(append))
    return f"POST {append.selector}\n{body}\n\n{json.dumps(answer, indent=2)}"


def pasted_lines(url: str, key: str) -> str:
    """A line of curl, and one of Python for each SDK, that append the example again."""
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


def _ask(request: urllib.request.Request) -> bytes:
    """The body of the answer, past any proxy of the environment."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        body: bytes = answer.read()
        return body
