"""Every body that the contract refuses, through HTTP: one conversation stays empty through all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from contract_cases import INVALID
from wire import error_of

from conversations.api_keys import ApiKeys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import LocalStack


pytestmark = pytest.mark.xdist_group("refusals")  # its fixture is dear


@pytest.fixture(scope="module")
def items(running_stack: LocalStack) -> Iterator[httpx.Client]:
    """A client whose base URL is the items of an empty conversation."""
    running_stack.reset()
    table = running_stack.template.name("ApiKeysTable")
    with running_stack.engine.turn:
        key, _ = ApiKeys(running_stack.resources.dynamodb, table).create(account="a", name="test")
    headers = {"Authorization": f"Bearer {key}"}
    url = f"{running_stack.url}/api/v1/llm/conversations"
    made = httpx.post(url, headers=headers).json()["id"]
    with httpx.Client(base_url=f"{url}/{made}/items", headers=headers) as client:
        yield client


@pytest.mark.parametrize(
    ("body", "param"), [pytest.param(*case, id=name) for name, *case in INVALID]
)
def test_a_wrong_body_is_refused_by_the_path_of_its_fault(
    body: bytes, param: str | None, items: httpx.Client
) -> None:
    answer = items.post("", content=body)

    assert (answer.status_code, error_of(answer)["param"]) == (400, param)
    assert items.get("").json()["data"] == []
