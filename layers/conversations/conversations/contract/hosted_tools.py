"""Calls of tools that the model's provider runs: searches, images, code and MCP servers."""

from typing import Annotated, Literal, NotRequired, TypedDict

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


class FileSearchResult(TypedDict):
    """A result of a file search."""

    attributes: NotRequired[MapOf[Annotated[str | bool | float, TaggedUnion()]] | None]
    file_id: NotRequired[str | None]
    filename: NotRequired[str | None]
    score: NotRequired[float | None]
    text: NotRequired[str | None]


class FileSearchCall(EchoedFields):
    """A file search call."""

    type: Annotated[Literal["file_search_call"], ItemType("fs", text=("queries", "results"))]
    id: NotRequired[Id | None]
    queries: ListOf[str]
    status: Literal["in_progress", "searching", "completed", "incomplete", "failed"]
    results: NotRequired[ListOf[FileSearchResult] | None]


class SearchSource(TypedDict):
    """A web page that a search used as a source."""

    type: Literal["url"]
    url: str


class Search(TypedDict):
    """A search action; OpenAI sends `queries`, with or without `query`."""

    type: Literal["search"]
    query: NotRequired[str | None]
    queries: NotRequired[ListOf[str] | None]
    sources: NotRequired[ListOf[SearchSource] | None]


class OpenPage(TypedDict):
    """An action that opens a page; OpenAI may omit its `url`."""

    type: Literal["open_page"]
    url: NotRequired[str | None]


class Find(TypedDict):
    """An action that searches a page for a pattern: mka1's form."""

    type: Literal["find"]
    url: str
    pattern: str


class FindInPage(TypedDict):
    """An action that searches a page for a pattern: OpenAI's form."""

    type: Literal["find_in_page"]
    url: str
    pattern: str


class WebSearchCall(EchoedFields):
    """A web search call."""

    type: Annotated[Literal["web_search_call"], ItemType("ws", text=("action", "results"))]
    id: NotRequired[Id | None]
    action: Annotated[Search | OpenPage | Find | FindInPage, TaggedUnion()]
    status: str


class ModerationDetails(TypedDict):
    """The reason why an image was blocked, and the stage at which it was blocked."""

    categories: ListOf[str]
    moderation_stage: Literal["input", "output", "unknown"]


class ImageGenerationError(TypedDict):
    """The error of an image generation call."""

    type: str
    code: str | None
    message: str
    param: str | None
    moderation_details: NotRequired[ModerationDetails | None]


class SvgUsage(TypedDict):
    """The token usage of a generated SVG image."""

    model: str
    input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    total_tokens: int


class ImageGenerationCall(EchoedFields):
    """An image generation call; its options may be any string."""

    type: Annotated[
        Literal["image_generation_call"], ItemType("ig", text=("revised_prompt", "error"))
    ]
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
    """The logs of a code interpreter call."""

    type: Literal["logs"]
    logs: str


class CodeImage(TypedDict):
    """An image made by a code interpreter call."""

    type: Literal["image"]
    url: str


class CodeInterpreterCall(EchoedFields):
    """A code interpreter call."""

    type: Annotated[Literal["code_interpreter_call"], ItemType("ci", text=("code", "outputs"))]
    id: NotRequired[Id | None]
    code: str | None
    container_id: str
    outputs: ListOf[Annotated[CodeLogs | CodeImage, TaggedUnion()]] | None
    status: Literal["in_progress", "completed", "incomplete", "interpreting", "failed"]


class MCPTool(TypedDict):
    """A tool of an MCP server."""

    name: str
    input_schema: dict[str, object]
    annotations: NotRequired[dict[str, object] | None]
    description: NotRequired[str | None]


class MCPListTools(EchoedFields):
    """The list of an MCP server's tools."""

    type: Annotated[
        Literal["mcp_list_tools"], ItemType("mcpl", text=("server_label", "tools", "error"))
    ]
    id: NotRequired[Id | None]
    server_label: str
    tools: ListOf[MCPTool]
    error: NotRequired[str | None]


class MCPApprovalRequest(EchoedFields):
    """A request for a person's approval of an MCP call."""

    type: Annotated[
        Literal["mcp_approval_request"],
        ItemType("mcpr", text=("server_label", "name", "arguments")),
    ]
    id: NotRequired[Id | None]
    arguments: str
    name: str
    server_label: str


class MCPApprovalResponse(EchoedFields):
    """A person's response to an approval request."""

    type: Annotated[Literal["mcp_approval_response"], ItemType("mcpa", text=("reason",))]
    id: NotRequired[Id | None]
    approval_request_id: CallId
    approve: bool
    reason: NotRequired[str | None]


class MCPProtocolError(TypedDict):
    """A violation of the MCP protocol by the server."""

    type: Literal["mcp_protocol_error"]
    code: int
    message: str


class MCPToolExecutionError(TypedDict):
    """A failure of the tool; `content` comes from the server."""

    type: Literal["mcp_tool_execution_error"]
    content: object


class MCPHTTPError(TypedDict):
    """An HTTP error in the call of the MCP server."""

    type: Literal["http_error"]
    code: int
    message: str


class MCPCall(EchoedFields):
    """A call of an MCP tool; `error` is a string, or OpenAI's object."""

    type: Annotated[
        Literal["mcp_call"],
        ItemType("mcp", text=("server_label", "name", "arguments", "output", "error")),
    ]
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
