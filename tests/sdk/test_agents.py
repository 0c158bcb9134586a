"""openai-agents stores its sessions in the service, and its agents continue them."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from agents import Agent, OpenAIConversationsSession, RunConfig, Runner, function_tool
from agents.run_internal.session_persistence import rewind_session_items
from agents.testing import ScriptedModel, assistant_message, function_call
from openai import AsyncOpenAI, NotFoundError
from openai.types.responses import ResponseReasoningItem

from conversations.http.dialects import OPENAI

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from local.stack import DevStack
    from tests.support.http_helpers import Json
    from tests.support.issue_key import IssueKey

SILENT = RunConfig(tracing_disabled=True)  # traces would go to OpenAI
THOUGHTS: Json = {
    "id": "rs_thoughts",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "The sky decides."}],
}
PICTURE: Json = {
    "role": "user",
    "content": [
        {"type": "input_text", "text": "What is the weather on this?"},
        {"type": "input_image", "image_url": "https://img.example/sky.png", "detail": "low"},
    ],
}
TURN: list[Json] = [
    PICTURE,
    {**THOUGHTS, "encrypted_content": "gAAAAA"},
    {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"},
    {
        "type": "function_call_output",
        "call_id": "call_1",
        "output": [{"type": "input_image", "image_url": "data:image/png;base64,", "detail": "low"}],
    },
    {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "aGk="},
    {
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "Sunny.", "annotations": [], "logprobs": []}],
    },
]


type Open = Callable[..., Any]
"""Function that opens a session: a new one, or that of a `conversation_id`."""


class Converse(Protocol):
    """Function that runs a scenario with sessions, and returns its result."""

    def __call__(self, scenario: Callable[[Open], Awaitable[Any]]) -> Any: ...


@pytest.fixture
def converse(shared_stack: DevStack, issue_key: IssueKey) -> Converse:
    key = issue_key()

    async def run(scenario: Callable[[Open], Awaitable[Any]]) -> Any:
        async with AsyncOpenAI(api_key=key, base_url=shared_stack.url + OPENAI.prefix) as client:
            return await scenario(
                functools.partial(OpenAIConversationsSession, openai_client=client)
            )

    return lambda scenario: asyncio.run(run(scenario))


def said(items: list[Json]) -> list[str]:
    return [item["content"][0]["text"] for item in items]


def turns(count: int) -> list[Json]:
    return [{"role": "user", "content": str(index)} for index in range(count)]


def test_45_items_are_there_in_their_order(converse: Converse) -> None:
    async def scenario(open_session: Open) -> Any:
        session = open_session()
        await session.add_items(turns(45))
        return await session.get_items()

    assert said(converse(scenario)) == [str(index) for index in range(45)]


@pytest.mark.parametrize("limit", [1, 20, 25, 99])
def test_a_limit_asks_for_the_latest(limit: int, converse: Converse) -> None:
    async def scenario(open_session: Open) -> Any:
        session = open_session()
        await session.add_items(turns(30))
        return await session.get_items(limit)

    assert said(converse(scenario)) == [str(index) for index in range(30)][-limit:]


def test_the_latest_is_popped(converse: Converse) -> None:
    async def scenario(open_session: Open) -> Any:
        session = open_session()
        await session.add_items(turns(3))
        popped = [await session.pop_item() for _ in range(2)]
        return said(popped), said(await session.get_items())

    assert converse(scenario) == (["2", "1"], ["0"])


def test_of_nothing_nothing_is_popped(converse: Converse) -> None:
    async def scenario(open_session: Open) -> Any:
        session = open_session()
        return await session.pop_item(), await session.get_items(), await session.get_items(0)

    assert converse(scenario) == (None, [], [])


def test_what_was_popped_can_be_added_again(converse: Converse) -> None:
    """A session undoes and repeats turns in this way, with the same ids."""

    async def scenario(open_session: Open) -> Any:
        session = open_session()
        await session.add_items(turns(3))
        items = await session.get_items()
        popped = [await session.pop_item() for _ in range(2)]
        await session.add_items(popped[::-1])
        return items, await session.get_items()

    before, after = converse(scenario)

    assert after == before
    assert all(item["id"] for item in before)


def test_a_rewound_session_keeps_what_another_writer_added(
    converse: Converse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """openai-agents pops the other writer's item, detects that, and adds the item again."""

    async def scenario(open_session: Open) -> Any:
        session = open_session()
        await session.add_items(turns(2))
        [*_, ours] = await session.get_items()
        other = open_session(conversation_id=session.session_id)
        pop = session.pop_item

        async def pop_what_came_meanwhile() -> Any:
            await other.add_items([{"role": "user", "content": "theirs"}])
            return await pop()

        monkeypatch.setattr(session, "pop_item", pop_what_came_meanwhile)
        await rewind_session_items(session, [ours])
        return await session.get_items()

    assert said(converse(scenario)) == ["0", "1", "theirs"]


def test_a_cleared_session_is_empty(converse: Converse) -> None:
    async def scenario(open_session: Open) -> Any:
        session = open_session()
        await session.add_items(turns(1))
        cleared = open_session(conversation_id=session.session_id)
        await session.clear_session()
        with pytest.raises(NotFoundError):
            await cleared.get_items()
        return await session.get_items()

    assert converse(scenario) == []


def test_calls_images_and_thoughts_come_back_as_they_were_given(converse: Converse) -> None:
    async def scenario(open_session: Open) -> Any:
        session = open_session()
        await session.add_items(TURN)
        return await session.get_items()

    items = converse(scenario)

    assert [
        {name: item[name] for name in given} for given, item in zip(TURN, items, strict=True)
    ] == TURN


def test_an_agent_goes_on_from_its_session(converse: Converse) -> None:
    @function_tool
    def look(place: str) -> str:
        return f"Rain in {place}."

    call = function_call("look", {"place": "Oslo"}, call_id="call_1")
    thoughts = ResponseReasoningItem.model_validate(THOUGHTS)
    model = ScriptedModel(
        [[thoughts, call], [assistant_message("It rains.")], [assistant_message("Still.")]]
    )
    agent = Agent(name="Weather", model=model, tools=[look])

    async def scenario(open_session: Open) -> Any:
        session = open_session()
        await Runner.run(agent, "Weather in Oslo?", session=session, run_config=SILENT)
        again = open_session(conversation_id=session.session_id)
        await Runner.run(agent, "And now?", session=again, run_config=SILENT)
        return await again.get_items()

    asked, thought, called, looked, answered, now, last = converse(scenario)

    assert said([asked, answered, now, last]) == [
        "Weather in Oslo?",
        "It rains.",
        "And now?",
        "Still.",
    ]
    assert (thought, looked["output"]) == (THOUGHTS, "Rain in Oslo.")
    assert model.calls[-1].input == [
        asked,
        thought,
        called,
        looked,
        {name: value for name, value in answered.items() if name != "id"},
        {"role": "user", "content": "And now?"},
    ]
