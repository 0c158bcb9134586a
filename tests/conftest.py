"""Fixtures of most tests: the template's stack on moto, with the local gateway's HTTP server."""

from __future__ import annotations

import functools
import gc
import os
import secrets
import shutil
import ssl
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

import botocore.session
import httpx
import pytest
from hypothesis import settings

from conversations import ids
from conversations.auth.api_keys import SCOPES, ApiKeyRepository, Scope
from local.engines import changed_environment, running_engine, running_ministack
from local.resources import Resources
from local.stack import DATA, DevStack
from local.template import TEMPLATE, Template
from tests.support.moto_shortcuts import shorten_moto
from tests.support.paths import ROOT, TESTS
from tests.support.sdk_report import write_table
from tests.support.suite import position_of, without_info

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from tests.support.issue_key import IssueKey

# Each client of httpx would load the root certificates, 30 ms each time; all tests use HTTP.
ssl.create_default_context = cast("Any", functools.cache(ssl.create_default_context))
# Every session of botocore parses its model of each service again, 150 ms each time.
botocore.session.create_loader = functools.cache(botocore.session.create_loader)
shorten_moto()

settings.register_profile("project", deadline=None)  # tests do not depend on timing
settings.load_profile("project")

COUNTED = {
    "contract/test_items.py::test_whatever_the_types_of_an_sdk_allow_comes_back_as_it_was_given": (
        "batches made from the SDKs' own types, accepted"
    ),
    "sdk/test_sdk_clients.py::": "calls by the real SDKs",
    "sdk/test_agents.py::": "facts of openai-agents' sessions",
    "template/test_template.py::": "facts of the template",
    "template/test_deployed_template.py::": "facts of the stack that CloudFormation makes of it",
    "e2e/test_routes.py::": "requests to the routes of the deployed stack",
    "e2e/test_permissions.py::test_function_needs": "permissions taken away, and missed",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort tests by folder; within one, files and tests keep their order."""
    items.sort(key=lambda item: position_of(item.path.relative_to(TESTS)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Omit the local stack's lines of level INFO from the report of a failure."""
    report = yield
    sections = [(name, without_info(text)) for name, text in report.sections]
    report.sections = [(name, text) for name, text in sections if text]
    return report


def pytest_collection_finish() -> None:
    """Exclude the imported modules from garbage collection, which would scan them repeatedly."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many examples, calls and facts the tests checked."""
    passed = terminalreporter.stats.get("passed", [])
    counts = Counter(
        name for report in passed for part, name in COUNTED.items() if part in report.nodeid
    )
    recorded: Counter[str] = Counter()
    for report in passed:
        for name, value in report.user_properties:
            recorded.update({name: value} if isinstance(value, int) else {})
    terminalreporter.section("proven")
    for name, count in (counts + recorded).items():
        terminalreporter.write_line(f"{count:8} {name}")
    write_table(terminalreporter)
    show_grants(terminalreporter)


def show_grants(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of permissions that `test_template.py` found in the template."""
    properties = (
        given
        for report in terminalreporter.stats.get("passed", [])
        for given in report.user_properties
    )
    grants = sorted(tuple(value) for name, value in properties if name == "grant")
    if grants:
        terminalreporter.section("who may do what")
    for function, action, resource in grants:
        terminalreporter.write_line(f"{function:20}{action:30}{resource}")


@pytest.fixture(scope="session")
def spaced_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the project to a folder whose path has spaces, with links to the installed tools."""
    folder = tmp_path_factory.mktemp("make") / "a folder  with spaces"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    for installed in (ROOT / ".venv", *(ROOT / ".tools").glob("*/")):
        link = folder / installed.relative_to(ROOT)
        link.mkdir(parents=True)
        for entry in installed.iterdir():
            if entry.name != ".installed":
                (link / entry.name).symlink_to(entry)
        # A new file: else make would install the copy into the environments of the original.
        (link / ".installed").touch()
    return folder


@pytest.fixture(scope="session")
def ministack_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = {**os.environ, "LOG_LEVEL": "WARNING", "SERVICES": "dynamodb,dynamodbstreams,s3"}
    with running_ministack(tmp_path_factory.mktemp("engine"), settings) as ministack:
        yield f"http://127.0.0.1:{ministack.port}"


@pytest.fixture(scope="module")
def ministack(ministack_url: str) -> Iterator[Resources]:
    """Return the template's tables, empty, in MiniStack: thread-safe, and faster than moto."""
    with (
        changed_environment({"AWS_ENDPOINT_URL": ministack_url}),
        running_engine("aws-endpoint", DATA),
        closing(Resources(Template.loaded(TEMPLATE, {}))) as resources,
    ):
        resources.create()
        resources.recreate()
        yield resources


@pytest.fixture(scope="session")
def running_stack() -> Iterator[DevStack]:
    with DevStack.start(engine="moto") as stack:
        yield stack


@pytest.fixture(scope="module")
def shared_stack(running_stack: DevStack) -> DevStack:
    """Return the stack, empty before the first test of a file; each test has its own account."""
    running_stack.reset()
    return running_stack


@pytest.fixture
def stack(running_stack: DevStack) -> DevStack:
    """Return the stack, empty, for tests that read whole tables and buckets."""
    running_stack.reset()
    return running_stack


@pytest.fixture
def api_keys(request: pytest.FixtureRequest, shared_stack: DevStack) -> ApiKeyRepository:
    if "stack" in request.fixturenames:
        request.getfixturevalue("stack")  # which empties the table, before keys are in it
    table = shared_stack.template.name("ApiKeysTable")
    return ApiKeyRepository(shared_stack.resources.dynamodb, table)


@pytest.fixture
def account() -> str:
    """Return the name of an account that no other test uses."""
    return f"acme-{secrets.token_hex(4)}"


@pytest.fixture
def owner(account: str) -> str:
    """Return the owner of the conversations that `client` creates."""
    return ids.owner_of(account, "")


@pytest.fixture
def issue_key(api_keys: ApiKeyRepository, account: str) -> IssueKey:
    def issue(
        account: str = account,
        *,
        scopes: frozenset[Scope] = SCOPES,
        may_delegate: bool = False,
        expires_at: int | None = None,
    ) -> str:
        return api_keys.create(
            account=account,
            name="test",
            scopes=scopes,
            may_delegate=may_delegate,
            expires_at=expires_at,
        )[0]

    return issue


@pytest.fixture
def base_url(shared_stack: DevStack) -> str:
    return f"{shared_stack.url}/api/v1/llm"


@pytest.fixture
def client(base_url: str, issue_key: IssueKey) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {issue_key()}"}
    with httpx.Client(base_url=base_url, headers=headers, timeout=60) as client:
        yield client


@pytest.fixture
def conversation(client: httpx.Client) -> str:
    """Return the path of a new, empty conversation."""
    return f"/conversations/{client.post('/conversations').json()['id']}"
