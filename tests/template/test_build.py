"""Artifacts of `sam build`, run as in Lambda, without other packages."""

import functools
import importlib.metadata
import json
import re
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, get_args

import httpx
import pytest

from conversations.contract.items import Item
from local.intrinsics import mapping
from local.template import Template
from tests.support.paths import ROOT
from tests.support.runtime_api import FunctionError, RuntimeApi, serve_runtime_api

pytestmark = [
    pytest.mark.prove,
    pytest.mark.xdist_group("build"),  # its fixture takes long
]

FUNCTIONS = Template(parameters={"CorsOrigins": "https://app.example.com"}).functions
LAMBDA_RUNTIME = ("awslambdaric",)
"""Packages beside the artifacts: the runtime client. Lambda's own boto3 is not used."""
MACHINES = {"aarch64": 0xB7, "x86_64": 0x3E}  # e_machine of an ELF header
MAX_LAYER_BYTES = 30_000_000
UNCHECKED_HASH = 0b01  # the flags of PEP 552


@pytest.fixture(scope="module")
def artefacts(spaced_copy: Path) -> Path:
    """Build the functions and the layer; return the folder with one folder for each."""
    sam = ROOT / ".tools/sam/bin/sam"
    subprocess.run([sam, "build"], cwd=spaced_copy, check=True)  # noqa: S603 - ours
    return spaced_copy / ".aws-sam" / "build"


@pytest.fixture(scope="module")
def lambda_runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the packages of Lambda's runtime, and their dependencies."""
    folder = tmp_path_factory.mktemp("runtime")
    wanted = [*LAMBDA_RUNTIME]
    for name in wanted:
        distribution = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or ()} - {".."}:
            (folder / top).symlink_to(Path(str(distribution.locate_file(top))))
        needed = (re.split(r"[^\w.-]", need)[0] for need in plain_requirements(distribution))
        wanted += [need for need in needed if need not in wanted]
    return folder


def plain_requirements(distribution: importlib.metadata.Distribution) -> Iterator[str]:
    return (need for need in distribution.requires or () if "extra ==" not in need)


@contextmanager
def running(function: str, artefacts: Path, lambda_runtime: Path) -> Iterator[RuntimeApi]:
    """Run a built function in a process that can import only its artefact, layer and runtime."""
    path = [artefacts / function, artefacts / "ConversationsLayer/python", lambda_runtime]
    with serve_runtime_api() as api:
        environment = {
            **FUNCTIONS[function].environment,
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "AWS_LAMBDA_FUNCTION_NAME": function,
            "AWS_DEFAULT_REGION": "us-east-1",
            "PYTHONPATH": ":".join(map(str, path)),
        }
        process = subprocess.Popen(  # noqa: S603 - our own artefact
            [sys.executable, "-S", "-m", "awslambdaric", FUNCTIONS[function].handler],
            cwd=artefacts / function,
            env=environment,
        )
        try:
            yield api
        finally:
            process.kill()
            process.wait()


def event(name: str, **changes: object) -> Mapping[str, object]:
    text = (ROOT / "events" / f"{name}.json").read_text(encoding="utf-8")
    return {**json.loads(text), **changes}


def test_built_api_responds(artefacts: Path, lambda_runtime: Path) -> None:
    with running("ApiFunction", artefacts, lambda_runtime) as api:
        response = api.invoke(event("api", body='{"items": ['))

    assert response["statusCode"] == 400
    assert response["isBase64Encoded"] is False
    assert mapping(json.loads(str(response["body"]))["error"])["code"] == "invalid_json"


def test_built_authorizer_rejects(artefacts: Path, lambda_runtime: Path) -> None:
    with (
        running("AuthorizerFunction", artefacts, lambda_runtime) as api,
        pytest.raises(FunctionError, match='"errorMessage": "Unauthorized"'),
    ):
        api.invoke(event("authorizer", authorizationToken="Bearer lck_misspelt"))


def test_built_preflight_lets_a_page_call(artefacts: Path, lambda_runtime: Path) -> None:
    with running("PreflightFunction", artefacts, lambda_runtime) as api:
        response = api.invoke(event("preflight"))

    assert response["headers"] == {
        "x-request-id": "0f4a7f0e-6d0b-4d5b-9d5c-3d9f6b2f7c11",
        "Vary": "Origin",
        "Access-Control-Allow-Origin": "https://app.example.com",
        "Access-Control-Allow-Methods": "GET, HEAD, POST, DELETE",
        "Access-Control-Allow-Headers": "Authorization, *",
        "Access-Control-Max-Age": "7200",
    }


