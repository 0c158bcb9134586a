"""The Makefile, in a folder whose path has spaces, and without installed tools."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.paths import ROOT

TARGETS = re.findall(r"^([a-z0-9]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
NOWHERE = "http://127.0.0.1:9/simple"
PYTHON = shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin")


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run make in the folder, without the environment of the make that runs the tests."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(  # noqa: S603 - our own command
        ["make", "--no-print-directory", *arguments],  # noqa: S607 - wherever it is
        cwd=folder,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def error_line(ended: subprocess.CompletedProcess[str]) -> str:
    """Return the message of a failed target, which precedes make's own last line."""
    assert ended.returncode == 2
    assert ended.stdout == ""
    *said, last = ended.stderr.splitlines()
    assert last.startswith("make: *** ")
    [line] = [line for line in said if not line.startswith("Installing ")]
    return line


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """Copy the files that make reads into a folder without installed tools."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("tools", "requirements"):
        shutil.copytree(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def bare_with_uv(bare: Path) -> Path:
    (bare / ".tools").mkdir()
    (bare / ".tools" / "uv").symlink_to(ROOT / ".tools" / "uv")
    return bare


@pytest.mark.parametrize("target", TARGETS)
def test_no_target_names_the_folder_by_its_path(target: str, spaced_copy: Path) -> None:
    planned = make(spaced_copy, "--dry-run", "--always-make", target)

    assert planned.returncode == 0, planned.stderr
    assert "with spaces" not in planned.stdout


def test_packages_are_installed_in_a_folder_with_spaces(spaced_copy: Path) -> None:
    (spaced_copy / "tools" / "empty").mkdir()
    (spaced_copy / "tools" / "empty" / "requirements.txt").touch()

    installed = make(spaced_copy, ".tools/empty/.installed")

    assert (installed.returncode, installed.stdout) == (0, "")
    assert installed.stderr == "Installing empty in .tools/empty ...\n"
    assert (spaced_copy / ".tools" / "empty" / "bin" / "python").exists()


@pytest.mark.prove
def test_stack_runs_in_a_folder_with_spaces(spaced_copy: Path) -> None:
    with subprocess.Popen(
        ["make", "run", "PORT=0", "DATA=.local 2", "ARGS=--quiet"],  # noqa: S607 - wherever it is
        cwd=spaced_copy,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout
        url, key = (running.stdout.readline().partition(": ")[2].strip() for _ in range(2))
        headers = {"Authorization": f"Bearer {key}"}
        response = httpx.get(f"{url}/v1/conversations/conv_abc123", headers=headers)
        running.kill()  # the stack ends with the make that runs it
        running.communicate(timeout=20)

    assert response.status_code == 200
    assert (spaced_copy / ".local 2" / "ministack" / "state" / "dynamodb.json").exists()


@pytest.mark.parametrize(
    ("shell", "sentence"),
    [
        ({}, "error: There is no AWS region: set AWS_DEFAULT_REGION, or "),
        ({"AWS_DEFAULT_REGION": "eu-central-1"}, "error: There are no AWS credentials: log in, "),
        ({"AWS_PROFILE": "no-such"}, "error: AWS cannot be called: The config profile (no-such) "),
        (
            {
                "AWS_DEFAULT_REGION": "eu-central-1",
                "AWS_ACCESS_KEY_ID": "x",
                "AWS_SECRET_ACCESS_KEY": "x",
                "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
            },
            "error: AWS cannot be called: Could not connect to the endpoint URL",
        ),
    ],
)
def test_a_deployment_is_not_built_where_aws_cannot_be_called(
    shell: dict[str, str], sentence: str, spaced_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    nowhere = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(spaced_copy)}

    assert error_line(make(spaced_copy, "deploy", **nowhere, **shell)).startswith(sentence)


def test_a_deployment_takes_the_region_of_its_options(
    spaced_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    nowhere = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(spaced_copy)}

    failure = error_line(make(spaced_copy, "deploy", "ARGS=--region eu-west-1", **nowhere))

    assert failure.startswith("error: There are no AWS credentials")


def test_a_deployment_tags_the_stack_with_its_commit(bare: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=x", "-c", "user.email=x@example.com")
        command = ["git", *identity, *arguments]
        return subprocess.check_output(command, cwd=bare, text=True).strip()  # noqa: S603 - as above

    def tags() -> str:
        planned = make(bare, "--dry-run", "deploy", "TAGS=team=x").stdout
        [command] = [line for line in planned.splitlines() if "sam deploy " in line]
        return command.partition("--tags ")[2].rstrip()

    without_git = tags()
    git("init", "--quiet")
    git("add", "Makefile")
    git("commit", "--quiet", "--message", "x")
    committed = tags()
    (bare / "Makefile").write_text((bare / "Makefile").read_text() + "\n")

    commit = git("rev-parse", "--short=12", "HEAD")
    assert without_git == "commit=unknown team=x"
    assert committed == f"commit={commit} team=x"
    assert tags() == f"commit={commit}-dirty team=x"


def test_folders_of_data_are_not_committed() -> None:
    assert ".local*/" in (ROOT / ".gitignore").read_text().splitlines()


def test_without_pip_one_sentence_says_so(bare: Path) -> None:
    python3 = bare / "bin" / "python3"
    python3.parent.mkdir()
    python3.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')  # without site-packages
    python3.chmod(0o700)
    path = f"{python3.parent}:{os.environ['PATH']}"

    line = error_line(make(bare, "install", PATH=path, UV_PYTHON=sys.executable))

    assert line.startswith("error: python3 with pip is needed")


@pytest.mark.skipif(PYTHON is None, reason="the system has no python3")
def test_without_a_network_one_sentence_says_so(bare: Path) -> None:
    nowhere = {"PIP_INDEX_URL": NOWHERE, "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}
    path = f"{Path(str(PYTHON)).parent}:{os.environ['PATH']}"

    line = error_line(make(bare, "install", PATH=path, UV_PYTHON=sys.executable, **nowhere))

    assert "could not be installed: is there a network?" in line or "pip is needed" in line


def test_packages_that_cannot_be_had_are_one_sentence(bare_with_uv: Path) -> None:
    (bare_with_uv / "tools" / "nothing").mkdir()
    (bare_with_uv / "tools" / "nothing" / "requirements.txt").write_text("no-such-package==1\n")
    nowhere = {"UV_DEFAULT_INDEX": NOWHERE, "UV_HTTP_RETRIES": "0"}

    line = error_line(make(bare_with_uv, ".tools/nothing/.installed", **nowhere))

    assert line.startswith("error: nothing in .tools/nothing could not be installed")
    assert "no-such-package" in (bare_with_uv / ".tools" / "install.log").read_text()


def test_without_python_3_13_one_sentence_says_so(bare_with_uv: Path) -> None:
    line = error_line(make(bare_with_uv, "install", UV_PYTHON=str(bare_with_uv / "python3.13")))

    assert line.startswith("error: Python 3.13 is needed")
