"""The service against its documents: whatever schemathesis makes of them, in a few seconds."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from conversations.http.dialects import DIALECTS, Dialect
from openapi.fuzzing import ROOT, command

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from local.stack import DevStack
    from tests.support.issue_key import IssueKey

DRAWN = ("--phases", "examples,fuzzing,stateful", "--max-examples", "4")
# Of the two bodies that hold items there are thousands of cases: `make fuzz`.
LISTED = ("--phases", "coverage", "--exclude-operation-id-regex", "create$|^create")


class TryService(Protocol):
    """How a test runs schemathesis: its report, once it found nothing."""

    def __call__(self, dialect: Dialect, *options: str) -> Any: ...


@pytest.fixture
def try_service(stack: DevStack, issue_key: IssueKey, tmp_path: Path) -> TryService:
    def run(dialect: Dialect, *options: str) -> Any:
        report = tmp_path / "report.json"
        run = subprocess.run(  # noqa: S603 - our own command
            [*command(stack.url, dialect, *options), "--report-json-path", str(report)],
            cwd=ROOT,
            env={**os.environ, "API_KEY": issue_key(may_delegate=True)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stdout
        return json.loads(report.read_text(encoding="utf-8"))

    return run


@pytest.mark.parametrize("options", [DRAWN, LISTED], ids=["drawn", "listed"])
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.prefix)
def test_the_service_keeps_to_its_document(
    dialect: Dialect,
    options: tuple[str, ...],
    try_service: TryService,
    record_property: Callable[[str, object], None],
) -> None:
    made = try_service(dialect, *options)["test_cases"]["generated"]

    assert made > 100
    record_property("requests that schemathesis made of the documents", made)
