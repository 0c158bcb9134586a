"""Document of a dialect, generated from the routes that the API function declares."""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from conversations.contract import bodies
from conversations.http import routes
from conversations.http.dialects import DIALECTS, MKA1, OPENAI
from functions.api import app
from openapi import examples, parameters, responses
from openapi.discriminators import with_discriminators
from openapi.schemas import Json, contract_schemas, ref, response_schemas

if TYPE_CHECKING:
    from conversations.http.dialects import Dialect
    from conversations.http.routes import Route

FOLDER: Final = Path(app.__file__).parent / "openapi"
_ABOUT: Final = (
    "Stores conversations and their items. Items keep the order in which they were appended."
    " Every GET route also accepts HEAD. Requests and responses may be compressed with gzip or"
    " deflate. The body of every error response is an `ErrorEnvelope`. Only the parameter `include`"
    " may be repeated."
)
_SUMMARIES: Final = {
    MKA1: "A Conversations API that works with the mka1 SDK.",
    OPENAI: "A Conversations API that works with OpenAI's SDK.",
}
_RENDERING: Final = {
    MKA1: "Items are returned as they were sent.",
    OPENAI: (
        "Items are returned as they were sent, in OpenAI's form: missing fields that OpenAI's SDK"
        " requires are added, and forms that only the mka1 SDK has are converted."
    ),
}
_TAGS: Final = {
    "conversations": ("Conversations", "Conversations and their metadata."),
    "items": ("Items", "The items of a conversation, in order."),
    "openapi.json": ("Document", "The OpenAPI document."),
}
"""Names and descriptions, by the last literal segment of a path."""
_OPEN_ERRORS: Final = (
    "request_rejected",
    "request_too_large",
    "unsupported_content_encoding",
    "rate_limit_exceeded",
    "server_error",
)
_COMMON_ERRORS: Final = (
    *_OPEN_ERRORS,
    "invalid_value",
    "invalid_api_key",
    "insufficient_scope",
    "delegation_not_allowed",
    "overloaded",
)
_ID: Final = re.compile(r"\{(\w+)\}")


def write(dialect: Dialect) -> str:
    """Return the document as JSON, as it is committed."""
    return json.dumps(document(dialect), indent=1, ensure_ascii=False) + "\n"


def document(dialect: Dialect) -> Json:
    """Return the document of a dialect."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "lambda-conversations",
            "summary": _SUMMARIES[dialect],
            "description": f"{_ABOUT} {_RENDERING[dialect]}",
            "version": importlib.metadata.version("lambda-conversations"),
            "contact": {"name": "The operator of this deployment"},
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": f"{app.DOCUMENT_ROOT}{dialect.prefix}"}],
        "security": [{"ApiKey": []}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.values()],
        "paths": _paths(dialect),
        "components": _components(dialect),
    }


def _paths(dialect: Dialect) -> Json:
    paths: dict[str, Json] = defaultdict(dict)
    for route in app.api.routes:
        paths[route.path][route.method.lower()] = _operation(dialect, route)
    return paths


def _operation(dialect: Dialect, route: Route) -> Json:
    summary, _, description = (route.handler.__doc__ or "").partition("\n\n")
    written: Json = {
        "operationId": operation_ids(dialect)[route.handler.__name__],
        "tags": [_tag(route)],
        "summary": summary.removesuffix("."),
        "description": " ".join(description.split()),
    }
    if route.is_open:
        written["security"] = []
    in_path = [_parameter(found) for found in _ID.findall(route.path)]
    written["parameters"] = [*in_path, *parameters.parameters_of(route, dialect)]
    if route.body:
        written["requestBody"] = _body(route, route.body)
    done = responses.success(route.returns, examples.responses_by_schema(dialect)[route.returns])
    if route.links:
        done["links"] = {name: _link(dialect, name) for name in route.links}
    common = _OPEN_ERRORS if route.is_open else _COMMON_ERRORS
    failed = responses.error_responses([*route.own_errors, *common])
    written["responses"] = {"200": done, **failed}
    return written


def operation_ids(dialect: Dialect) -> dict[str, str]:
    """Return the ids of all operations in a dialect's document, by the handlers' names."""
    index = DIALECTS.index(dialect)
    return {route.handler.__name__: route.operation_ids[index] for route in app.api.routes}


def _tag(route: Route) -> str:
    [*_, part] = (part for part in route.path.split("/") if not part.startswith("{"))
    return _TAGS[part][0]


def _link(dialect: Dialect, name: str) -> Json:
    """Return the link to an operation on the last item of a response."""
    return {
        "operationId": operation_ids(dialect)[name],
        "parameters": {
            "conversation_id": "$request.path.conversation_id",
            "item_id": "$response.body#/last_id",
        },
    }


def _parameter(name: str) -> Json:
    return {"$ref": f"#/components/parameters/{name}"}


def _body(route: Route, schema: str) -> Json:
    named = examples.BODIES[route.handler.__name__]
    shown = {key: {"value": value} for key, value in named.items()}
    return {
        "required": bool(getattr(bodies, schema).__required_keys__),
        "content": {"application/json": {"schema": ref(schema), "examples": shown}},
    }


def _components(dialect: Dialect) -> Json:
    contract = contract_schemas()
    [values, _] = contract["AppendItems"]["properties"]["include"]["anyOf"]
    values["items"] = parameters.included(dialect)
    done = responses.success_schemas(routes.MAX_PAGE_CONVERSATIONS, routes.MAX_PAGE_ITEMS)
    schemas = {**contract, **response_schemas(contract), **done}
    return {
        "securitySchemes": {
            "ApiKey": {
                "type": "http",
                "scheme": "bearer",
                "description": "Send `Authorization: Bearer <key>`.",
            }
        },
        "parameters": parameters.PATH,
        "headers": responses.HEADERS,
        "examples": responses.error_examples(),
        "schemas": with_discriminators(dict(sorted(schemas.items())), schemas),
    }
