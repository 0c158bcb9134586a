import os
import sys
from pathlib import Path

import boto3
import pytest

from local import engines
from local.engines import running_engine
from local.errors import EngineError
from local.resources import Resources
from local.template import Template

APP = Path(__file__).parent / "app" / "template.yaml"


def test_ministack_that_is_not_installed_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "MINISTACK", tmp_path / "nothing")

    with (
        pytest.raises(EngineError, match="`make run` installs it"),
        running_engine("ministack", tmp_path),
    ):
        pass


def test_ministack_that_does_not_start_names_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "MINISTACK", Path(sys.executable))  # has no MiniStack

    with pytest.raises(EngineError, match=r"ministack\.log"), running_engine("ministack", tmp_path):
        pass

    assert "No module named 'ministack'" in (tmp_path / "ministack/ministack.log").read_text()


def test_functions_see_nothing_of_the_developers_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "real")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "real")

    with running_engine("moto", tmp_path):
        inside = {name: os.environ.get(name) for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN")}
        secret = os.environ["AWS_SECRET_ACCESS_KEY"]

    assert inside == {"AWS_PROFILE": None, "AWS_SESSION_TOKEN": None}
    assert secret != "real"  # noqa: S105 - no secret
    assert os.environ["AWS_PROFILE"] == "production"
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == "real"  # noqa: S105 - no secret


def test_endpoint_of_the_environment_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    with running_engine("aws-endpoint", tmp_path) as engine:
        client = boto3.client("dynamodb")

    assert client.meta.endpoint_url == "http://127.0.0.1:9"
    assert not engine.has_exited()


def test_resources_are_those_of_the_template(tmp_path: Path) -> None:
    template = Template()
    name = template.name("ConversationsTable")
    with running_engine("moto", tmp_path) as engine, engine.lock:
        resources = Resources(template)
        resources.create()
        resources.create()

        table = resources.dynamodb.describe_table(TableName=name)["Table"]
        ttl = resources.dynamodb.describe_time_to_live(TableName=name)
        resources.close()

    indexes = {index["IndexName"] for index in table["GlobalSecondaryIndexes"]}
    assert indexes == {"by-owner", "by-account"}
    assert table["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"
    assert ttl["TimeToLiveDescription"]["AttributeName"] == "expires_at"


def test_table_of_another_template_is_rejected(tmp_path: Path) -> None:
    changed = tmp_path / "template.yaml"
    changed.write_text(APP.read_text().replace("AttributeName: id", "AttributeName: other"))
    with running_engine("moto", tmp_path) as engine, engine.lock:
        Resources(Template(APP)).create()

        with pytest.raises(EngineError, match="NotesTable has other keys than the template"):
            Resources(Template(changed)).create()
