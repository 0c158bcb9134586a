"""Parts of `template.yaml` that the local stack uses: routes, functions, tables, buckets."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Self

from local.errors import TemplateError
from local.intrinsics import (
    STACK_NAME,
    Intrinsics,
    Json,
    JsonObject,
    as_text,
    items,
    mapping,
    merged,
    read_document,
    section,
)

TEMPLATE: Final = Path(__file__).parents[1] / "template.yaml"
_LAMBDA_DEFAULTS: Final[JsonObject] = {"Timeout": 3, "MemorySize": 128}


@dataclass(frozen=True, slots=True)
class Route:
    """Method of a resource, such as `POST /conversations/{conversation_id}`."""

    method: str
    path: str
    function: str
    authorizer: str | None


@dataclass(frozen=True, slots=True)
class Authorizer:
    """TOKEN authorizer, with its validation of tokens and its cache time."""

    function: str
    header: str
    validation: re.Pattern[str] | None
    ttl_seconds: int


@dataclass(frozen=True, slots=True)
class GatewayResponse:
    """Replacement of one of the gateway's own responses, whose status it keeps if it has none."""

    status: int | None
    headers: Mapping[str, str]
    templates: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Throttle:
    """Limit of each route: *rate* requests a second, and *burst* at once."""

    rate: float
    burst: float


@dataclass(frozen=True, slots=True)
class Api:
    """REST API with its one stage."""

    name: str
    stage: str
    stage_variables: Mapping[str, str] | None
    routes: Sequence[Route]
    authorizers: Mapping[str, Authorizer]
    responses: Mapping[str, GatewayResponse]
    throttle: Throttle | None
    minimum_compression_bytes: int | None
    """Size from which responses are compressed; None for never."""
    base_path: str
    """Base path of the domain, such as `/chat`, or empty."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """Event source mapping of a function on a table's stream."""

    table: str
    filters: Sequence[str]
    batch_size: int
    reports_failures: bool
    bisects: bool
    retries: int
    """Number of retries; -1 for no limit."""


@dataclass(frozen=True, slots=True)
class Function:
    """Lambda function, with its code and configuration."""

    logical_id: str
    name: str
    arn: str
    code: Path
    handler: str
    environment: Mapping[str, str]
    timeout_seconds: float
    memory_mb: int
    subscriptions: Sequence[Subscription]


