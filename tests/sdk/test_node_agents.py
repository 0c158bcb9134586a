"""openai-agents for Node keeps its sessions here, and its agents go on from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conversations.auth.api_keys import SCOPES, ApiKeys
from tests.support.sdk_walkthroughs import AGENTS, run_node

if TYPE_CHECKING:
    from local.stack import LocalStack
    from tests.support.http_helpers import Json


def hosted(name: str, /, **fields: object) -> Json:
    """A call of a tool that OpenAI hosts, as the runner hands it to a session."""
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

NUMBERS = [str(place) for place in range(20)] + [str(place) for place in range(5)]


@pytest.fixture(scope="module", params=[AGENTS])
def tour(running_stack: LocalStack) -> Json:
    """What one program found, which opens several sessions."""
    running_stack.reset()
    table = running_stack.template.name("ApiKeysTable")
    api_keys = ApiKeys(running_stack.resources.dynamodb, table)
    key, _ = api_keys.create(account="acme", name="tour", scopes=SCOPES)
    return run_node("agents_walkthrough.mjs", "openai-agents-node", running_stack.url, key, HOSTED)


def test_create(tour: Json) -> None:
    assert tour["create"].startswith("conv_")


def test_create_items(tour: Json) -> None:
    assert tour["create_items"] == NUMBERS


def test_list_items(tour: Json) -> None:
    assert tour["list_items"] == {str(limit): NUMBERS[-limit:] for limit in (1, 20, 25, 99)}


def test_delete_item(tour: Json) -> None:
    assert tour["delete_item"] == ["4", "3"]
    assert tour["left"] == NUMBERS[:-2]


def test_delete(tour: Json) -> None:
    assert tour["gone"] == "404 conversation_not_found conversation_id"
    assert tour["delete"] == []


def test_more_than_20_items_are_the_callers_to_split(tour: Json) -> None:
    assert tour["too_many"] == "400 array_above_max_length items"


def test_an_agent_goes_on_from_its_session(tour: Json) -> None:
    turn = ["message", "reasoning", "function_call", "function_call_result", "message"]

    assert tour["run"] == {
        "finalOutput": "Still.",
        "asked": [*turn, "message"],
        "kept": [*turn, "message", "message"],
    }


def test_hosted_calls_are_kept_without_the_ids_that_it_strips(tour: Json) -> None:
    names = [call["name"] for call in HOSTED]

    assert tour["hosted"] == dict.fromkeys(names, "nothing")
    assert tour["called"] == names
