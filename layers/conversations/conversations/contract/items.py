"""The item contract: every type of item that a conversation can hold.

It has the types of the mka1 contract, those that only OpenAI has, and any of our own. Each type
accepts the shapes of both. Validation changes no value; `bodies.normalize_items` then adds a
missing `type`.
"""

from collections.abc import Callable
from typing import Annotated, Literal, NotRequired, TypedDict

from pydantic import Tag

from conversations.contract.client_tools import (
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    LocalShellCall,
    LocalShellCallOutput,
    NamedFunctionOutput,
    ShellCall,
    ShellCallOutput,
    ShellChunksOutput,
    ShellCommandsCall,
)
from conversations.contract.computer import ComputerCall, ComputerCallOutput
from conversations.contract.content import MessageContent
from conversations.contract.fields import (
    EchoedFields,
    Id,
    ItemType,
    LazyTaggedUnion,
    ListOf,
    Status,
    item_types,
    union_tag,
)
from conversations.contract.hosted_tools import (
    CodeInterpreterCall,
    FileSearchCall,
    ImageGenerationCall,
    MCPApprovalRequest,
    MCPApprovalResponse,
    MCPCall,
    MCPListTools,
    WebSearchCall,
)
from conversations.contract.openai_only_items import (
    AdditionalTools,
    ApplyPatchCall,
    ApplyPatchCallOutput,
    CompactionTrigger,
    ConfigurationUpdate,
    Program,
    ProgramOutput,
    ToolSearchCall,
    ToolSearchOutput,
)

MAX_BATCH_ITEMS = 20
PLACEHOLDER_ID = "msg_aa87e2b1112a455b8deabed784372198"
"""Id that an old SDK sends in every message without an id."""


class Message(EchoedFields):
    """A message, either input or output of the model."""

    type: NotRequired[Annotated[Literal["message"], ItemType("msg", text=("content",))] | None]
    id: NotRequired[Id | None]
    role: Literal["user", "assistant", "system", "developer"]
    content: MessageContent
    status: NotRequired[Status | None]
    phase: NotRequired[Literal["commentary", "final_answer"] | None]


class OutputAudio(EchoedFields):
    """Output audio."""

    type: Annotated[Literal["output_audio"], ItemType("aud", text=("transcript",))]
    id: NotRequired[Id | None]
    data: str
    transcript: str
    status: Status


class SummaryText(TypedDict):
    """A summary of the model's reasoning."""

    type: Literal["summary_text"]
    text: str


class ReasoningText(TypedDict):
    """A part of the model's reasoning."""

    type: Literal["reasoning_text"]
    text: str


class Reasoning(EchoedFields):
    """The model's reasoning."""

    type: Annotated[Literal["reasoning"], ItemType("rs", text=("summary", "content"))]
    id: NotRequired[Id | None]
    summary: ListOf[SummaryText]
    content: NotRequired[ListOf[ReasoningText] | None]
    encrypted_content: NotRequired[str | None]
    status: NotRequired[Status | None]


class ItemReference(EchoedFields):
    """A reference to another item by its id; the API stores it and does not resolve it."""

    type: NotRequired[Annotated[Literal["item_reference"], ItemType("item")] | None]
    id: Id


class Compaction(EchoedFields):
    """A readable summary that replaces earlier items."""

    type: Annotated[Literal["compaction"], ItemType("cmp", text=("content",))]
    id: NotRequired[Id | None]
    content: str
    encrypted_content: NotRequired[str | None]
    created_by: NotRequired[str | None]


class EncryptedCompaction(EchoedFields):
    """An encrypted summary that replaces earlier items: OpenAI's form."""

    type: Literal["compaction"]
    id: NotRequired[Id | None]
    content: NotRequired[None]
    encrypted_content: str
    created_by: NotRequired[str | None]


Item = (
    Message
    | OutputAudio
    | FileSearchCall
    | ComputerCall
    | ComputerCallOutput
    | WebSearchCall
    | FunctionCall
    | FunctionCallOutput
    | Annotated[NamedFunctionOutput, Tag("shape=named function_call_output")]
    | Reasoning
    | ImageGenerationCall
    | CodeInterpreterCall
    | LocalShellCall
    | LocalShellCallOutput
    | ShellCall
    | Annotated[ShellCommandsCall, Tag("shape=commands shell_call")]
    | ShellCallOutput
    | Annotated[ShellChunksOutput, Tag("shape=chunks shell_call_output")]
    | MCPListTools
    | MCPApprovalRequest
    | MCPApprovalResponse
    | MCPCall
    | CustomToolCall
    | CustomToolCallOutput
    | ItemReference
    | Compaction
    | Annotated[EncryptedCompaction, Tag("shape=encrypted compaction")]
    | ApplyPatchCall
    | ApplyPatchCallOutput
    | ToolSearchCall
    | ToolSearchOutput
    | AdditionalTools
    | ConfigurationUpdate
    | CompactionTrigger
    | Program
    | ProgramOutput
)

ITEM_TYPES = item_types(Item)
"""The annotation of each item type, by its name."""


def generated_id(item_type: str, key: str) -> str:
    """Return the id of an item that has none: the prefix of its type, and its sequence key."""
    return f"{ITEM_TYPES[item_type].prefix}_{key}"


def _names_function(item: dict[str, object]) -> bool:
    return item.get("call_id") is None and item.get("name") is not None


def _has_commands(item: dict[str, object]) -> bool:
    action = item.get("action")
    return isinstance(action, dict) and action.get("commands") is not None


def _has_chunks(item: dict[str, object]) -> bool:
    return isinstance(item.get("output"), list)


def _is_encrypted(item: dict[str, object]) -> bool:
    return "encrypted_content" in item and item.get("content") is None


_SHAPES: dict[str, tuple[Callable[[dict[str, object]], bool], str]] = {
    "type=function_call_output": (_names_function, "shape=named function_call_output"),
    "type=shell_call": (_has_commands, "shape=commands shell_call"),
    "type=shell_call_output": (_has_chunks, "shape=chunks shell_call_output"),
    "type=compaction": (_is_encrypted, "shape=encrypted compaction"),
}
_REFERENCE_KEYS = {"id", "type", *EchoedFields.__annotations__}


def _item_tag(item: object) -> str:
    """Return the tag of the type that *item* has, or is meant to have if its type is omitted."""
    tag = union_tag(item)
    if not isinstance(item, dict):
        return tag
    if tag == "type=":
        return _tag_without_type(item)
    has_shape, shape = _SHAPES.get(tag, (None, tag))
    return shape if has_shape is None or has_shape(item) else tag


def _tag_without_type(item: dict[str, object]) -> str:
    if item.get("type") is None and "role" in item:
        return "type=message"
    if item.get("type") is None and "id" in item and item.keys() <= _REFERENCE_KEYS:
        return "type=item_reference"
    return "type="


AnyItem = Annotated[Item, LazyTaggedUnion(_item_tag)]
