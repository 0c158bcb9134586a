"""Parts of messages and tool outputs: text, images, files, audio and citations."""

from collections.abc import Callable, Mapping
from typing import Annotated, Literal, NotRequired, TypedDict

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from conversations.contract.fields import ListOf, TaggedUnion


class PromptCacheBreakpoint(TypedDict):
    """The end of a prompt prefix to cache."""

    mode: Literal["explicit"]
    ttl: NotRequired[Literal["30m", "12h"] | None]


class CacheablePart(TypedDict):
    """Fields that every input part may have."""

    prompt_cache_breakpoint: NotRequired[PromptCacheBreakpoint | None]


class InputText(CacheablePart):
    """Input text."""

    type: Literal["input_text"]
    text: str


class InputImage(CacheablePart):
    """An input image, by file id or by URL."""

    type: Literal["input_image"]
    detail: NotRequired[Literal["high", "low", "auto", "original"] | None]
    file_id: NotRequired[str | None]
    image_url: NotRequired[str | None]


class InputFile(CacheablePart):
    """An input file: inline, by file id or by URL."""

    type: Literal["input_file"]
    detail: NotRequired[Literal["auto", "low", "high"] | None]
    file_data: NotRequired[str | None]
    file_id: NotRequired[str | None]
    file_url: NotRequired[str | None]
    filename: NotRequired[str | None]


class AudioClip(TypedDict):
    """Encoded audio."""

    data: str
    format: Literal["mp3", "wav"]


class InputAudio(TypedDict):
    """Input audio."""

    type: Literal["input_audio"]
    input_audio: AudioClip


class Refusal(TypedDict):
    """A refusal by the model, in its own words."""

    type: Literal["refusal"]
    refusal: str


class FileCitation(TypedDict):
    """A citation of a file."""

    type: Literal["file_citation"]
    file_id: str
    filename: str
    index: int


class URLCitation(TypedDict):
    """A citation of a web page, for a span of the text."""

    type: Literal["url_citation"]
    url: str
    title: str
    start_index: int
    end_index: int


class ContainerFileCitation(TypedDict):
    """A citation of a file in a container, for a span of the text."""

    type: Literal["container_file_citation"]
    container_id: str
    file_id: str
    filename: str
    start_index: int
    end_index: int


class FilePath(TypedDict):
    """The path of a file that the model produced."""

    type: Literal["file_path"]
    file_id: str
    index: int


class TopLogProb(TypedDict):
    """One of the most likely tokens at a position."""

    token: str
    logprob: float
    bytes: ListOf[float]


class LogProb(TypedDict):
    """The log probability of a token, and of its alternatives."""

    token: str
    logprob: float
    bytes: ListOf[float]
    top_logprobs: ListOf[TopLogProb]


Annotation = Annotated[FileCitation | URLCitation | ContainerFileCitation | FilePath, TaggedUnion()]


class OutputText(TypedDict):
    """Output text."""

    type: Literal["output_text"]
    text: str
    annotations: NotRequired[ListOf[Annotation] | None]
    logprobs: NotRequired[ListOf[LogProb] | None]


def _requires_one_of[Part: Mapping[str, object]](*sources: str) -> Callable[[Part], Part]:
    """Return a validator that requires exactly one of *sources*; null counts as absent."""

    def require_one(part: Part) -> Part:
        if sum(part.get(source) is not None for source in sources) != 1:
            raise PydanticCustomError(
                "sources", "must have exactly one of {sources}", {"sources": ", ".join(sources)}
            )
        return part

    return require_one


Image = Annotated[InputImage, AfterValidator(_requires_one_of("file_id", "image_url"))]
File = Annotated[InputFile, AfterValidator(_requires_one_of("file_data", "file_id", "file_url"))]

MessagePart = Annotated[
    InputText | Image | File | InputAudio | OutputText | Refusal | str,
    TaggedUnion(),
]
OutputPart = Annotated[InputText | Image | File, TaggedUnion()]

MessageContent = Annotated[str | ListOf[MessagePart], TaggedUnion()]
ToolOutput = Annotated[str | ListOf[OutputPart], TaggedUnion()]
