"""A face's document: its routes as the template has them, each with the handler's function."""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from functions.api import app as api
from local.template import Template
from openapi import examples, parameters, responses
from openapi.discriminators import with_discriminators
from openapi.operations import OPERATIONS, TAGS, Operation
from openapi.schemas import Json, answered_schemas, contract_schemas, ref

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from openapi.dialects import Face

FOLDER: Final = Path(api.__file__).parent / "openapi"
_ABOUT: Final = (
    "Store conversations and their items, and read them in the order they were appended. Every GET"
    " operation also answers HEAD. Responses are compressed for clients that accept gzip or"
    " deflate, and request bodies may be compressed too. All errors share one envelope,"
    " `ErrorEnvelope`. Every parameter but `include` may be given only once."
)
_NAME: Final = re.compile(r"\{(\w+)\}")


def write(face: Face) -> str:
    """The document as it is committed."""
    return json.dumps(document(face), indent=1, ensure_ascii=False) + "\n"


def document(face: Face) -> Json:
    """The document of a face."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "lambda-conversations",
            "summary": face.summary,
            "description": f"{_ABOUT} {face.manner}",
            "version": importlib.metadata.version("lambda-conversations"),
            "contact": {"name": "The operator of this deployment"},
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": f"{api.DOCUMENT_ROOT}{face.prefix}"}],
        "security": [{"ApiKey": []}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": _paths(face),
        "components": _components(face),
    }


def handlers() -> dict[tuple[str, str], Callable[..., object]]:
    """The handler's functions, by method and path without a prefix."""
    resolver = api.app
    routes = [*resolver._static_routes, *resolver._dynamic_routes]  # noqa: SLF001 - no other way to them
    return {
        (route.method, re.sub(r"<(\w+)>", r"{\1}", str(route.path))): route.func for route in routes
    }


def _paths(face: Face) -> Json:
    paths: dict[str, Json] = defaultdict(dict)
    known = handlers()
    for method, path in _routes(face):
        function = known[method, path]
        paths[path][method.lower()] = _operation(face, path, function)
    return paths


def _routes(face: Face) -> Iterator[tuple[str, str]]:
    """Return methods and paths of the API; HEAD goes without saying wherever there is GET."""
    for route in Template().api.routes:
        if (
            route.function == "ApiFunction"
            and route.path.startswith(f"{face.prefix}/")
            and route.method != "HEAD"
        ):
            yield route.method, route.path.removeprefix(face.prefix)


def _operation(face: Face, path: str, function: Callable[..., object]) -> Json:
    name = function.__name__
    operation = OPERATIONS[name]
    summary, _, description = (function.__doc__ or "").partition("\n\n")
    written: Json = {
        "operationId": face.operation_ids[name],
        "tags": [operation.tag],
        "summary": summary,
        "description": " ".join(description.split()),
    }
    if operation.is_open:
        written["security"] = []
    in_path = [_parameter(found) for found in _NAME.findall(path)]
    written["parameters"] = [*in_path, *operation.all_parameters(face)]
    if operation.body:
        written["requestBody"] = _body(name, operation, operation.body)
    done = responses.success(operation.answer, examples.answers(face)[operation.answer])
    if operation.leads_to:
        done["links"] = {next_: _link(face, next_) for next_ in operation.leads_to}
    written["responses"] = {"200": done, **responses.refusals(operation.refusals())}
    return written


def _link(face: Face, name: str) -> Json:
    """To an operation on the last item of an answer."""
    return {
        "operationId": face.operation_ids[name],
        "parameters": {
            "conversation_id": "$request.path.conversation_id",
            "item_id": "$response.body#/last_id",
        },
    }


def _parameter(name: str) -> Json:
    return {"$ref": f"#/components/parameters/{name}"}


def _body(name: str, operation: Operation, schema: str) -> Json:
    shown = {key: {"value": value} for key, value in examples.BODIES[name].items()}
    return {
        "required": operation.is_body_required,
        "content": {"application/json": {"schema": ref(schema), "examples": shown}},
    }


def _components(face: Face) -> Json:
    contract = contract_schemas()
    [values, _] = contract["Batch"]["properties"]["include"]["anyOf"]
    values["items"] = parameters.included(face)
    done = responses.answer_schemas(api.MAX_PAGE_CONVERSATIONS, api.MAX_PAGE_ITEMS)
    schemas = {**contract, **answered_schemas(contract), **done}
    return {
        "securitySchemes": {
            "ApiKey": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer`"}
        },
        "parameters": parameters.PATH,
        "headers": responses.HEADERS,
        "examples": responses.error_examples(),
        "schemas": with_discriminators(dict(sorted(schemas.items())), schemas),
    }
