"""What messages and tool outputs are made of: text, images, files, audio, and citations."""

from collections.abc import Callable, Mapping
from typing import Annotated, Literal, NotRequired, TypedDict

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from conversations.contract.fields import ListOf, TaggedUnion


class PromptCacheBreakpoint(TypedDict):
    """Where a cached prompt ends."""

    mode: Literal["explicit"]
    ttl: NotRequired[Literal["30m", "12h"] | None]


class CacheablePart(TypedDict):
    """What every input part may say about caching."""

    prompt_cache_breakpoint: NotRequired[PromptCacheBreakpoint | None]


class InputText(CacheablePart):
    """Text for the model."""

    type: Literal["input_text"]
    text: str


class InputImage(CacheablePart):
    """An image for the model, by file or by URL."""

    type: Literal["input_image"]
    detail: NotRequired[Literal["high", "low", "auto", "original"] | None]
    file_id: NotRequired[str | None]
    image_url: NotRequired[str | None]


class InputFile(CacheablePart):
    """A file for the model, inline, by file or by URL."""

    type: Literal["input_file"]
    detail: NotRequired[Literal["auto", "low", "high"] | None]
    file_data: NotRequired[str | None]
    file_id: NotRequired[str | None]
    file_url: NotRequired[str | None]
    filename: NotRequired[str | None]


class AudioClip(TypedDict):
    """Encoded sound."""

    data: str
    format: Literal["mp3", "wav"]


class InputAudio(TypedDict):
    """Sound for the model."""

    type: Literal["input_audio"]
    input_audio: AudioClip


class Refusal(TypedDict):
    """The model's own words for not answering."""

    type: Literal["refusal"]
    refusal: str


class FileCitation(TypedDict):
    """A file that the text rests on."""

    type: Literal["file_citation"]
    file_id: str
    filename: str
    index: int


class URLCitation(TypedDict):
    """A page that a stretch of the text rests on."""

    type: Literal["url_citation"]
    url: str
    title: str
    start_index: int
    end_index: int


class ContainerFileCitation(TypedDict):
    """A file in a container that a stretch of the text rests on."""

    type: Literal["container_file_citation"]
    container_id: str
    file_id: str
    filename: str
    start_index: int
    end_index: int


class FilePath(TypedDict):
    """A file that the text offers."""

    type: Literal["file_path"]
    file_id: str
    index: int


class TopLogProb(TypedDict):
    """A token that might have been chosen."""

    token: str
    logprob: float
    bytes: ListOf[float]


class LogProb(TypedDict):
    """The token that was chosen, and its rivals."""

    token: str
    logprob: float
    bytes: ListOf[float]
    top_logprobs: ListOf[TopLogProb]


Annotation = Annotated[FileCitation | URLCitation | ContainerFileCitation | FilePath, TaggedUnion()]


class OutputText(TypedDict):
    """Text from the model."""

    type: Literal["output_text"]
    text: str
    annotations: NotRequired[ListOf[Annotation] | None]
    logprobs: NotRequired[ListOf[LogProb] | None]


def _exactly_one[Part: Mapping[str, object]](*sources: str) -> Callable[[Part], Part]:
    """A check that the part has one of *sources*; null counts as absent."""

    def check(part: Part) -> Part:
        if sum(part.get(source) is not None for source in sources) != 1:
            raise PydanticCustomError(
                "sources", "must have exactly one of {sources}", {"sources": ", ".join(sources)}
            )
        return part

    return check


Image = Annotated[InputImage, AfterValidator(_exactly_one("file_id", "image_url"))]
File = Annotated[InputFile, AfterValidator(_exactly_one("file_data", "file_id", "file_url"))]

MessagePart = Annotated[
    InputText | Image | File | InputAudio | OutputText | Refusal | str,
    TaggedUnion(),
]
OutputPart = Annotated[InputText | Image | File, TaggedUnion()]

MessageContent = Annotated[str | ListOf[MessagePart], TaggedUnion()]
ToolOutput = Annotated[str | ListOf[OutputPart], TaggedUnion()]
