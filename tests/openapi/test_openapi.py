"""OpenAPI documents: current, valid, and in agreement with the service."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import httpx
import jsonschema_rs
import meetkai_mka1
import pytest
from openapi_spec_validator import validate

from conversations.contract.bodies import parse_append
from conversations.errors import ERRORS, InvalidRequestError
from conversations.http.dialects import DIALECTS, MKA1, Dialect
from conversations.http.rendering import conversation_json
from conversations.model import Conversation
from functions.api import app as api
from local.template import Template
from openapi.discriminators import type_of
from openapi.document import FOLDER, write
from tests.support.contract_cases import EXAMPLES, INVALID, with_type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from local.stack import DevStack

type Json = dict[str, Any]

DOCUMENTS: dict[str, Json] = {
    dialect.prefix: json.loads((FOLDER / f"{dialect.name}.json").read_text(encoding="utf-8"))
    for dialect in DIALECTS
}
METHODS = ("get", "post", "delete")
UNSAYABLE = {
    "009-lone-surrogate.body",
    "010-infinity.body",
    "011-deep-nesting.body",
    "011-deep-unknown.body",
    "032-dup-ids.json",
    "081-fs-score-huge.json",
    "087-cu-whole-float.json",
    "157-dup-ids-other-types.json",
}
"""Bodies rejected by rules that a schema cannot express: numbers, depth, equal ids."""
PAGE = {"object": "list", "first_id": "a", "last_id": "a", "has_more": False}


@pytest.fixture(params=DIALECTS, ids=lambda dialect: dialect.prefix)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    found: Dialect = request.param
    return found


@pytest.fixture
def document(dialect: Dialect) -> Json:
    return DOCUMENTS[dialect.prefix]


def test_a_conversation_is_described_field_by_field(document: Json) -> None:
    made = Conversation.new("conv_a", "b" * 64, "acme", 1_000, {})

    shown = json.loads(conversation_json(made))

    described = document["components"]["schemas"]["Conversation"]
    assert described["properties"].keys() == shown.keys(), "Run `make openapi`."
    assert {*described["required"]} == shown.keys()
    assert validator(described, document).is_valid(shown)


def operations(document: Json) -> Iterator[Json]:
    for path in document["paths"].values():
        yield from (path[method] for method in METHODS if method in path)


def validator(schema: Json, document: Json) -> jsonschema_rs.Draft202012Validator:
    """Return the validator of a schema with references into the document."""
    components = {"components": {"schemas": document["components"]["schemas"]}}
    return jsonschema_rs.Draft202012Validator({**schema, **components})


@cache
def named(schema: str) -> jsonschema_rs.Draft202012Validator:
    """Return the validator of a named schema of both documents."""
    return validator({"$ref": f"#/components/schemas/{schema}"}, DOCUMENTS[MKA1.prefix])


def sent(event: Json) -> Json:
    """Return the document that the handler returns for an event."""
    response = api.lambda_handler(event, cast("LambdaContext", None))
    found: Json = json.loads(response["body"])
    return found


def media(document: Json) -> Iterator[tuple[Json, Json]]:
    """Return the schemas of all bodies and responses, each with its examples."""
    for operation in operations(document):
        bodies = [*operation["responses"].values()]
        bodies += [operation["requestBody"]] if "requestBody" in operation else []
        for body in bodies:
            found = body["content"]["application/json"]
            yield found["schema"], found.get("examples", {})


def test_it_is_fresh(dialect: Dialect) -> None:
    committed = (FOLDER / f"{dialect.name}.json").read_text(encoding="utf-8")

    assert committed == write(dialect), "run `make openapi`"


def test_it_is_valid(document: Json) -> None:
    validate(document)


def test_template_document_and_handler_have_the_same_routes(
    dialect: Dialect, document: Json
) -> None:
    documented = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
    }
    routed = {
        (route.method, route.path.removeprefix(dialect.prefix))
        for route in Template().api.routes
        if route.function == "ApiFunction"
        and route.path.startswith(f"{dialect.prefix}/")
        and route.method != "HEAD"
    }

    assert documented == routed == {(route.method, route.path) for route in api.api.routes}


def test_no_route_stands_outside_the_documents() -> None:
    prefixes = tuple(f"{dialect.prefix}/" for dialect in DIALECTS)

    assert all(
        route.path.startswith(prefixes)
        for route in Template().api.routes
        if route.function == "ApiFunction"
    )


def test_it_is_sent_to_whoever_asks(dialect: Dialect, shared_stack: DevStack) -> None:
    response = httpx.get(f"{shared_stack.url}{dialect.prefix}/openapi.json")

    assert response.status_code == 200
    committed = (FOLDER / f"{dialect.name}.json").read_text(encoding="utf-8")
    assert response.text == committed.replace(api.DOCUMENT_ROOT, shared_stack.url)
    assert response.headers["x-request-id"]


@pytest.mark.parametrize(
    ("host", "base_path", "protocol", "root"),
    [
        pytest.param(
            "a1b2.execute-api.eu-west-1.amazonaws.com",
            "",
            {"X-Forwarded-Proto": "https"},
            "https://a1b2.execute-api.eu-west-1.amazonaws.com/live",
            id="stage",
        ),
        pytest.param(
            "api.test", "", {"X-Forwarded-Proto": "https"}, "https://api.test", id="domain"
        ),
        pytest.param(
            "api.test",
            "/chat",
            {"X-Forwarded-Proto": "https"},
            "https://api.test/chat",
            id="base path",
        ),
        pytest.param(
            "[::1]:8000", "", {"X-Forwarded-Proto": "http"}, "http://[::1]:8000", id="local"
        ),
        pytest.param("api.test", "", {}, "https://api.test", id="no protocol"),
    ],
)
@pytest.mark.usefixtures("stack")  # which has the function's environment
def test_its_server_is_where_it_was_requested(
    host: str, base_path: str, protocol: Json, root: str, dialect: Dialect
) -> None:
    path = f"{dialect.prefix}/openapi.json"
    context = {"stage": "live", "requestId": "r", "domainName": host}
    event = {
        "resource": path,
        "path": base_path + path,
        "httpMethod": "GET",
        "headers": {"Host": host, **protocol},
        "multiValueHeaders": {},
        "pathParameters": None,
        "requestContext": context,
        "body": None,
    }

    [server] = sent(event)["servers"]

    assert server["url"] == f"{root}{dialect.prefix}"


@pytest.mark.parametrize("host", ['evil"}]', "evil\\", "é.test"])
def test_no_host_breaks_the_document(host: str, dialect: Dialect, shared_stack: DevStack) -> None:
    url = f"{shared_stack.url}{dialect.prefix}/openapi.json"

    response = httpx.get(url, headers={b"Host": host.encode("latin-1")})

    assert response.json()["servers"] == [{"url": f"http://{host}{dialect.prefix}"}]


def test_it_names_one_spelling_of_include(dialect: Dialect, document: Json) -> None:
    names = {
        parameter["name"]
        for operation in operations(document)
        for parameter in operation["parameters"]
        if parameter.get("name", "").startswith("include")
    }

    assert names == {dialect.include}


def test_it_has_no_boolean_schemas(document: Json) -> None:
    schemas = document["components"]["schemas"].values()

    assert not [
        name
        for schema in schemas
        for name, value in schema.get("properties", {}).items()
        if isinstance(value, bool)
    ]


def test_the_type_of_a_responseed_item_names_its_schema(document: Json) -> None:
    schemas = document["components"]["schemas"]
    union = schemas["ReturnedItem"]
    mapping = union["discriminator"]["mapping"]

    assert sorted(mapping.values()) == sorted(member["$ref"] for member in union["oneOf"])
    assert mapping.keys() == {item["type"] for item in map(with_type, (i for _, i in EXAMPLES))}
    for kind, target in mapping.items():
        schema = schemas[target.rpartition("/")[2]]
        assert schema["properties"]["type"]["const"] == kind
        assert "type" in schema["required"]


def test_a_union_whose_members_may_lack_their_type_has_no_discriminator(document: Json) -> None:
    schemas = document["components"]["schemas"]

    assert "discriminator" not in schemas["Item"]
    assert "discriminator" in schemas["WebSearchCall"]["properties"]["action"]


def test_every_error_is_of_one_schema_and_names_its_codes(document: Json) -> None:
    for operation in operations(document):
        for status, response in operation["responses"].items():
            if status != "200":
                content = response["content"]["application/json"]
                assert content["schema"] == {"$ref": "#/components/schemas/ErrorEnvelope"}
                assert re.findall(r"`(\w+)`", response["description"]) == [*content["examples"]]


def test_every_operation_is_described(document: Json) -> None:
    assert document["info"]["contact"]["name"]
    for operation in operations(document):
        assert operation["summary"]
        assert operation["description"]


def test_operations_are_named_as_in_the_mka1_sdk() -> None:
    source = Path(meetkai_mka1.__file__).with_name("conversations.py").read_text(encoding="utf-8")
    ours = {operation["operationId"] for operation in operations(DOCUMENTS[MKA1.prefix])}

    assert ours - {"openapi.retrieve"} == set(re.findall(r'operation_id="([\w.]+)"', source))


def test_its_items_are_those_of_the_contract() -> None:
    for example, item in EXAMPLES:
        shown = with_type(item) | {"id": item.get("id") or "msg_1"}

        assert named("AppendItems").is_valid({"items": [item]}), example
        assert named("ItemPage").is_valid({**PAGE, "data": [shown]}), example


def test_it_takes_null_where_the_contract_does() -> None:
    for _, item in EXAMPLES:
        assert_null_is_taken_where_the_contract_does(item)


def assert_null_is_taken_where_the_contract_does(item: Json) -> None:
    schemas = DOCUMENTS[MKA1.prefix]["components"]["schemas"]
    kind = with_type(item)["type"]
    kinds = [schema for schema in schemas.values() if type_of(schema) == kind]
    names = {name for schema in kinds for name in schema["properties"]} - {"id", "type"}

    for name in names - item.keys():
        nulled = {**item, name: None}
        is_taken = takes(nulled)
        shown = with_type(nulled) | {"id": item.get("id") or "msg_1"}
        assert named("AppendItems").is_valid({"items": [nulled]}) == is_taken, (kind, name)
        assert named("ItemPage").is_valid({**PAGE, "data": [shown]}) == is_taken, (kind, name)


def takes(item: Json) -> bool:
    try:
        parse_append(json.dumps({"items": [item]}))
    except InvalidRequestError:
        return False
    return True


def test_it_rejects_what_the_contract_rejects() -> None:
    for name, body, _ in INVALID:
        try:
            value = json.loads(body)
        except ValueError:
            continue

        assert named("AppendItems").is_valid(value) == (name in UNSAYABLE), name


def test_its_example_of_an_append_is_what_happens(
    dialect: Dialect,
    document: Json,
    shared_stack: DevStack,
    client: httpx.Client,
    conversation: str,
) -> None:
    operation = document["paths"]["/conversations/{conversation_id}/items"]["post"]
    body = operation["requestBody"]["content"]["application/json"]["examples"]["message"]
    page = operation["responses"]["200"]["content"]["application/json"]["examples"]["page"]

    response = client.post(
        f"{shared_stack.url}{dialect.prefix}{conversation}/items", json=body["value"]
    )

    documented = json.dumps(page["value"])
    item_id = response.json()["last_id"]
    assert response.json() == json.loads(documented.replace(page["value"]["last_id"], item_id))


def test_its_examples_are_of_their_schemas(document: Json) -> None:
    shared = document["components"]["examples"]
    tried = 0
    for schema, examples in media(document):
        for example in examples.values():
            found = shared[example["$ref"].rpartition("/")[2]] if "$ref" in example else example
            assert validator(schema, document).is_valid(found["value"]), found
            tried += 1

    assert tried > len(ERRORS)


def test_it_has_every_error_under_its_statuses(document: Json) -> None:
    documented = {
        (int(status), code)
        for operation in operations(document)
        for status, response in operation["responses"].items()
        if status != "200"
        for code in response["content"]["application/json"]["examples"]
    }

    assert documented == {
        (status, code) for code, kind in ERRORS.items() for status in kind.statuses
    }


def test_a_error_has_the_headers_of_its_errors(document: Json) -> None:
    for operation in operations(document):
        for status, response in operation["responses"].items():
            codes = response["content"]["application/json"]["examples"] if status != "200" else ()
            headers = {name for code in codes for name in ERRORS[code].headers}
            assert response["headers"].keys() == headers | {"x-request-id"}


def test_its_parts_are_all_used(document: Json) -> None:
    text = json.dumps(document)

    for kind, parts in document["components"].items():
        if kind != "securitySchemes":
            for name in parts:
                assert f'"#/components/{kind}/{name}"' in text
