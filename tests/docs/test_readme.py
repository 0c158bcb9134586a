"""The README does what it says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conversations.http.dialects import PREFIXES
from local import startup_message

if TYPE_CHECKING:
    from local.stack import DevStack
    from tests.support.issue_key import IssueKey

README = (Path(__file__).parents[2] / "README.md").read_text()
URL = "http://127.0.0.1:8000"


@pytest.fixture
def key(stack: DevStack, issue_key: IssueKey) -> str:
    startup_message.hold_documented_conversation(stack)
    return issue_key(startup_message.ACCOUNT)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on this machine")
def test_its_request_gets_its_answer(stack: DevStack, key: str) -> None:
    command = README[README.index("    curl ") :].partition("\n\n")[0]
    documented: Any = json.loads(blocks("json")[0])

    run = subprocess.run(  # noqa: S603 - the README's own command
        ["bash", "-c", command.replace(URL, stack.url)],  # noqa: S607 - any bash does
        env={"KEY": key, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )

    item_id = json.loads(run.stdout)["last_id"]
    text = json.dumps(documented).replace(documented["last_id"], item_id)
    assert json.loads(run.stdout) == json.loads(text)


def test_its_python_runs(stack: DevStack, key: str) -> None:
    names: dict[str, Any] = {"KEY": key}

    exec(blocks("python")[0].replace(URL, stack.url), names)  # noqa: S102 - the README's own code

    assert names["page"].data[0].content == "What is the weather today?"


def test_its_table_holds_the_templates_routes(stack: DevStack) -> None:
    rows = re.findall(r"^\| `([A-Z]+) (/\S+)` \|", README, re.MULTILINE)

    routes = [
        (route.method, route.path)
        for route in stack.template.api.routes
        if route.method != "HEAD" and route.path != "/console"
    ]
    assert sorted(
        (method, f"{prefix}{path}") for method, path in rows for prefix in PREFIXES
    ) == sorted(routes)


def test_its_map_holds_what_is_there() -> None:
    root = Path(__file__).parents[2]

    for name in re.findall(r"^    ([a-z/]+)(?:\.yaml)? {3,}", README, re.MULTILINE):
        assert (root / name).exists() or (root / f"{name}.yaml").exists(), name
