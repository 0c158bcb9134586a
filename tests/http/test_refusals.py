"""Every invalid body of the contract, through HTTP: each is rejected and stores nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from conversations.auth.api_keys import ApiKeyRepository
from conversations.http.dialects import MKA1, PREFIXES
from tests.support.contract_cases import INVALID
from tests.support.http_helpers import error_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import DevStack


pytestmark = pytest.mark.xdist_group("refusals")  # its fixture takes long


@pytest.fixture(scope="module")
def door(running_stack: DevStack) -> Iterator[httpx.Client]:
    """Return a client of the stack's root URL, with a key."""
    running_stack.reset()
    table = running_stack.template.name("ApiKeysTable")
    with running_stack.engine.lock:
        key, _ = ApiKeyRepository(running_stack.resources.dynamodb, table).create(
            account="a", name="test"
        )
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=running_stack.url, headers=headers) as client:
        yield client


@pytest.fixture(scope="module")
def items(door: httpx.Client) -> str:
    """Return the path of an empty conversation's items, under either prefix."""
    made = door.post(f"{MKA1.prefix}/conversations").json()["id"]
    return f"/conversations/{made}/items"


@pytest.mark.parametrize(
    ("body", "param"), [pytest.param(*case, id=name) for name, *case in INVALID]
)
def test_an_invalid_body_is_rejected_with_the_path_of_its_fault(
    body: bytes, param: str | None, door: httpx.Client, items: str
) -> None:
    responses = [door.post(f"{prefix}{items}", content=body) for prefix in PREFIXES]

    for response in responses:
        assert (response.status_code, error_of(response)["param"]) == (400, param)
    assert door.get(f"{MKA1.prefix}{items}").json()["data"] == []
