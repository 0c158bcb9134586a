"""Calls of tools that run beside the model: searches, pictures, code, and MCP servers."""

from typing import Annotated, Literal, NotRequired, TypedDict

from conversations.contract.fields import (
    CallId,
    EchoedFields,
    Id,
    ListOf,
    MapOf,
    Status,
    TaggedUnion,
)


class FileSearchResult(TypedDict):
    """A passage that a file search found."""

    attributes: NotRequired[MapOf[Annotated[str | bool | float, TaggedUnion()]] | None]
    file_id: NotRequired[str | None]
    filename: NotRequired[str | None]
    score: NotRequired[float | None]
    text: NotRequired[str | None]


class FileSearchCall(EchoedFields):
    """A search in the caller's files."""

    type: Literal["file_search_call"]
    id: NotRequired[Id | None]
    queries: ListOf[str]
    status: Literal["in_progress", "searching", "completed", "incomplete", "failed"]
    results: NotRequired[ListOf[FileSearchResult] | None]


class SearchSource(TypedDict):
    """A page that a web search used."""

    type: Literal["url"]
    url: str


class Search(TypedDict):
    """A web search; OpenAI sends `queries`, with or without `query`."""

    type: Literal["search"]
    query: NotRequired[str | None]
    queries: NotRequired[ListOf[str] | None]
    sources: NotRequired[ListOf[SearchSource] | None]


class OpenPage(TypedDict):
    """A page opened; OpenAI may not know its address."""

    type: Literal["open_page"]
    url: NotRequired[str | None]


class Find(TypedDict):
    """A pattern sought in a page."""

    type: Literal["find"]
    url: str
    pattern: str


class FindInPage(TypedDict):
    """The same, by OpenAI's name."""

    type: Literal["find_in_page"]
    url: str
    pattern: str


class WebSearchCall(EchoedFields):
    """A search on the web, or a look at what it found."""

    type: Literal["web_search_call"]
    id: NotRequired[Id | None]
    action: Annotated[Search | OpenPage | Find | FindInPage, TaggedUnion()]
    status: str


class ModerationDetails(TypedDict):
    """Why and when a picture was blocked."""

    categories: ListOf[str]
    moderation_stage: Literal["input", "output", "unknown"]


class ImageGenerationError(TypedDict):
    """Why there is no picture."""

    type: str
    code: str | None
    message: str
    param: str | None
    moderation_details: NotRequired[ModerationDetails | None]


class SvgUsage(TypedDict):
    """The tokens that a vector picture cost."""

    model: str
    input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    total_tokens: int


class ImageGenerationCall(EchoedFields):
    """A picture the model asked for; its options are open strings in the contract."""

    type: Literal["image_generation_call"]
    id: NotRequired[Id | None]
    status: str
    result: str | None
    action: NotRequired[Literal["generate", "edit", "auto"] | None]
    background: NotRequired[str | None]
    output_format: NotRequired[str | None]
    quality: NotRequired[str | None]
    size: NotRequired[str | None]
    revised_prompt: NotRequired[str | None]
    error: NotRequired[ImageGenerationError | None]
    svg_usage: NotRequired[SvgUsage | None]


class CodeLogs(TypedDict):
    """What a program printed."""

    type: Literal["logs"]
    logs: str


class CodeImage(TypedDict):
    """A picture that a program made."""

    type: Literal["image"]
    url: str


class CodeInterpreterCall(EchoedFields):
    """A program that the model ran in a container."""

    type: Literal["code_interpreter_call"]
    id: NotRequired[Id | None]
    code: str | None
    container_id: str
    outputs: ListOf[Annotated[CodeLogs | CodeImage, TaggedUnion()]] | None
    status: Literal["in_progress", "completed", "incomplete", "interpreting", "failed"]


class MCPTool(TypedDict):
    """A tool that an MCP server offers."""

    name: str
    input_schema: dict[str, object]
    annotations: NotRequired[dict[str, object] | None]
    description: NotRequired[str | None]


class MCPListTools(EchoedFields):
    """The tools of an MCP server."""

    type: Literal["mcp_list_tools"]
    id: NotRequired[Id | None]
    server_label: str
    tools: ListOf[MCPTool]
    error: NotRequired[str | None]


class MCPApprovalRequest(EchoedFields):
    """A call that waits for a person's consent."""

    type: Literal["mcp_approval_request"]
    id: NotRequired[Id | None]
    arguments: str
    name: str
    server_label: str


class MCPApprovalResponse(EchoedFields):
    """A person's consent, or none."""

    type: Literal["mcp_approval_response"]
    id: NotRequired[Id | None]
    approval_request_id: CallId
    approve: bool
    reason: NotRequired[str | None]


class MCPProtocolError(TypedDict):
    """The server broke the protocol."""

    type: Literal["mcp_protocol_error"]
    code: int
    message: str


class MCPToolExecutionError(TypedDict):
    """The tool failed; *content* is the server's own."""

    type: Literal["mcp_tool_execution_error"]
    content: object


class MCPHTTPError(TypedDict):
    """The server was not reached."""

    type: Literal["http_error"]
    code: int
    message: str


class MCPCall(EchoedFields):
    """A call of an MCP server's tool; its error is a text, or OpenAI's object."""

    type: Literal["mcp_call"]
    id: NotRequired[Id | None]
    arguments: str
    name: str
    server_label: str
    approval_request_id: NotRequired[str | None]
    error: NotRequired[
        Annotated[str | MCPProtocolError | MCPToolExecutionError | MCPHTTPError, TaggedUnion()]
        | None
    ]
    output: NotRequired[str | None]
    status: NotRequired[Literal[Status, "calling", "failed"] | None]
