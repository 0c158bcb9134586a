"""The README's commands, examples, tables and map are correct."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from conversations.http.dialects import PREFIXES
from local import startup_message
from tests.support.http_helpers import HELLO
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from local.stack import DevStack
    from tests.support.issue_key import IssueKey

README = (ROOT / "README.md").read_text()
URL = "http://127.0.0.1:8000"
QUESTION = HELLO["content"]


@pytest.fixture
def key(stack: DevStack, issue_key: IssueKey) -> str:
    startup_message.create_documented_conversation(stack)
    return issue_key(startup_message.ACCOUNT)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on this machine")
def test_its_commands_run_as_they_stand(stack: DevStack, key: str, tmp_path: Path) -> None:
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "api-key").write_text(key)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    rule = "\necho; echo ---\n"
    commands = rule.join(block for block in blocks("sh") if not block.startswith("make "))

    run = subprocess.run(  # noqa: S603 - the README's own commands
        ["bash", "-e", "-c", commands.replace(URL, stack.url)],  # noqa: S607 - any bash does
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )

    exported, appended, openai, mka1, listed = map(str.strip, run.stdout.split("---\n"))
    documented: Any = json.loads(blocks("json")[0])
    text = json.dumps(documented).replace(documented["last_id"], json.loads(appended)["last_id"])
    assert exported == ""
    assert json.loads(appended) == json.loads(text)
    assert openai == mka1 == f"user {QUESTION}"
    assert listed.count('"object":"conversation"') == 2
    assert listed.count(QUESTION) == 2


def test_its_error_is_one_of_the_service(client: httpx.Client) -> None:
    image = {"type": "input_image", "image_url": 5}
    items = [HELLO, {**HELLO, "content": [image]}]

    response = client.post("/conversations/conv_abc123/items", json={"items": items})

    assert response.json() == json.loads(blocks("json")[1])


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
    for name in re.findall(r"^    ([a-z/]+)(?:\.yaml)? {3,}", README, re.MULTILINE):
        assert (ROOT / name).exists() or (ROOT / f"{name}.yaml").exists(), name