def test_built_purge_rejects_what_is_no_stream(artefacts: Path, lambda_runtime: Path) -> None:
    with (
        running("PurgeFunction", artefacts, lambda_runtime) as api,
        pytest.raises(FunctionError, match="UnexpectedBatchTypeError"),
    ):
        api.invoke({"Records": []})


MADE_AT_INIT = {
    "ApiFunction": {"dynamodb_client"},
    "AuthorizerFunction": {"api_keys"},
    "PurgeFunction": {"dynamodb_client", "payload_store"},
}
MADE_FOR_A_SNAPSHOT = {"ApiFunction": {"s3_client", "_create_type"}}
ITEM_TYPES = len(get_args(Item))
NOT_IMPORTED = {
    "aws_lambda_powertools.event_handler.appsync",
    "aws_lambda_powertools.utilities.data_classes.connect_contact_flow_event",
    "botocore.docs.method",
}
"""Modules that the untrimmed packages import, and no function needs."""


class Loaded(NamedTuple):
    """Return what a function made while Lambda loaded it."""

    made: set[str]
    item_types: int
    hooks: list[str] | None
    modules: set[str]


@pytest.fixture(scope="module")
def load(artefacts: Path, lambda_runtime: Path) -> Callable[[str, str], Loaded]:
    """Import a built function as Lambda does, once for all tests."""
    return functools.cache(lambda function, kind: loaded(function, kind, artefacts, lambda_runtime))