class Template:
    """Template with values for its parameters."""

    def __init__(self, path: Path = TEMPLATE, parameters: Mapping[str, Json] | None = None) -> None:
        self._folder = path.parent
        self._document = read_document(path)
        self._intrinsics = Intrinsics(self._document, parameters or {})

    @classmethod
    def loaded(cls, path: Path, parameters: Mapping[str, Json]) -> Self:
        """Load the template, and read every part of it, so that errors appear at the start.

        Raises:
            TemplateError: the template is invalid or not supported.
        """
        template = cls(path, parameters)
        _ = (template.api, template.functions, template.tables, template.buckets)
        return template

    def name(self, logical_id: str) -> str:
        """Return the resource's name, as in the functions' environment."""
        return self._intrinsics.name(logical_id)

    @cached_property
    def api(self) -> Api:
        """The API of the template, which must have exactly one."""
        [logical_id] = self._ids("AWS::Serverless::Api")
        properties = self._properties(logical_id)
        auth = section(properties, "Auth")
        minimum = properties.get("MinimumCompressionSize")
        return Api(
            name=logical_id,
            stage=as_text(properties["StageName"]),
            stage_variables=_texts(section(properties, "Variables")) or None,
            routes=(
                *self._defined_routes(section(properties, "DefinitionBody"), auth),
                *self._event_routes(auth.get("DefaultAuthorizer")),
            ),
            authorizers={
                name: self._authorizer(mapping(given))
                for name, given in section(auth, "Authorizers").items()
            },
            responses={
                kind: _gateway_response(mapping(given))
                for kind, given in section(properties, "GatewayResponses").items()
            },
            throttle=_throttle(items(properties.get("MethodSettings") or [])),
            minimum_compression_bytes=None if minimum is None else int(as_text(minimum)),
            base_path=self._base_path(),
        )

    @cached_property
    def functions(self) -> Mapping[str, Function]:
        """The functions by logical id."""
        return {name: self._function(name) for name in self._ids("AWS::Serverless::Function")}

    @cached_property
    def tables(self) -> Mapping[str, JsonObject]:
        """The properties of the DynamoDB tables by logical id."""
        return {name: self._properties(name) for name in self._ids("AWS::DynamoDB::Table")}

    @cached_property
    def buckets(self) -> Sequence[str]:
        """The logical ids of the S3 buckets."""
        return tuple(self._ids("AWS::S3::Bucket"))

    def _ids(self, kind: str) -> Iterator[str]:
        for logical_id, resource in section(self._document, "Resources").items():
            if mapping(resource)["Type"] == kind and self._intrinsics.is_created(logical_id):
                yield logical_id

    def _properties(self, logical_id: str) -> JsonObject:
        resource = mapping(section(self._document, "Resources")[logical_id])
        kind = as_text(resource["Type"]).rpartition("::")[2]
        shared = section(section(self._document, "Globals"), kind)
        return mapping(self._intrinsics.resolve(merged(shared, section(resource, "Properties"))))

    def _function(self, logical_id: str) -> Function:
        properties = _LAMBDA_DEFAULTS | self._properties(logical_id)
        return Function(
            logical_id=logical_id,
            name=self._intrinsics.name(logical_id),
            arn=self._intrinsics.arn(logical_id),
            code=self._folder / as_text(properties["CodeUri"]),
            handler=as_text(properties["Handler"]),
            environment=_texts(section(section(properties, "Environment"), "Variables")),
            timeout_seconds=float(as_text(properties["Timeout"])),
            memory_mb=int(as_text(properties["MemorySize"])),
            subscriptions=tuple(
                self._subscription(event) for event in _events(properties, "DynamoDB")
            ),
        )

    def _subscription(self, event: JsonObject) -> Subscription:
        response_types = items(event.get("FunctionResponseTypes") or [])
        filters = items(section(event, "FilterCriteria").get("Filters") or [])
        return Subscription(
            table=self._owner_of(as_text(event["Stream"]).partition("/stream/")[0]),
            filters=tuple(as_text(mapping(given)["Pattern"]) for given in filters),
            batch_size=int(as_text(event.get("BatchSize", 100))),
            reports_failures="ReportBatchItemFailures" in response_types,
            bisects=as_text(event.get("BisectBatchOnFunctionError", False)) == "true",
            retries=int(as_text(event.get("MaximumRetryAttempts", -1))),
        )

    def _base_path(self) -> str:
        for logical_id in self._ids("AWS::ApiGateway::BasePathMapping"):
            if given := self._properties(logical_id).get("BasePath"):
                return f"/{as_text(given)}"
        return ""

    def _defined_routes(self, body: JsonObject, auth: JsonObject) -> Iterator[Route]:
        """Yield the routes of the API's own OpenAPI document."""
        for path, operations in section(body, "paths").items():
            for method, operation in mapping(operations).items():
                is_open = {"NONE": []} in items(mapping(operation).get("security", []))
                if method == "options":
                    is_open = not auth["AddDefaultAuthorizerToCorsPreflight"]
                integration = section(mapping(operation), "x-amazon-apigateway-integration")
                arn = as_text(integration["uri"]).partition("/functions/")[2]
                yield Route(
                    method=method.upper(),
                    path=path,
                    function=self._owner_of(arn.removesuffix("/invocations")),
                    authorizer=None if is_open else as_text(auth["DefaultAuthorizer"]),
                )

    def _event_routes(self, default_authorizer: Json) -> Iterator[Route]:
        """Yield the routes that functions name as their events."""
        for logical_id in self._ids("AWS::Serverless::Function"):
            for event in _events(self._properties(logical_id), "Api"):
                chosen = section(event, "Auth").get("Authorizer", default_authorizer)
                yield Route(
                    method=as_text(event["Method"]).upper(),
                    path=as_text(event["Path"]),
                    function=logical_id,
                    authorizer=None if chosen in {None, "NONE"} else as_text(chosen),
                )

    def _authorizer(self, given: JsonObject) -> Authorizer:
        if given.get("FunctionPayloadType", "TOKEN") != "TOKEN":
            raise TemplateError("The local stack supports only authorizers of the type TOKEN.")
        identity = section(given, "Identity")
        expression = identity.get("ValidationExpression")
        return Authorizer(
            function=self._owner_of(as_text(given["FunctionArn"])),
            header=as_text(identity.get("Header", "Authorization")),
            validation=None if expression is None else re.compile(as_text(expression)),
            ttl_seconds=int(as_text(identity.get("ReauthorizeEvery", 300))),
        )

    def _owner_of(self, arn: str) -> str:
        for kind in ("AWS::Serverless::Function", "AWS::DynamoDB::Table"):
            for logical_id in self._ids(kind):
                own = self._intrinsics.arn(logical_id)
                if arn == own or arn.startswith(f"{own}:"):  # with a version or an alias
                    return logical_id
        raise TemplateError(f"{arn} is neither a function nor a table of the stack {STACK_NAME}.")


def _events(properties: JsonObject, kind: str) -> Iterator[JsonObject]:
    for event in section(properties, "Events").values():
        if mapping(event)["Type"] == kind:
            yield section(mapping(event), "Properties")


def _throttle(settings: Sequence[Json]) -> Throttle | None:
    """Return the limits of all methods; limits of single methods are not supported."""
    for setting in map(mapping, settings):
        if (setting["ResourcePath"], setting["HttpMethod"]) != ("/*", "*"):
            raise TemplateError("The local stack supports MethodSettings of all methods only.")
        return Throttle(
            rate=float(as_text(setting["ThrottlingRateLimit"])),
            burst=float(as_text(setting["ThrottlingBurstLimit"])),
        )
    return None


def _gateway_response(given: JsonObject) -> GatewayResponse:
    status = given.get("StatusCode")
    return GatewayResponse(
        status=None if status is None else int(as_text(status)),
        headers=_texts(section(section(given, "ResponseParameters"), "Headers")),
        templates=_texts(section(given, "ResponseTemplates")),
    )


def _texts(values: JsonObject) -> dict[str, str]:
    return {name: as_text(value) for name, value in values.items()}
