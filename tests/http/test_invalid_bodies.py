"""Every invalid body of the contract, through HTTP: each is rejected and stores nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conversations.http.dialects import PREFIXES
from tests.support.contract_cases import INVALID
from tests.support.http_helpers import error_of
from tests.support.table_rows import count_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from local.stack import DevStack


def test_an_invalid_body_is_rejected_with_the_path_of_its_fault(
    stack: DevStack,
    client: httpx.Client,
    conversation: str,
    record_property: Callable[[str, int], None],
) -> None:
    for name, body, param in INVALID:
        for prefix in PREFIXES:
            response = client.post(f"{stack.url}{prefix}{conversation}/items", content=body)

            assert (response.status_code, error_of(response)["param"]) == (400, param), name

    assert client.get(f"{conversation}/items").json()["data"] == []
    assert count_rows(stack).total() == 1
    record_property("invalid bodies rejected by HTTP, nothing stored", len(INVALID))
