"""The SDK documentation's own snippet, with the server's URL and a key added.

It prints the responses to both parts of the SDK. It is a separate program, because one process
cannot import two releases of the SDK.
"""

import asyncio
import json
import sys
from typing import Any

from mka1 import SDK

url, key = sys.argv[1:]
request = {
    "conversation_id": "conv_abc123",
    "items": [{"type": "message", "role": "user", "content": "What is the weather today?"}],
}


def call() -> Any:
    with SDK(bearer_auth=key, server_url=url) as sdk:
        return sdk.llm.conversations.create_items(**request)


async def call_async() -> Any:
    async with SDK(bearer_auth=key, server_url=url) as sdk:
        return await sdk.llm.conversations.create_items_async(**request)


pages = [call(), asyncio.run(call_async())]
json.dump([json.loads(page.model_dump_json()) for page in pages], sys.stdout)
