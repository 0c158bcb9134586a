"""Key and conversation of a new local stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from local import startup_message
from tests.support.http_helpers import HELLO

if TYPE_CHECKING:
    from local.stack import DevStack
    from tests.support.issue_key import IssueKey


def test_the_documented_conversation_is_kept_and_comes_back_when_deleted(
    stack: DevStack, base_url: str, issue_key: IssueKey
) -> None:
    headers = {"Authorization": f"Bearer {issue_key(startup_message.ACCOUNT)}"}
    url = f"{base_url}/conversations/{startup_message.CONVERSATION_ID}"

    startup_message.create_documented_conversation(stack)
    httpx.post(f"{url}/items", json={"items": [HELLO]}, headers=headers).raise_for_status()
    startup_message.create_documented_conversation(stack)
    assert len(httpx.get(f"{url}/items", headers=headers).json()["data"]) == 1

    httpx.delete(url, headers=headers).raise_for_status()
    stack.drain_streams()
    startup_message.create_documented_conversation(stack)
    assert httpx.get(f"{url}/items", headers=headers).json()["data"] == []


def test_a_start_prints_the_address_of_every_page_that_is_served(stack: DevStack) -> None:
    printed = startup_message.page_addresses(stack)

    addresses = [line.rpartition(" ")[2] for line in printed.splitlines()]
    assert len(addresses) == 3
    assert {httpx.get(address).status_code for address in addresses} == {200}
