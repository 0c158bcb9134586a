"""CloudFormation's intrinsic functions, resolved without a deployment."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from local.errors import TemplateError

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None
type JsonObject = dict[str, Json]

REGION: Final = "us-east-1"
ACCOUNT_ID: Final = "123456789012"
STACK_NAME: Final = "local-stack"
"""Name of the stack and of the functions' logger, which must differ from this package's."""

_PSEUDO_PARAMETERS: Final[Mapping[str, Json]] = {
    "AWS::AccountId": ACCOUNT_ID,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT_ID}:stack/{STACK_NAME}/0",
    "AWS::StackName": STACK_NAME,
    "AWS::URLSuffix": "amazonaws.com",
}
_NAME_PROPERTIES: Final = {
    "AWS::DynamoDB::Table": "TableName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::Serverless::Function": "FunctionName",
}
_ARNS: Final = {
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{{}}",
    "AWS::S3::Bucket": "arn:aws:s3:::{}",
    "AWS::SQS::Queue": f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{{}}",
    "AWS::Serverless::Function": f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{{}}",
}
_PLACEHOLDER: Final = re.compile(r"\$\{(!?)([^}]+)\}")


class _NoValue:
    """Type of `AWS::NoValue`, which removes the property that holds it."""


_NO_VALUE: Final = _NoValue()


class _Loader(yaml.CSafeLoader):
    """YAML loader with CloudFormation's rules: short tags are functions, dates are strings."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the base class's own attribute
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


def _construct_tag(loader: _Loader, suffix: str, node: yaml.Node) -> JsonObject:
    # Any: PyYAML does not type its constructors.
    value: Any = _CONSTRUCT[type(node)](loader, node)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_CONSTRUCT: Final[Mapping[type[yaml.Node], Callable[..., Any]]] = {
    yaml.ScalarNode: _Loader.construct_scalar,
    yaml.SequenceNode: lambda loader, node: loader.construct_sequence(node, deep=True),
    yaml.MappingNode: lambda loader, node: loader.construct_mapping(node, deep=True),
}
_Loader.add_multi_constructor("!", _construct_tag)


