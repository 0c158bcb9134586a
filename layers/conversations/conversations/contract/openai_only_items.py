"""The item types that only OpenAI has: patches, tool search, settings and programs."""

from typing import Annotated, Literal, NotRequired, TypedDict

from conversations.contract.client_tools import CallerFields
from conversations.contract.fields import CallId, EchoedFields, Id, ListOf, Status, TaggedUnion


class CreateFile(TypedDict):
    """A new file."""

    type: Literal["create_file"]
    path: str
    diff: str


class UpdateFile(TypedDict):
    """A changed file."""

    type: Literal["update_file"]
    path: str
    diff: str


class DeleteFile(TypedDict):
    """A file taken away."""

    type: Literal["delete_file"]
    path: str


class ApplyPatchCall(CallerFields):
    """A change of one file."""

    type: Literal["apply_patch_call"]
    id: NotRequired[Id | None]
    call_id: CallId
    operation: Annotated[CreateFile | UpdateFile | DeleteFile, TaggedUnion()]
    status: Literal["in_progress", "completed"]


class ApplyPatchCallOutput(CallerFields):
    """How the change went."""

    type: Literal["apply_patch_call_output"]
    id: NotRequired[Id | None]
    call_id: CallId
    status: Literal["completed", "failed"]
    output: NotRequired[str | None]


class Tool(TypedDict):
    """A tool's declaration; beyond its `type` it is the model's business."""

    type: str


class ToolSearchCall(EchoedFields):
    """A search for tools."""

    type: Literal["tool_search_call"]
    id: NotRequired[Id | None]
    call_id: NotRequired[CallId | None]
    arguments: object
    execution: NotRequired[Literal["server", "client"] | None]
    status: NotRequired[Status | None]


class ToolSearchOutput(EchoedFields):
    """The tools that were found."""

    type: Literal["tool_search_output"]
    id: NotRequired[Id | None]
    call_id: NotRequired[CallId | None]
    tools: ListOf[Tool]
    execution: NotRequired[Literal["server", "client"] | None]
    status: NotRequired[Status | None]


class AdditionalTools(EchoedFields):
    """Tools that the developer adds midway."""

    type: Literal["additional_tools"]
    id: NotRequired[Id | None]
    role: Literal["developer"]
    tools: ListOf[Tool]


class ReasoningSetting(TypedDict):
    """How hard to think."""

    effort: NotRequired[Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None]


class PlainFormat(TypedDict):
    """Free text."""

    type: Literal["text"]


class JSONSchemaFormat(TypedDict):
    """JSON after a schema."""

    type: Literal["json_schema"]
    name: str
    schema: dict[str, object]
    description: NotRequired[str | None]
    strict: NotRequired[bool | None]


class TextSetting(TypedDict):
    """The form of the answer."""

    format: NotRequired[Annotated[PlainFormat | JSONSchemaFormat, TaggedUnion()] | None]


class ConfigurationUpdate(EchoedFields):
    """Settings changed midway."""

    type: Literal["configuration_update"]
    id: NotRequired[Id | None]
    reasoning: NotRequired[ReasoningSetting | None]
    text: NotRequired[TextSetting | None]


class CompactionTrigger(EchoedFields):
    """A request to compact what stands before."""

    type: Literal["compaction_trigger"]
    id: NotRequired[Id | None]


class Program(EchoedFields):
    """A program of the model that calls tools."""

    type: Literal["program"]
    id: NotRequired[Id | None]
    call_id: CallId
    code: str
    fingerprint: str


class ProgramOutput(EchoedFields):
    """What the program answered."""

    type: Literal["program_output"]
    id: NotRequired[Id | None]
    call_id: CallId
    result: str
    status: Literal["completed", "incomplete"]
