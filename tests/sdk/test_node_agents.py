"""openai-agents for Node stores its sessions in the service, and its agents continue them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conversations.auth.api_keys import SCOPES, ApiKeyRepository
from tests.support.sdk_walkthroughs import AGENTS, run_node

if TYPE_CHECKING:
    from local.stack import DevStack
    from tests.support.http_helpers import Json


def hosted(name: str, /, **fields: object) -> Json:
    """Return a call of a tool that OpenAI hosts, as the runner passes it to a session."""
    return {
        "type": "hosted_tool_call",
        "id": f"id_of_{name}",
        "name": name,
        "status": "completed",
        "providerData": {"type": name, **fields},
    }


HOSTED = [
    hosted("web_search_call", action={"type": "search", "query": "weather"}),
    hosted("file_search_call", queries=["weather"], results=[]),
    hosted("code_interpreter_call", code="1 + 1", outputs=[], container_id="cntr_1"),
    hosted("image_generation_call", result="aGk="),
    hosted("mcp_list_tools", server_label="sky", tools=[]),
    hosted("mcp_approval_request", server_label="sky", name="look", arguments="{}"),
    hosted("mcp_call", server_label="sky", name="look", arguments="{}"),
]
pytestmark = pytest.mark.xdist_group("clients")

NUMBERS = [str(index) for index in range(20)] + [str(index) for index in range(5)]


@pytest.fixture(scope="module", params=[AGENTS])
def walkthrough(running_stack: DevStack) -> Json:
    """Return the results of one program, which opens several sessions."""
    running_stack.reset()
    table = running_stack.template.name("ApiKeysTable")
    api_keys = ApiKeyRepository(running_stack.resources.dynamodb, table)
    key, _ = api_keys.create(account="acme", name="walkthrough", scopes=SCOPES)
    return run_node("agents_walkthrough.mjs", "openai-agents-node", running_stack.url, key, HOSTED)


def test_create(walkthrough: Json) -> None:
    assert walkthrough["create"].startswith("conv_")


def test_create_items(walkthrough: Json) -> None:
    assert walkthrough["create_items"] == NUMBERS


def test_list_items(walkthrough: Json) -> None:
    assert walkthrough["list_items"] == {str(limit): NUMBERS[-limit:] for limit in (1, 20, 25, 99)}


def test_delete_item(walkthrough: Json) -> None:
    assert walkthrough["delete_item"] == ["4", "3"]
    assert walkthrough["left"] == NUMBERS[:-2]


def test_delete(walkthrough: Json) -> None:
    assert walkthrough["gone"] == "404 conversation_not_found conversation_id"
    assert walkthrough["delete"] == []


def test_more_than_20_items_are_the_callers_to_split(walkthrough: Json) -> None:
    assert walkthrough["too_many"] == "400 array_above_max_length items"


def test_an_agent_goes_on_from_its_session(walkthrough: Json) -> None:
    turn = ["message", "reasoning", "function_call", "function_call_result", "message"]

    assert walkthrough["run"] == {
        "finalOutput": "Still.",
        "sent": [*turn, "message"],
        "kept": [*turn, "message", "message"],
    }


def test_hosted_calls_are_kept_without_the_ids_that_it_strips(walkthrough: Json) -> None:
    names = [call["name"] for call in HOSTED]

    assert walkthrough["hosted"] == dict.fromkeys(names, "nothing")
    assert walkthrough["called"] == names
