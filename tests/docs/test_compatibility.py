"""`docs/compatibility.md` agrees with the installed SDKs."""

from __future__ import annotations

import re
from functools import reduce
from importlib.metadata import version
from typing import TYPE_CHECKING, get_args

import pytest
from meetkai_mka1.models.conversations_items_listop import ConversationsItemsListData
from mka1 import SDK
from openai import OpenAI
from openai.types.conversations import Conversation, ConversationItem
from pydantic import TypeAdapter, ValidationError

from conversations.http.dialects import PREFIXES
from conversations.http.rendering import MAX_ADDED_BYTES, ConversationObject, to_openai
from tests.support.contract_cases import EXAMPLES
from tests.support.paths import DOCS
from tests.support.returned_items import SAMPLES, as_returned
from tests.support.sdk_report import OPERATIONS
from tests.support.sdk_samples import MKA1_ITEMS, OPENAI_ITEMS
from tests.support.sdk_walkthroughs import AGENTS, LLAMA_STACK, MKA1_RELEASES, NODE, PYTHON

if TYPE_CHECKING:
    from local.stack import DevStack
    from tests.support.http_helpers import Json

PAGE = (DOCS / "compatibility.md").read_text()
PICTURE: Json = {
    "id": "picture",
    "type": "custom_tool_call_output",
    "call_id": "call_1",
    "output": [{"type": "input_image", "image_url": "https://img.example/sky.png"}],
}
"""An item that the service accepts, although no SDK has its type: an image without `detail`."""
MKA1_TYPES: TypeAdapter[object] = TypeAdapter(ConversationsItemsListData)


def rows(head: str) -> list[list[str]]:
    """Return the cells of the table whose first line begins with *head*."""
    lines = PAGE[PAGE.index(f"| {head} |") :].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


def is_read_by_mka1(item: Json) -> bool:
    try:
        MKA1_TYPES.validate_python(as_returned(item))
    except ValidationError:
        return False
    return True


def test_it_names_the_clients_that_are_tried() -> None:
    python, node = PYTHON[0].split()[1], NODE.split()[-1]
    agents = f"`openai-agents` {version('openai-agents')} for Python"

    mka1 = " and ".join(release.split()[1] for release in MKA1_RELEASES)
    assert f"`meetkai-mka1` {mka1}, sync and async" in PAGE
    assert f"`openai` {python} for Python, sync and async, and `openai` {node} for Node" in PAGE
    assert "`{}` {}, with a base URL without `/v1`".format(*LLAMA_STACK.split()) in PAGE
    assert f"{agents}, and `@openai/agents` {AGENTS.split()[-1]} for Node" in PAGE


def test_its_routes_are_those_of_the_template(stack: DevStack) -> None:
    routes = {tuple(row[0].split()) for row in rows("route")}

    deployed = {
        (route.method, route.path)
        for route in stack.template.api.routes
        if route.function == "ApiFunction"
    }
    assert {(method, prefix + path) for method, path in routes for prefix in PREFIXES} == {
        (method, path)
        for method, path in deployed
        if method not in {"HEAD", "OPTIONS"} and not path.endswith("/openapi.json")
    }


def test_its_operations_are_those_of_the_sdks() -> None:
    table = rows("route")
    conversations = OpenAI(api_key="none").conversations

    assert sorted(row[1] for row in table) == sorted(OPERATIONS)
    for operation in (row[2] for row in table if row[2] != "-"):
        assert callable(reduce(getattr, operation.split("."), conversations))


@pytest.mark.parametrize(
    ("column", "types"),
    [
        (1, {item["type"] for item in MKA1_ITEMS if "type" in item}),
        (2, {item["type"] for item in OPENAI_ITEMS if item.get("type")}),
        (
            3,
            {
                get_args(kind.model_fields["type"].annotation)[0]
                for kind in get_args(get_args(ConversationItem)[0])
            },
        ),
        (4, {as_returned(item)["type"] for _, item in EXAMPLES if not is_read_by_mka1(item)}),
    ],
    ids=["of mka1", "to OpenAI", "from OpenAI", "unread"],
)
def test_its_types_are_those_of_the_sdks(column: int, types: set[str]) -> None:
    assert {row[0] for row in rows("`type` | in mka1") if row[column] != "-"} == types


def test_it_names_the_fields_that_openais_conversation_lacks() -> None:
    names = PAGE.partition("a conversation has ")[2].partition("in addition")[0]

    added = ConversationObject.__annotations__.keys() - Conversation.model_fields.keys()
    assert {*re.findall(r"`(\w+)`", names)} == added, "Name them after 'a conversation has'."


def test_it_names_what_v1_shows_otherwise() -> None:
    assert {row[0] for row in rows("`type` | under `/v1`")} == {
        item["type"] for item in [*SAMPLES, PICTURE] if to_openai(item) != item
    }


def test_it_names_the_most_that_v1_adds() -> None:
    assert f"{MAX_ADDED_BYTES:,} bytes longer" in PAGE


def test_the_mka1_sdk_waits_5_seconds() -> None:
    with SDK(bearer_auth="none", server_url="http://127.0.0.1:1") as sdk:
        assert sdk.sdk_configuration.timeout_ms is None
        assert sdk.sdk_configuration.client.timeout.read == 5
