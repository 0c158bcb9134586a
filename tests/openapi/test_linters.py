"""redocly and spectral find nothing in the documents except known exceptions."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, Final

import pytest

from conversations.http.dialects import DIALECTS, Dialect
from openapi.document import FOLDER, document
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TOOLS: Final = ROOT / ".tools" / "openapi-linters"
SETTINGS: Final = ROOT / "tools" / "openapi-linters"
REDOCLY: Final = TOOLS / "node_modules" / "@redocly" / "cli" / "bin" / "cli.js"
SPECTRAL: Final = TOOLS / "node_modules" / "@stoplight" / "spectral-cli" / "dist" / "index.js"
OVERLAP: Final = "no-illogical-composition-keywords"
DISTINGUISHED: Final = {
    # By the schema of `action`, which redocly does not look into.
    ("ShellCall", "ShellCommandsCall"),
    # By the schema of the entries of `output`.
    ("ShellCallOutput", "ShellChunksOutput"),
    # By `content`: a string in one, null or absent in the other.
    ("Compaction", "EncryptedCompaction"),
}
"""Schemas of one type that redocly reports as overlapping; each example must match only one."""

pytestmark = [
    pytest.mark.prove,
    pytest.mark.xdist_group("generated clients"),  # so that not all of Node runs at once
]


@pytest.fixture(scope="session")
def node() -> str:
    found = shutil.which("node")
    if found is None or not (TOOLS / ".installed").exists():
        pytest.skip("there is no node on this machine, or its tools could not be installed")
    return found


type Findings = set[tuple[str, str]]
"""Violated rules, with the location or the name."""


def report(program: list[str]) -> Any:
    """Return what a linter prints, as JSON; it does not look for a newer release."""
    quiet = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    run = subprocess.run(  # noqa: S603 - pinned tools
        program, env={**os.environ, **quiet}, capture_output=True, text=True, check=False
    )
    assert run.stdout.startswith(("{", "[")), run.stdout + run.stderr
    return json.JSONDecoder().raw_decode(run.stdout)[0]


def redocly(node: str, path: Path) -> Findings:
    options = ["--config", str(SETTINGS / "redocly.yaml"), "--format", "json", str(path)]
    found = report([node, str(REDOCLY), "lint", "--max-problems", "1000", *options])
    return {(each["ruleId"], each["message"]) for each in found["problems"]}


def spectral(node: str, path: Path) -> Findings:
    options = ["--ruleset", str(SETTINGS / "spectral.yaml"), "--format", "json", str(path)]
    found = report([node, str(SPECTRAL), "lint", *options])
    return {(each["code"], each["message"]) for each in found}


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.prefix)
def test_redocly_finds_only_schemas_it_cannot_tell_apart(dialect: Dialect, node: str) -> None:
    findings = redocly(node, FOLDER / f"{dialect.name}.json")

    pairs = {tuple(re.findall(r"schemas/(?:Returned)?(\w+)`", message)) for _, message in findings}
    assert {rule for rule, _ in findings} == {OVERLAP}, findings
    assert pairs == DISTINGUISHED


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.prefix)
def test_spectral_finds_nothing(dialect: Dialect, node: str) -> None:
    assert spectral(node, FOLDER / f"{dialect.name}.json") == set()


@pytest.mark.parametrize(
    ("lint", "rule"),
    [(redocly, "operation-summary"), (spectral, "operation-description")],
    ids=["redocly", "spectral"],
)
def test_a_linter_finds_an_operation_without_a_text(
    lint: Callable[[str, Path], Findings], rule: str, node: str, tmp_path: Path
) -> None:
    flawed = document(DIALECTS[0])
    operation = flawed["paths"]["/conversations"]["get"]
    del operation["summary"], operation["description"]
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(flawed), encoding="utf-8")

    assert rule in {found for found, _ in lint(node, path)}
