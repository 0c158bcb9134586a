"""Fixtures of one stack, which is deployed once for all tests that do not change it."""

from __future__ import annotations

import functools
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.cloud import Cloud, copy_sources, running_cloud
from tests.e2e.stacks import Stack, build, deploy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RUNNING = pytest.StashKey[Cloud]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Show the cloud's own log with a test that failed."""
    report = yield
    if report.failed and RUNNING in item.config.stash:
        report.sections.append(("cloud", item.config.stash[RUNNING].log()))
    return report


@pytest.fixture(scope="session")
def cloud(pytestconfig: pytest.Config) -> Iterator[Cloud]:
    # Not pytest's folders, which stay: MiniStack unpacks the layer for each worker.
    with TemporaryDirectory() as folder, running_cloud(Path(folder)) as cloud:
        pytestconfig.stash[RUNNING] = cloud
        yield cloud
        del pytestconfig.stash[RUNNING]


@pytest.fixture(scope="session")
def checkout(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy and build the project."""
    folder = copy_sources(tmp_path_factory.mktemp("checkout"))
    build(cloud, folder)
    return folder


@pytest.fixture(scope="session")
def stack(cloud: Cloud, checkout: Path) -> Stack:
    return deploy(cloud, checkout, "e2e", "dev")


@pytest.fixture(scope="session")
def key_with(stack: Stack) -> Callable[..., str]:
    """Create an API key with these options of the command line, once for all tests."""
    return functools.cache(stack.new_key)


@pytest.fixture(scope="session")
def key(key_with: Callable[..., str]) -> str:
    """Return an API key with all scopes and without delegation."""
    return key_with()
