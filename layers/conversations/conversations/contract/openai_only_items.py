"""The item types that only OpenAI has: patches, tool search, settings and programs."""

from typing import Annotated, Literal, NotRequired, TypedDict

from conversations.contract.client_tools import CallerFields
from conversations.contract.fields import (
    CallId,
    EchoedFields,
    Id,
    ItemType,
    ListOf,
    Status,
    TaggedUnion,
)


class CreateFile(TypedDict):
    """An operation that creates a file."""

    type: Literal["create_file"]
    path: str
    diff: str


class UpdateFile(TypedDict):
    """An operation that changes a file."""

    type: Literal["update_file"]
    path: str
    diff: str


class DeleteFile(TypedDict):
    """An operation that deletes a file."""

    type: Literal["delete_file"]
    path: str


class ApplyPatchCall(CallerFields):
    """A call that applies a patch to one file."""

    type: Annotated[Literal["apply_patch_call"], ItemType("apc", text=("operation",))]
    id: NotRequired[Id | None]
    call_id: CallId
    operation: Annotated[CreateFile | UpdateFile | DeleteFile, TaggedUnion()]
    status: Literal["in_progress", "completed"]


class ApplyPatchCallOutput(CallerFields):
    """The output of an apply-patch call."""

    type: Annotated[Literal["apply_patch_call_output"], ItemType("apco", text=("output",))]
    id: NotRequired[Id | None]
    call_id: CallId
    status: Literal["completed", "failed"]
    output: NotRequired[str | None]


class Tool(TypedDict):
    """The declaration of a tool; only its `type` is validated."""

    type: str


class ToolSearchCall(EchoedFields):
    """A tool search call."""

    type: Annotated[
        Literal["tool_search_call"], ItemType("tsc", text=("arguments",), any_json=True)
    ]
    id: NotRequired[Id | None]
    call_id: NotRequired[CallId | None]
    arguments: object
    execution: NotRequired[Literal["server", "client"] | None]
    status: NotRequired[Status | None]


class ToolSearchOutput(EchoedFields):
    """The tools that a tool search found."""

    type: Annotated[Literal["tool_search_output"], ItemType("tso", text=("tools",))]
    id: NotRequired[Id | None]
    call_id: NotRequired[CallId | None]
    tools: ListOf[Tool]
    execution: NotRequired[Literal["server", "client"] | None]
    status: NotRequired[Status | None]


class AdditionalTools(EchoedFields):
    """Tools that the developer adds during the conversation."""

    type: Annotated[Literal["additional_tools"], ItemType("item", text=("tools",))]
    id: NotRequired[Id | None]
    role: Literal["developer"]
    tools: ListOf[Tool]


class ReasoningSetting(TypedDict):
    """Reasoning settings."""

    effort: NotRequired[Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None]


class PlainFormat(TypedDict):
    """Plain text output."""

    type: Literal["text"]


class JSONSchemaFormat(TypedDict):
    """JSON output that follows a schema."""

    type: Literal["json_schema"]
    name: str
    schema: dict[str, object]
    description: NotRequired[str | None]
    strict: NotRequired[bool | None]


class TextSetting(TypedDict):
    """Settings of the output text."""

    format: NotRequired[Annotated[PlainFormat | JSONSchemaFormat, TaggedUnion()] | None]


class ConfigurationUpdate(EchoedFields):
    """Settings that change during the conversation."""

    type: Annotated[Literal["configuration_update"], ItemType("item")]
    id: NotRequired[Id | None]
    reasoning: NotRequired[ReasoningSetting | None]
    text: NotRequired[TextSetting | None]


class CompactionTrigger(EchoedFields):
    """A request to compact the items before it."""

    type: Annotated[Literal["compaction_trigger"], ItemType("item")]
    id: NotRequired[Id | None]


class Program(EchoedFields):
    """A program, written by the model, that calls tools."""

    type: Annotated[Literal["program"], ItemType("item", text=("code",))]
    id: NotRequired[Id | None]
    call_id: CallId
    code: str
    fingerprint: str


class ProgramOutput(EchoedFields):
    """The output of a program."""

    type: Annotated[Literal["program_output"], ItemType("item", text=("result",))]
    id: NotRequired[Id | None]
    call_id: CallId
    result: str
    status: Literal["completed", "incomplete"]