def read_document(path: Path) -> JsonObject:
    """Read the template, with short tags as long ones.

    Raises:
        TemplateError: the file does not exist, or is not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise TemplateError(f"The template {path} does not exist.") from None
    document = yaml.load(text, Loader=_Loader)  # noqa: S506 - a subclass of the safe loader
    if not isinstance(document, dict):
        raise TemplateError(f"{path} is not a template: its top level must be a mapping.")
    return document


class Intrinsics:
    """Resolver of the intrinsic functions in a document.

    Resources get the names and ARNs that AWS would give them in a stack of that name. Attributes
    that the local stack does not need resolve to a placeholder.
    """

    def __init__(self, document: JsonObject, parameters: Mapping[str, Json]) -> None:
        self._resources = section(document, "Resources")
        self._mappings = section(document, "Mappings")
        self._conditions = section(document, "Conditions")
        self._values = {**_PSEUDO_PARAMETERS, **_parameter_values(document, parameters)}
        self._functions: Mapping[str, Callable[[Json], Json | _NoValue]] = {
            "Condition": lambda name: self._holds(str(name)),
            "Fn::And": lambda terms: all(self.resolve(term) for term in items(terms)),
            "Fn::Equals": self._equals,
            "Fn::FindInMap": self._find_in_map,
            "Fn::GetAtt": self._attribute,
            "Fn::If": self._choose,
            "Fn::Join": self._join,
            "Fn::Not": lambda terms: not self.resolve(items(terms)[0]),
            "Fn::Or": lambda terms: any(self.resolve(term) for term in items(terms)),
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::Sub": self._substitute,
            "Ref": lambda name: self._reference(str(name)),
        }

    def resolve(self, value: Json) -> Json:
        """Return the value with its functions resolved and without `AWS::NoValue`.

        `AWS::NoValue` at the top is null.

        Raises:
            TemplateError: the value uses an unknown function or name.
        """
        resolved = self._resolve(value)
        return None if isinstance(resolved, _NoValue) else resolved

    def name(self, logical_id: str) -> str:
        """Return the resource's name, as `Ref` does."""
        return str(self._reference(logical_id))

    def arn(self, logical_id: str) -> str:
        """Return the resource's ARN, as `Fn::GetAtt` does."""
        return str(self._attribute([logical_id, "Arn"]))

    def is_created(self, logical_id: str) -> bool:
        """Return whether the resource has no condition, or one that holds."""
        condition = self._resource(logical_id).get("Condition")
        return condition is None or self._holds(str(condition))

    def _resolve(self, value: Json) -> Json | _NoValue:
        if isinstance(value, list):
            return [item for item in map(self._resolve, value) if not isinstance(item, _NoValue)]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            [(name, argument)] = value.items()
            if name in self._functions:
                return self._functions[name](argument)
            if name.startswith("Fn::"):
                raise TemplateError(f"The local stack does not support the function {name}.")
        resolved = ((key, self._resolve(item)) for key, item in value.items())
        return {key: item for key, item in resolved if not isinstance(item, _NoValue)}

    def _reference(self, name: str) -> Json | _NoValue:
        if name == "AWS::NoValue":
            return _NO_VALUE
        if name in self._values:
            return self._values[name]
        logical_id, _, part = name.partition(".")
        resource = self._resource(logical_id)
        if part == "Stage":
            return self.resolve(mapping(resource["Properties"])["StageName"])
        if part:
            return f"{self._attribute([logical_id, 'Arn'])}:{part}"
        return self._physical_name(logical_id, resource)

    def _physical_name(self, logical_id: str, resource: JsonObject) -> str:
        properties = mapping(resource.get("Properties") or {})
        given = properties.get(_NAME_PROPERTIES.get(str(resource["Type"]), ""))
        name = str(self.resolve(given)) if given else f"{STACK_NAME}-{logical_id}"
        return name.lower() if resource["Type"] == "AWS::S3::Bucket" else name

    def _resource(self, logical_id: str) -> JsonObject:
        try:
            return mapping(self._resources[logical_id])
        except KeyError:
            raise TemplateError(f"The template has no resource {logical_id}.") from None

    def _attribute(self, argument: Json) -> Json:
        parts = argument.split(".", 1) if isinstance(argument, str) else items(argument)
        logical_id, attribute = str(parts[0]), str(parts[1])
        kind = str(self._resource(logical_id)["Type"])
        if attribute not in {"Arn", "StreamArn"} or kind not in _ARNS:
            return f"{logical_id}.{attribute}"
        arn = _ARNS[kind].format(self.name(logical_id))
        return arn if attribute == "Arn" else f"{arn}/stream/0"

    def _holds(self, condition: str) -> bool:
        try:
            return bool(self.resolve(self._conditions[condition]))
        except KeyError:
            raise TemplateError(f"The template has no condition {condition}.") from None

    def _choose(self, argument: Json) -> Json | _NoValue:
        condition, then, otherwise = items(argument, 3)
        return self._resolve(then if self._holds(str(condition)) else otherwise)

    def _equals(self, argument: Json) -> bool:
        left, right = map(self.resolve, items(argument, 2))
        return left == right or as_text(left) == as_text(right)

    def _find_in_map(self, argument: Json) -> Json:
        name, first, second = (str(self.resolve(part)) for part in items(argument, 3))
        try:
            return mapping(mapping(self._mappings[name])[first])[second]
        except KeyError:
            raise TemplateError(
                f"The template's mapping {name} has no entry {first}.{second}."
            ) from None

    def _join(self, argument: Json) -> str:
        delimiter, parts = items(argument, 2)
        return str(delimiter).join(as_text(part) for part in items(self.resolve(parts)))

    def _select(self, argument: Json) -> Json:
        index, choices = map(self.resolve, items(argument, 2))
        return items(choices)[int(as_text(index))]

    def _split(self, argument: Json) -> Json:
        delimiter, text = map(self.resolve, items(argument, 2))
        return [*as_text(text).split(as_text(delimiter))]

    def _substitute(self, argument: Json) -> str:
        text, extra = (argument, {}) if isinstance(argument, str) else items(argument, 2)
        local_values = mapping(extra)

        def value(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return f"${{{name}}}"
            if name in local_values:
                return as_text(self.resolve(local_values[name]))
            is_attribute = "." in name and not name.endswith(".Stage")
            return as_text(self.resolve({"Fn::GetAtt" if is_attribute else "Ref": name}))

        return _PLACEHOLDER.sub(value, str(text))


def _parameter_values(document: JsonObject, overrides: Mapping[str, Json]) -> Mapping[str, Json]:
    declared = section(document, "Parameters")
    if unknown := overrides.keys() - declared.keys():
        raise TemplateError(f"The template has no parameter {min(unknown)}.")
    values: dict[str, Json] = {}
    for name, declaration in declared.items():
        value = overrides.get(name, mapping(declaration).get("Default"))
        if value is None:
            raise TemplateError(f"The parameter {name} has no default: give it a value.")
        pattern = mapping(declaration).get("AllowedPattern")
        if pattern is not None and not re.fullmatch(as_text(pattern), as_text(value)):
            rule = mapping(declaration).get("ConstraintDescription", f"It matches {pattern}.")
            raise TemplateError(f"The parameter {name} cannot be {value!r}. {rule}")
        is_list = str(mapping(declaration)["Type"]) in {"CommaDelimitedList", "List<Number>"}
        values[name] = [*as_text(value).split(",")] if is_list else value
    return values


def as_text(value: Json) -> str:
    """Return a scalar as CloudFormation writes it into a string."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def section(document: JsonObject, name: str) -> JsonObject:
    """Return the mapping under *name*, empty if there is none."""
    return mapping(document.get(name) or {})


def mapping(value: Json) -> JsonObject:
    """Return the value, which must be a mapping."""
    if not isinstance(value, dict):
        raise TemplateError(f"The template must have a mapping in place of {value!r}.")
    return value


def items(value: Json, length: int | None = None) -> list[Json]:
    """Return the value, which must be a list, of *length* items if given."""
    if not isinstance(value, list) or (length is not None and len(value) != length):
        wanted = "a list" if length is None else f"a list of {length}"
        raise TemplateError(f"The template must have {wanted} in place of {value!r}.")
    return value


def merged(shared: JsonObject, own: JsonObject) -> JsonObject:
    """Merge `Globals` into a resource: mappings merge, lists add up, other values override."""
    result = {**shared, **own}
    for name in shared.keys() & own.keys():
        above, below = shared[name], own[name]
        if isinstance(above, dict) and isinstance(below, dict):
            result[name] = merged(above, below)
        elif isinstance(above, list) and isinstance(below, list):
            result[name] = [*above, *below]
    return result
