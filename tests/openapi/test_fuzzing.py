"""The service tested with its documents by schemathesis, for a few seconds."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import schemathesis
from schemathesis.core.failures import FailureGroup

from conversations.http.dialects import DIALECTS, MKA1, OPENAI, Dialect
from openapi.document import FOLDER
from openapi.fuzzing import ROOT, command
from openapi.schemathesis_hooks import error_code_conformance

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from local.stack import DevStack
    from tests.support.issue_key import IssueKey

DRAWN = ("--phases", "examples,fuzzing,stateful", "--max-examples", "2")
# Two bodies contain items, and have thousands of cases: `make fuzz` tests them.
LISTED = ("--phases", "coverage", "--exclude-operation-id-regex", "create$|^create")


class TryService(Protocol):
    """Run of schemathesis, which must find nothing; returns its report."""

    def __call__(self, dialect: Dialect, *options: str) -> Any: ...


pytestmark = pytest.mark.prove


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


@pytest.mark.parametrize(
    ("dialect", "options"),
    [
        pytest.param(MKA1, DRAWN, id=f"{MKA1.prefix} drawn"),
        pytest.param(OPENAI, DRAWN, id=f"{OPENAI.prefix} drawn"),
        pytest.param(MKA1, LISTED, id=f"{MKA1.prefix} listed"),
        pytest.param(OPENAI, LISTED, id=f"{OPENAI.prefix} listed"),
    ],
)
def test_the_service_keeps_to_its_document(
    dialect: Dialect,
    options: tuple[str, ...],
    try_service: TryService,
    record_property: Callable[[str, object], None],
) -> None:
    made = try_service(dialect, *options)["test_cases"]["generated"]

    assert made > 60
    record_property("requests that schemathesis made of the documents", made)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.prefix)
def test_a_code_that_the_document_does_not_name_is_found(
    dialect: Dialect, stack: DevStack, issue_key: IssueKey
) -> None:
    document = json.loads((FOLDER / f"{dialect.name}.json").read_text(encoding="utf-8"))
    responses = document["paths"]["/conversations/{conversation_id}"]["get"]["responses"]
    codes = responses["404"]["content"]["application/json"]["examples"]

    def call() -> None:
        # Without `schemathesis.toml`, which would load the checks a second time.
        schema = schemathesis.openapi.from_dict(document, config=schemathesis.Config())
        case = schema["/conversations/{conversation_id}"]["GET"].Case(
            path_parameters={"conversation_id": "conv_none"},
            headers={"Authorization": f"Bearer {issue_key()}"},
        )
        case.call_and_validate(f"{stack.url}{dialect.prefix}", checks=[error_code_conformance])

    call()
    del codes["conversation_not_found"]

    with pytest.raises(FailureGroup, match="`conversation_not_found` is not among the codes"):
        call()
