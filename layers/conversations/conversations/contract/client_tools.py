"""Calls of tools that the client runs: functions, custom tools, shells, patches, programs."""

from typing import Annotated, Literal, NotRequired, TypedDict

from conversations.contract.content import ToolOutput
from conversations.contract.fields import (
    CallId,
    EchoedFields,
    Id,
    ListOf,
    MapOf,
    Status,
    TaggedUnion,
)


class DirectCaller(TypedDict):
    """The model called."""

    type: Literal["direct"]


class ProgramCaller(TypedDict):
    """A program of the model called."""

    type: Literal["program"]
    caller_id: str


class CallerFields(EchoedFields):
    """What tells who called."""

    caller: NotRequired[Annotated[DirectCaller | ProgramCaller, TaggedUnion()] | None]


AsyncCall = TypedDict("AsyncCall", {"async": NotRequired[bool | None]})


class FunctionCall(CallerFields, AsyncCall):
    """A call of a function; *arguments* is JSON in a string."""

    type: Literal["function_call"]
    id: NotRequired[Id | None]
    call_id: CallId
    name: str
    namespace: NotRequired[str | None]
    arguments: str
    status: NotRequired[Status | None]


class FunctionCallOutput(CallerFields):
    """What a function answered."""

    type: Literal["function_call_output"]
    id: NotRequired[Id | None]
    call_id: CallId | None
    name: NotRequired[str | None]
    namespace: NotRequired[str | None]
    output: ToolOutput
    status: NotRequired[Status | None]


class NamedFunctionOutput(CallerFields):
    """The same for OpenAI's clients which name the function in place of the call."""

    type: Literal["function_call_output"]
    id: NotRequired[Id | None]
    name: str
    namespace: NotRequired[str | None]
    output: ToolOutput
    status: NotRequired[Status | None]


class CustomToolCall(CallerFields, AsyncCall):
    """A call of a tool that takes free text."""

    type: Literal["custom_tool_call"]
    id: NotRequired[Id | None]
    call_id: CallId
    name: str
    namespace: NotRequired[str | None]
    input: str


class CustomToolCallOutput(CallerFields):
    """What such a tool answered."""

    type: Literal["custom_tool_call_output"]
    id: NotRequired[Id | None]
    call_id: CallId
    output: ToolOutput


class LocalShellAction(TypedDict):
    """A command line for the client's own shell."""

    type: Literal["exec"]
    command: ListOf[str]
    env: MapOf[str]
    timeout_ms: NotRequired[int | None]
    user: NotRequired[str | None]
    working_directory: NotRequired[str | None]


class LocalShellCall(EchoedFields):
    """A command for the client's own shell."""

    type: Literal["local_shell_call"]
    id: NotRequired[Id | None]
    call_id: CallId
    action: LocalShellAction
    status: str


class LocalShellCallOutput(EchoedFields):
    """What the client's own shell answered."""

    type: Literal["local_shell_call_output"]
    id: NotRequired[Id | None]
    output: str
    status: NotRequired[Status | None]


class ShellLimits(TypedDict):
    """How long a shell may run and speak."""

    timeout_ms: NotRequired[int | None]
    max_output_length: NotRequired[int | None]


class ShellAction(ShellLimits):
    """One command for a shell."""

    type: Literal["exec"]
    command: NotRequired[str | None]
    commands: NotRequired[None]


class ShellCommands(ShellLimits):
    """OpenAI's action: several commands, and no `type`."""

    commands: ListOf[str]


class LocalSkill(TypedDict):
    """A skill on the client's disk."""

    name: str
    description: str
    path: str


class LocalEnvironment(TypedDict):
    """The client's machine."""

    type: Literal["local"]
    skills: NotRequired[ListOf[LocalSkill] | None]


class ContainerReference(TypedDict):
    """A container by its id."""

    type: Literal["container_reference"]
    container_id: str


class ShellCall(CallerFields):
    """A command for a shell."""

    type: Literal["shell_call"]
    id: NotRequired[Id | None]
    call_id: CallId
    action: ShellAction
    status: Status


class ShellCommandsCall(CallerFields):
    """OpenAI's shell call."""

    type: Literal["shell_call"]
    id: NotRequired[Id | None]
    call_id: CallId
    action: ShellCommands
    environment: NotRequired[Annotated[LocalEnvironment | ContainerReference, TaggedUnion()] | None]
    status: NotRequired[Status | None]


class ShellOutcome(TypedDict):
    """How a command ended; *exit_code* is null after a time-out."""

    type: Literal["exit", "timeout"]
    exit_code: int | None


class ShellOutput(TypedDict):
    """What a command wrote."""

    stdout: str
    stderr: str
    outcome: ShellOutcome


class ShellCallOutput(CallerFields):
    """What a shell answered."""

    type: Literal["shell_call_output"]
    id: NotRequired[Id | None]
    call_id: CallId
    output: ShellOutput
    status: NotRequired[Status | None]


class ExitOutcome(TypedDict):
    """The command ended."""

    type: Literal["exit"]
    exit_code: int


class TimeoutOutcome(TypedDict):
    """The command was stopped."""

    type: Literal["timeout"]


class ShellChunk(TypedDict):
    """What one of several commands wrote."""

    stdout: str
    stderr: str
    outcome: Annotated[ExitOutcome | TimeoutOutcome, TaggedUnion()]


class ShellChunksOutput(CallerFields):
    """OpenAI's shell output: a list."""

    type: Literal["shell_call_output"]
    id: NotRequired[Id | None]
    call_id: CallId
    output: ListOf[ShellChunk]
    max_output_length: NotRequired[int | None]
    status: NotRequired[Status | None]
