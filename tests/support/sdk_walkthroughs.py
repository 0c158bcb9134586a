"""Walkthroughs of each client's operations, with their inputs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from conversations.http import dialects
from tests.support import mka1_walkthrough, openai_walkthrough
from tests.support.contract_cases import EXAMPLES
from tests.support.paths import ROOT
from tests.support.returned_items import UNKNOWN_TO_OPENAI

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.http_helpers import Json

HERE = Path(__file__).parent
TOOLS = ROOT / ".tools"
LOCKED = ROOT / "tools"


def _locked(folder: str, package: str) -> str:
    """Return the locked version of a package for Node."""
    return cast(
        "str", json.loads((LOCKED / folder / "package.json").read_text())["dependencies"][package]
    )


def _pinned(tool: str) -> str:
    """Return the locked version of a tool with an environment of its own."""
    pins = (LOCKED / tool / "requirements.txt").read_text()
    return pins.partition(f"\n{tool}==")[2].split()[0]


MKA1_RELEASES = (f"mka1 {version('meetkai-mka1')}", "mka1 0.5.25")
MKA1 = [f"{release}{mode}" for release in MKA1_RELEASES for mode in ("", " async")]
PYTHON = [f"openai {version('openai')}{mode}" for mode in ("", " async")]
NODE = f"openai for Node {_locked('openai-node', 'openai')}"
LLAMA_STACK = f"llama-stack-client {_pinned('llama-stack-client')}"
AGENTS = f"agents for Node {_locked('openai-agents-node', '@openai/agents')}"
OPENAI = [*PYTHON, NODE, LLAMA_STACK]
"""Clients with OpenAI's operations."""

UNSENT_BY_MKA1 = {"phase", "response_id", "metadata"}
UNKNOWN_TO_OLD_MKA1 = ("mcp_call", "approval_request_id")
"""Field that the older mka1 release does not have."""


def _own(items: Iterable[Json]) -> list[Json]:
    """Return the items with unique ids; references keep the id of the item that they name."""
    return [
        {**item, "id": f"own_{index}"} if item.get("id") and len(item) > 2 else item
        for index, item in enumerate(items)
    ]


_FULL_AT_THE_END = sorted(EXAMPLES, key=lambda example: example[0].endswith("full"))
MKA1_ITEMS = _own({name[:2]: item for name, item in _FULL_AT_THE_END if "/" not in name}.values())
"""One item of each of the 24 types, with all of its fields."""
OPENAI_ITEMS = _own(
    {
        item.get("type"): item for name, item in _FULL_AT_THE_END if name not in UNKNOWN_TO_OPENAI
    }.values()
)
"""One item of each type that OpenAI can say."""


def sent_by_mka1(client: str) -> list[Json]:
    """Return `MKA1_ITEMS` as the SDK sends them, without fields unknown to its request types."""
    unknown = UNKNOWN_TO_OLD_MKA1 if client.startswith(MKA1_RELEASES[1]) else None
    return [
        {
            name: value
            for name, value in item.items()
            if name not in UNSENT_BY_MKA1 and (item["type"], name) != unknown
        }
        for item in MKA1_ITEMS
    ]


def _run(command: list[str], items: list[Json], **environment: str) -> Any:
    """Run a client's program, and return what it prints."""
    run = subprocess.run(  # noqa: S603 - our own programs
        command,
        input=json.dumps(items),
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(run.stdout)


def _new_mka1(url: str, key: str) -> list[Json]:
    return [mka1_walkthrough.take(url, key, MKA1_ITEMS, is_async=mode) for mode in (False, True)]


def _old_mka1(url: str, key: str) -> list[Json]:
    command = [sys.executable, str(HERE / "mka1_walkthrough.py"), url, key]
    path = str(TOOLS / "mka1-0.5.25")
    return cast("list[Json]", _run(command, MKA1_ITEMS, PYTHONPATH=path, PYTHONWARNINGS="error"))


def _python(url: str, key: str) -> list[Json]:
    door = url + dialects.OPENAI.prefix
    return [
        openai_walkthrough.take(door, key, OPENAI_ITEMS, is_async=mode) for mode in (False, True)
    ]


def run_node(program: str, folder: str, url: str, key: str, items: list[Json]) -> Json:
    """Run a program for Node with the packages of a *folder* of `.tools`; return what it prints."""
    node, project = shutil.which("node"), TOOLS / folder
    if node is None or not (project / ".installed").exists():
        pytest.skip(f"there is no node on this machine, or {folder} could not be installed for it")
    command = [node, str(HERE / program), str(project), url + dialects.OPENAI.prefix, key]
    return cast("Json", _run(command, items))


def _node(url: str, key: str) -> list[Json]:
    return [run_node("openai_walkthrough.mjs", "openai-node", url, key, OPENAI_ITEMS)]


def _llama_stack(url: str, key: str) -> list[Json]:
    python = TOOLS / "llama-stack-client" / "bin" / "python"
    if not python.exists():
        pytest.skip("`make .tools/llama-stack-client/.installed` has not been run")
    return [_run([str(python), str(HERE / "llama_stack_walkthrough.py"), url, key], OPENAI_ITEMS)]


def walk_through(client: str, url: str, key: str) -> dict[str, Json]:
    """Return the results of the *client*, by name, and of those that share its process.

    Both clients of a release share a process, because importing an SDK takes longest.
    """
    releases = [
        (MKA1[:2], _new_mka1),
        (MKA1[2:], _old_mka1),
        (PYTHON, _python),
        ([NODE], _node),
        ([LLAMA_STACK], _llama_stack),
    ]
    [(clients, walkthrough)] = [release for release in releases if client in release[0]]
    return dict(zip(clients, walkthrough(url, key), strict=True))
