"""Calls of tools that the client runs: functions, custom tools, shells, patches, programs."""

from typing import Annotated, Literal, NotRequired, TypedDict

from conversations.contract.content import ToolOutput
from conversations.contract.fields import (
    CallId,
    EchoedFields,
    Id,
    ItemType,
    ListOf,
    MapOf,
    Status,
    TaggedUnion,
)


class DirectCaller(TypedDict):
    """A call by the model itself."""

    type: Literal["direct"]


class ProgramCaller(TypedDict):
    """A call by a program that the model wrote."""

    type: Literal["program"]
    caller_id: str


class CallerFields(EchoedFields):
    """Field that identifies the caller of a tool: the model or a program."""

    caller: NotRequired[Annotated[DirectCaller | ProgramCaller, TaggedUnion()] | None]


AsyncCall = TypedDict("AsyncCall", {"async": NotRequired[bool | None]})


class FunctionCall(CallerFields, AsyncCall):
    """A function call; `arguments` is JSON in a string."""

    type: Annotated[Literal["function_call"], ItemType("fc", text=("name", "arguments"))]
    id: NotRequired[Id | None]
    call_id: CallId
    name: str
    namespace: NotRequired[str | None]
    arguments: str
    status: NotRequired[Status | None]


class FunctionCallOutput(CallerFields):
    """The output of a function call."""

    type: Annotated[Literal["function_call_output"], ItemType("fco", text=("name", "output"))]
    id: NotRequired[Id | None]
    call_id: CallId | None
    name: NotRequired[str | None]
    namespace: NotRequired[str | None]
    output: ToolOutput
    status: NotRequired[Status | None]


class NamedFunctionOutput(CallerFields):
    """The output of a function call, identified by `name` without `call_id`: OpenAI's form."""

    type: Literal["function_call_output"]
    id: NotRequired[Id | None]
    name: str
    namespace: NotRequired[str | None]
    output: ToolOutput
    status: NotRequired[Status | None]


class CustomToolCall(CallerFields, AsyncCall):
    """A call of a custom tool, whose input is free text."""

    type: Annotated[Literal["custom_tool_call"], ItemType("ctc", text=("name", "input"))]
    id: NotRequired[Id | None]
    call_id: CallId
    name: str
    namespace: NotRequired[str | None]
    input: str


class CustomToolCallOutput(CallerFields):
    """The output of a custom tool call."""

    type: Annotated[Literal["custom_tool_call_output"], ItemType("ctco", text=("output",))]
    id: NotRequired[Id | None]
    call_id: CallId
    output: ToolOutput


class LocalShellAction(TypedDict):
    """The command line of a local shell call."""

    type: Literal["exec"]
    command: ListOf[str]
    env: MapOf[str]
    timeout_ms: NotRequired[int | None]
    user: NotRequired[str | None]
    working_directory: NotRequired[str | None]


class LocalShellCall(EchoedFields):
    """A command to run in the client's own shell."""

    type: Annotated[Literal["local_shell_call"], ItemType("lsh", text=("action",))]
    id: NotRequired[Id | None]
    call_id: CallId
    action: LocalShellAction
    status: str


class LocalShellCallOutput(EchoedFields):
    """The output of a local shell call."""

    type: Annotated[Literal["local_shell_call_output"], ItemType("lsho", text=("output",))]
    id: NotRequired[Id | None]
    output: str
    status: NotRequired[Status | None]


class ShellLimits(TypedDict):
    """Limits on the time and the output of a shell command."""

    timeout_ms: NotRequired[int | None]
    max_output_length: NotRequired[int | None]


class ShellAction(ShellLimits):
    """One shell command: mka1's form of an action."""

    type: Literal["exec"]
    command: NotRequired[str | None]
    commands: NotRequired[None]


class ShellCommands(ShellLimits):
    """Several shell commands, without `type`: OpenAI's form of an action."""

    commands: ListOf[str]


class LocalSkill(TypedDict):
    """A skill stored on the client's machine."""

    name: str
    description: str
    path: str


class LocalEnvironment(TypedDict):
    """The client's own machine as the environment of a shell."""

    type: Literal["local"]
    skills: NotRequired[ListOf[LocalSkill] | None]


class ContainerReference(TypedDict):
    """A container as the environment of a shell, by its id."""

    type: Literal["container_reference"]
    container_id: str


class ShellCall(CallerFields):
    """A shell call with mka1's form of an action."""

    type: Annotated[Literal["shell_call"], ItemType("sh", text=("action",))]
    id: NotRequired[Id | None]
    call_id: CallId
    action: ShellAction
    status: Status


class ShellCommandsCall(CallerFields):
    """A shell call with OpenAI's form of an action."""

    type: Literal["shell_call"]
    id: NotRequired[Id | None]
    call_id: CallId
    action: ShellCommands
    environment: NotRequired[Annotated[LocalEnvironment | ContainerReference, TaggedUnion()] | None]
    status: NotRequired[Status | None]


class ShellOutcome(TypedDict):
    """The outcome of a command; `exit_code` is null after a timeout."""

    type: Literal["exit", "timeout"]
    exit_code: int | None


class ShellOutput(TypedDict):
    """The output and outcome of one command."""

    stdout: str
    stderr: str
    outcome: ShellOutcome


class ShellCallOutput(CallerFields):
    """The output of a shell call: one output, mka1's form."""

    type: Annotated[Literal["shell_call_output"], ItemType("sho", text=("output",))]
    id: NotRequired[Id | None]
    call_id: CallId
    output: ShellOutput
    status: NotRequired[Status | None]


class ExitOutcome(TypedDict):
    """The outcome of a command that exited."""

    type: Literal["exit"]
    exit_code: int


class TimeoutOutcome(TypedDict):
    """The outcome of a command that timed out."""

    type: Literal["timeout"]


class ShellChunk(TypedDict):
    """The output and outcome of one of several commands."""

    stdout: str
    stderr: str
    outcome: Annotated[ExitOutcome | TimeoutOutcome, TaggedUnion()]


class ShellChunksOutput(CallerFields):
    """The output of a shell call: a list of outputs, OpenAI's form."""

    type: Literal["shell_call_output"]
    id: NotRequired[Id | None]
    call_id: CallId
    output: ListOf[ShellChunk]
    max_output_length: NotRequired[int | None]
    status: NotRequired[Status | None]
