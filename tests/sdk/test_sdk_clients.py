"""The real SDKs, against the real handlers, over HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openai
import pytest
from mka1 import SDK
from openai import AsyncOpenAI, OpenAI

from local import startup_message
from tests.support.http_helpers import HELLO
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from local.stack import DevStack
    from tests.support.issue_key import IssueKey

SNIPPET = Path(__file__).parent / "documented_snippet.py"
OLD_SDK = ROOT / ".tools" / "mka1-0.5.25"
QUESTION = HELLO["content"]


@pytest.fixture
def key(stack: DevStack, issue_key: IssueKey) -> str:
    """Return a key of the account that has the documentation's conversation."""
    startup_message.create_documented_conversation(stack)
    return issue_key(startup_message.ACCOUNT)


@pytest.mark.parametrize("release", ["0.12.128", "0.5.25"])
def test_the_documented_snippet_prints_the_documented_response(
    release: str, stack: DevStack, key: str
) -> None:
    path = {"PYTHONPATH": str(OLD_SDK)} if release == "0.5.25" else {}
    command = [sys.executable, str(SNIPPET), stack.url, key]

    run = subprocess.run(  # noqa: S603 - our own program
        command, env={**os.environ, **path}, capture_output=True, text=True, check=True
    )

    responses = json.loads(run.stdout)
    assert len(responses) == 2
    for response in responses:
        [item] = response["data"]
        assert (item["type"], item["role"], item["content"]) == ("message", "user", QUESTION)
        assert item["id"].startswith("msg_")
        assert item["id"] != "msg_aa87e2b1112a455b8deabed784372198"
        assert (response["object"], response["last_id"]) == ("list", item["id"])
        assert response["has_more"] is False


@pytest.mark.xdist_group("clients")  # importing the SDK takes long
def test_the_mka1_sdk_sees_an_empty_page(stack: DevStack, key: str) -> None:
    with SDK(bearer_auth=key, server_url=stack.url) as sdk:
        page = sdk.llm.conversations.list_items(conversation_id="conv_abc123")

    assert (page.data, page.last_id) == ([], "")


@pytest.mark.xdist_group("clients")
def test_the_mka1_sdk_may_send_an_append_again(stack: DevStack, key: str) -> None:
    with SDK(bearer_auth=key, server_url=stack.url) as sdk:
        api = sdk.llm.conversations
        first, again = (
            api.create_items(
                conversation_id="conv_abc123",
                items=[{"role": "user", "content": QUESTION}],
                http_headers={"Idempotency-Key": "once"},
            )
            for _ in range(2)
        )
        page = api.list_items(conversation_id="conv_abc123")

    assert first == again
    assert [item.id for item in page.data] == [first.last_id]


@pytest.mark.xdist_group("clients")
def test_the_mka1_sdk_speaks_for_end_users(stack: DevStack, issue_key: IssueKey) -> None:
    with SDK(bearer_auth=issue_key(may_delegate=True), server_url=stack.url) as sdk:
        api = sdk.llm.conversations
        made = api.create(x_on_behalf_of="ada")
        pages = [api.list(x_on_behalf_of=user).data for user in ("ada", "bob")]

    assert pages == [[made], []]


def test_openai_may_send_an_append_again(base_url: str, key: str) -> None:
    batch: Any = [{"role": "user", "content": QUESTION}]
    with OpenAI(api_key=key, base_url=base_url) as client:
        items = client.conversations.items
        first, again = (
            items.create("conv_abc123", items=batch, extra_headers={"Idempotency-Key": "once"})
            for _ in range(2)
        )
        page = items.list("conv_abc123")

    assert first.last_id == again.last_id
    assert [item.id for item in page.data] == [first.last_id]


def test_openai_creates_appends_pages_and_reads(base_url: str, key: str) -> None:
    with OpenAI(api_key=key, base_url=base_url, max_retries=0) as client:
        made = client.conversations.create(items=[], metadata={"topic": "weather"})
        batch: Any = [{"role": "user", "content": str(index)} for index in range(5)]
        appended = client.conversations.items.create(
            made.id, items=batch, include=["reasoning.encrypted_content"]
        )
        listed = list(client.conversations.items.list(made.id, limit=2))
        item = client.conversations.items.retrieve(appended.last_id, conversation_id=made.id)
        read = client.conversations.retrieve(made.id)

    assert read == made
    assert [entry.to_dict(warnings=False) for entry in listed] == [
        entry.to_dict(warnings=False) for entry in appended.data
    ]
    assert item.to_dict(warnings=False) == appended.data[-1].to_dict(warnings=False)


def test_openai_works_asynchronously(base_url: str, key: str) -> None:
    async def converse() -> list[object]:
        async with AsyncOpenAI(api_key=key, base_url=base_url) as client:
            made = await client.conversations.create()
            batch: Any = [{"role": "user", "content": QUESTION}]
            await client.conversations.items.create(made.id, items=batch)
            return [
                item.to_dict(warnings=False)["content"]
                async for item in client.conversations.items.list(made.id)
            ]

    assert asyncio.run(converse()) == [QUESTION]


def test_openai_receives_the_error(base_url: str, key: str) -> None:
    batch: Any = [{"role": "user", "content": [{"type": "input_text", "text": 5}]}]
    with OpenAI(api_key=key, base_url=base_url) as client:
        with pytest.raises(openai.BadRequestError) as raised:
            client.conversations.items.create("conv_abc123", items=batch)
        with pytest.raises(openai.NotFoundError) as missing:
            client.conversations.retrieve("conv_none")
    with (
        OpenAI(api_key="wrong", base_url=base_url) as client,
        pytest.raises(openai.AuthenticationError) as unknown,
    ):
        client.conversations.retrieve("conv_abc123")

    assert (raised.value.param, raised.value.code) == ("items[0].content[0].text", "invalid_type")
    assert missing.value.code == "conversation_not_found"
    assert unknown.value.code == "invalid_api_key"
    assert raised.value.request_id
