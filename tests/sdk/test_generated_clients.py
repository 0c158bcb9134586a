"""Clients that generators make from the documents, against the local stack."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from conversations.http.dialects import MKA1, OPENAI, Dialect
from openapi.document import operation_ids
from tests.support.http_helpers import HELLO
from tests.support.paths import ROOT, TESTS

if TYPE_CHECKING:
    from pathlib import Path

    from local.stack import DevStack
    from tests.support.http_helpers import Json
    from tests.support.issue_key import IssueKey

SUPPORT = TESTS / "support"
TOOLS = ROOT / ".tools"
PYTHON = TOOLS / "openapi-python-client" / "bin"
NODE = TOOLS / "openapi-node"
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "c2VjcmV0"}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"}
SEARCH = {
    "type": "file_search_call",
    "id": "fs_1",
    "queries": ["rain"],
    "status": "completed",
    "results": [{"file_id": "file_1", "text": "It rains."}],
}
ITEMS: list[Json] = [SEARCH, REASONING, CALL, HELLO]

pytestmark = [
    pytest.mark.xdist_group("generated clients"),  # so that they do not all run at once
    pytest.mark.parametrize(
        "dialect",
        [
            pytest.param(MKA1, id=MKA1.prefix),
            pytest.param(OPENAI, id=OPENAI.prefix, marks=pytest.mark.prove),
        ],
    ),
]


@pytest.fixture
def key(issue_key: IssueKey) -> str:
    return issue_key()


def run(*command: object, given: object = None, **environment: str) -> str:
    """Return a program's output; if it fails, fail with its errors."""
    program = [str(word) for word in command]
    done = subprocess.run(  # noqa: S603 - our own programs and pinned tools
        program,
        input=json.dumps(given),
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def server(stack: DevStack, dialect: Dialect) -> str:
    """Return the server URL of the document, which generators use as it is."""
    document = httpx.get(f"{stack.url}{dialect.prefix}/openapi.json").json()
    url: str = document["servers"][0]["url"]
    return url


def test_openapi_python_client_makes_a_client_that_works(
    dialect: Dialect, stack: DevStack, key: str, tmp_path: Path
) -> None:
    url = f"{stack.url}{dialect.prefix}/openapi.json"
    config = tmp_path / "config.json"
    config.write_text('{"post_hooks": []}', encoding="utf-8")
    generator = PYTHON / "openapi-python-client"
    options = ("--meta", "none", "--config", config, "--output-path", tmp_path / "generated")
    given = {"operations": operation_ids(dialect), "items": ITEMS}

    printed = run(generator, "generate", "--url", url, *options)
    program = (PYTHON / "python", SUPPORT / "generated_walkthrough.py")
    path = {"PYTHONPATH": str(tmp_path)}
    responses: Any = json.loads(run(*program, server(stack, dialect), key, given=given, **path))

    assert "Warning" not in printed
    assert responses["create"]["metadata"] == {"topic": "weather"}
    assert [item["type"] for item in responses["append"]["data"]] == [i["type"] for i in ITEMS]
    assert responses["append"]["data"][0] == SEARCH
    listed = responses["list"]["data"]
    assert (listed[::-1] if dialect is OPENAI else listed) == responses["append"]["data"]
    assert responses["get"] == responses["append"]["data"][-1]
    [first] = responses["include"]["data"]
    assert "results" not in first
    assert responses["missing"]["error"]["code"] == "conversation_not_found"
    assert responses["rejected"]["error"]["code"] == "array_below_min_length"
    assert responses["kinds"]["append"] == responses["kinds"]["list"] == "ItemPage"
    assert responses["kinds"]["missing"] == responses["kinds"]["rejected"] == "ErrorEnvelope"


def test_openapi_fetch_works_with_the_types_that_openapi_typescript_makes(
    dialect: Dialect, stack: DevStack, key: str, tmp_path: Path
) -> None:
    node = shutil.which("node")
    if node is None or not (NODE / ".installed").exists():
        pytest.skip("there is no node on this machine, or its tools could not be installed")
    modules = NODE / "node_modules"
    (tmp_path / "node_modules").symlink_to(modules)
    program = (SUPPORT / "generated_walkthrough.mts").read_text(encoding="utf-8")
    name = json.dumps(dialect.include)
    (tmp_path / "walkthrough.mts").write_text(program.replace("INCLUDE", name), encoding="utf-8")
    options = "--strict --skipLibCheck --target es2022 --lib es2022,dom --module nodenext"
    options += " --allowImportingTsExtensions --rewriteRelativeImportExtensions"

    url = f"{stack.url}{dialect.prefix}/openapi.json"
    generator = modules / "openapi-typescript" / "bin" / "cli.js"
    printed = run(node, generator, url, "-o", tmp_path / "generated.d.ts")
    tsc = modules / "typescript" / "bin" / "tsc"
    run(node, tsc, *options.split(), tmp_path / "walkthrough.mts")
    arguments = (server(stack, dialect), key, json.dumps(ITEMS[:-1]))
    responses: Any = json.loads(run(node, tmp_path / "walkthrough.mjs", *arguments))

    assert "⚠" not in printed
    assert responses["create"]["metadata"] == {"topic": "weather"}
    assert responses["append"]["data"][0] == SEARCH
    assert responses["get"] == responses["append"]["data"][-1]
    assert responses["said"] == "user"
    assert "results" not in responses["include"]["data"][0]
    assert responses["include"]["data"][1] == REASONING
    assert responses["missing"] == [404, "conversation_not_found"]
