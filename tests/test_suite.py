"""Order of the tests, and the report of a failure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.paths import TESTS
from tests.support.suite import ORDER, position_of, without_info

if TYPE_CHECKING:
    import pytest


def test_contract_and_storage_run_before_the_sdks() -> None:
    files = ["sdk/test_agents.py", "http/test_cors.py", "contract/test_items.py", "test_ids.py"]
    files += ["storage/test_store.py"]

    assert sorted(files, key=lambda name: position_of(Path(name))) == [
        "test_ids.py",
        "contract/test_items.py",
        "storage/test_store.py",
        "sdk/test_agents.py",
        "http/test_cors.py",
    ]


def test_the_order_is_of_folders_that_exist() -> None:
    folders = {path.name for path in TESTS.iterdir() if path.is_dir()}

    assert folders >= {*ORDER}


def test_tests_are_collected_in_that_order(request: pytest.FixtureRequest) -> None:
    positions = [position_of(item.path.relative_to(TESTS)) for item in request.session.items]

    assert positions == sorted(positions)


def test_a_failure_shows_no_line_of_a_request_that_went_well() -> None:
    captured = (
        '{"level":"INFO","message":"request","status":200}\n'
        '{"level":"ERROR","message":"request failed"}\n'
        "INFO     local-stack:api.py:80 request\n"
        "ERROR    local-stack:api.py:81 request failed\n"
        "printed by a test"
    )

    assert without_info(captured).splitlines() == [
        '{"level":"ERROR","message":"request failed"}',
        "ERROR    local-stack:api.py:81 request failed",
        "printed by a test",
    ]