def loaded(
    function: str, initialization_type: str, artefacts: Path, lambda_runtime: Path
) -> Loaded:
    path = [artefacts / function, artefacts / "ConversationsLayer/python", lambda_runtime]
    done = subprocess.run(  # noqa: S603 - our own artefact
        [sys.executable, "-S", ROOT / "tests/support/loaded_function.py"],
        env={
            **FUNCTIONS[function].environment,
            "AWS_LAMBDA_INITIALIZATION_TYPE": initialization_type,
            "AWS_DEFAULT_REGION": "us-east-1",
            "PYTHONPATH": ":".join(map(str, path)),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    made, item_types, hooks, modules = json.loads(done.stdout)
    return Loaded({*made}, item_types, hooks, {*modules})


@pytest.mark.parametrize("function", MADE_AT_INIT)
def test_a_built_function_makes_its_clients_while_lambda_loads_it(
    function: str, load: Callable[[str, str], Loaded]
) -> None:
    found = load(function, "on-demand")

    assert MADE_AT_INIT[function] <= found.made
    assert not MADE_FOR_A_SNAPSHOT.get(function, set()) & found.made
    assert found.item_types == 0
    assert found.hooks is None


@pytest.mark.prove
@pytest.mark.parametrize("function", MADE_AT_INIT)
def test_a_snapshot_has_all_that_a_request_may_need(
    function: str, load: Callable[[str, str], Loaded]
) -> None:
    found = load(function, "snap-start")

    assert MADE_AT_INIT[function] | MADE_FOR_A_SNAPSHOT.get(function, set()) <= found.made
    assert found.item_types == (ITEM_TYPES if function == "ApiFunction" else 0)
    assert found.hooks == ["seed"]


@pytest.mark.parametrize("function", MADE_AT_INIT)
def test_a_start_imports_nothing_of_what_was_trimmed(
    function: str, load: Callable[[str, str], Loaded]
) -> None:
    assert not NOT_IMPORTED & load(function, "on-demand").modules


@pytest.mark.parametrize("machine", MACHINES)
def test_layer_holds_the_library_of_each_processor(machine: str, artefacts: Path) -> None:
    [library] = artefacts.glob(f"ConversationsLayer/python/pydantic_core/*{machine}*.so")

    [e_machine] = struct.unpack_from("<H", library.read_bytes(), offset=18)

    assert e_machine == MACHINES[machine]


def test_layer_holds_no_other_library(artefacts: Path) -> None:
    assert len([*artefacts.rglob("*.so")]) == len(MACHINES)


def test_every_module_is_shipped_with_its_bytecode(artefacts: Path) -> None:
    modules = [*artefacts.rglob("*.py")]
    bytecode = {
        path: int.from_bytes(path.read_bytes()[4:8], "little") for path in artefacts.rglob("*.pyc")
    }

    compiled = {m.parent / "__pycache__" / f"{m.stem}.cpython-313.pyc" for m in modules}

    assert compiled == bytecode.keys()
    assert set(bytecode.values()) == {UNCHECKED_HASH}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_function_artefact_is_its_module(function: str, artefacts: Path) -> None:
    names = {path.name for path in (artefacts / function).iterdir()}

    assert names - {"openapi", "console", "reference"} == {"app.py", "__pycache__"}


def test_the_api_ships_its_documents(artefacts: Path) -> None:
    shipped = {path.name for path in (artefacts / "ApiFunction" / "openapi").iterdir()}

    assert shipped == {"mka1.json", "openai.json"}


def test_built_pages_function_sends_swagger_ui(artefacts: Path, lambda_runtime: Path) -> None:
    with running("PagesFunction", artefacts, lambda_runtime) as pages:
        response = pages.invoke(event("pages", resource="/v1/docs"))

    assert response["statusCode"] == 200
    assert "SwaggerUIBundle" in str(response["body"])
    assert not [*(artefacts / "ConversationsLayer").rglob("swagger-ui*")]


ENDPOINTS = {
    "us-east-1": ("dynamodb.us-east-1.amazonaws.com", "payloads.s3.amazonaws.com"),
    "eu-central-1": (
        "dynamodb.eu-central-1.amazonaws.com",
        "payloads.s3.eu-central-1.amazonaws.com",
    ),
    "cn-north-1": (
        "dynamodb.cn-north-1.amazonaws.com.cn",
        "payloads.s3.cn-north-1.amazonaws.com.cn",
    ),
    "us-gov-west-1": (
        "dynamodb.us-gov-west-1.amazonaws.com",
        "payloads.s3.us-gov-west-1.amazonaws.com",
    ),
}


@pytest.mark.parametrize("region", ENDPOINTS)
def test_each_client_of_the_layer_signs_a_request_in_each_partition(
    region: str, artefacts: Path
) -> None:
    sent = signed_requests(artefacts, region)

    hosts = tuple(httpx.URL(sent[service][0]).host for service in ("dynamodb", "s3"))
    assert hosts == ENDPOINTS[region]
    assert {signed_for for _, signed_for in sent.values()} == {region}


@pytest.mark.prove
@pytest.mark.parametrize(
    ("variable", "hosts"),
    [
        (
            "AWS_USE_FIPS_ENDPOINT",
            ("dynamodb-fips.us-east-1.amazonaws.com", "payloads.s3-fips.us-east-1.amazonaws.com"),
        ),
        (
            "AWS_USE_DUALSTACK_ENDPOINT",
            ("dynamodb.us-east-1.api.aws", "payloads.s3.dualstack.us-east-1.amazonaws.com"),
        ),
    ],
)
def test_other_endpoints_resolve_from_the_layer(
    variable: str, hosts: tuple[str, str], artefacts: Path
) -> None:
    sent = signed_requests(artefacts, "us-east-1", {variable: "true"})

    assert tuple(httpx.URL(sent[service][0]).host for service in ("dynamodb", "s3")) == hosts


def signed_requests(
    artefacts: Path, region: str, variables: Mapping[str, str] | None = None
) -> dict[str, tuple[str, str]]:
    """Return the URL of each client's request, and the region that it is signed for."""
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-S", ROOT / "tests" / "support" / "signed_requests.py"],
        env={
            "PYTHONPATH": str(artefacts / "ConversationsLayer/python"),
            "AWS_DEFAULT_REGION": region,
            "AWS_ACCESS_KEY_ID": "none",
            "AWS_SECRET_ACCESS_KEY": "none",
            **(variables or {}),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    sent: dict[str, tuple[str, str]] = json.loads(done.stdout)
    return sent


def test_layer_describes_only_the_services_that_are_used(artefacts: Path) -> None:
    data = artefacts / "ConversationsLayer/python/botocore/data"

    assert {path.name for path in data.iterdir() if path.is_dir()} == {"dynamodb", "s3"}
    partitions = json.loads((data / "endpoints.json").read_text(encoding="utf-8"))["partitions"]
    assert {"aws", "aws-cn", "aws-us-gov"} <= {each["partition"] for each in partitions}


def test_layer_keeps_the_licences(artefacts: Path) -> None:
    packages = artefacts / "ConversationsLayer/python"

    for folder in packages.glob("*.dist-info"):
        assert [*folder.rglob("LICEN[CS]E*")], folder.name


def test_layer_is_small(artefacts: Path) -> None:
    layer = artefacts / "ConversationsLayer"

    size = sum(path.stat().st_size for path in layer.rglob("*") if path.is_file())

    assert size < MAX_LAYER_BYTES


def test_layer_holds_the_versions_that_are_tested() -> None:
    tested = pins(ROOT / "requirements/dev.txt")
    shipped = pins(ROOT / "layers/conversations/requirements.txt")

    assert shipped.items() <= tested.items()


def pins(requirements: Path) -> dict[str, str]:
    lines = requirements.read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w.-]+)==(\S+)", lines, re.MULTILINE))
