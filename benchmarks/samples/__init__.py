"""Realistic items, identical in each run: prose, tool calls, encoded data."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from conversations.contract.items import Item

_ANSWER = (Path(__file__).parent / "answer.md").read_text()
_CITIES = ("Lisbon", "Graz", "Tromsø", "Kyoto", "Cusco", "Leeds", "Ghent", "Oulu", "Bari", "Lille")
_STATES = ("paid", "shipped", "returned", "cancelled")


def question(size: int = 320) -> Item:
    """Return a user's message of *size* characters."""
    return _item(type="message", role="user", content=_prose(size))


def answer(size: int) -> Item:
    """Return an assistant's message of *size* characters, in the Responses API's output shape."""
    part = {"type": "output_text", "text": _prose(size), "annotations": [], "logprobs": []}
    return _item(type="message", role="assistant", status="completed", content=[part])


def tool_call() -> Item:
    """Return a function call with a handful of arguments."""
    arguments = {"customer": "c_7731904", "from": "2026-10-01", "to": "2026-10-31", "limit": 50}
    return _item(
        type="function_call",
        call_id="call_" + _noise(18).hex()[:24],
        name="search_orders",
        arguments=json.dumps(arguments),
        status="completed",
    )


def tool_output(count: int) -> Item:
    """Return the output of a function call: *count* rows of about 250 characters."""
    found = [_order(random.Random(number)) for number in range(count)]  # noqa: S311 - the same each time
    return _item(
        type="function_call_output",
        call_id="call_" + _noise(18).hex()[:24],
        output=json.dumps({"orders": found, "total": count}),
    )


def reasoning(size: int = 900) -> Item:
    """Return a reasoning item with *size* encrypted bytes in base64."""
    summary = [{"type": "summary_text", "text": _prose(180)}]
    return _item(type="reasoning", summary=summary, encrypted_content=_base64(size))


def image(size: int) -> Item:
    """Return a user's message with an image of *size* incompressible bytes."""
    url = f"data:image/jpeg;base64,{_base64(size)}"
    parts = [
        {"type": "input_text", "text": "What is wrong with this invoice?"},
        {"type": "input_image", "image_url": url, "detail": "auto"},
    ]
    return _item(type="message", role="user", content=parts)


def turn() -> list[Item]:
    """Return the batch of a chat turn: a question and its answer."""
    return [question(), answer(1200)]


def agent_batch(rows: tuple[int, ...] = (4, 25, 10)) -> list[Item]:
    """Return the batch of an agent's turn, with a tool call for each number of *rows*."""
    outputs = [tool_output(count) for count in rows]
    calls = [item for output in outputs for item in (tool_call(), output)]
    return [reasoning(), *calls, answer(1200)]


def _item(**fields: object) -> Item:
    return cast("Item", fields)


def _prose(size: int) -> str:
    """Return the first *size* characters of the repeated answer."""
    return (_ANSWER * (size // len(_ANSWER) + 1))[:size]


def _order(chance: random.Random) -> dict[str, object]:
    start = chance.randrange(len(_ANSWER) - 120)
    return {
        "id": f"ord_{chance.getrandbits(48):012x}",
        "placed_at": f"2026-10-{chance.randint(1, 28):02}T{chance.randint(0, 23):02}:14:00Z",
        "state": chance.choice(_STATES),
        "city": chance.choice(_CITIES),
        "total": {"amount": f"{chance.randint(500, 90_000) / 100:.2f}", "currency": "EUR"},
        "lines": chance.randint(1, 9),
        "note": _ANSWER[start : start + chance.randint(0, 120)],
    }


def _base64(size: int) -> str:
    return base64.b64encode(_noise(size)).decode()


def _noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)  # noqa: S311 - the same each time
