"""Messages of Assistants threads, as far as an import reads them."""

from typing import Annotated, Literal, NotRequired, TypedDict

from pydantic import Tag, with_config

from conversations.contract.fields import STRICT, Id, ListOf, TaggedUnion, union_tag
from conversations_cli.archive_file import Seconds

_OTHER = "type=other"


class Typed(TypedDict):
    """An annotation, a tool, or a part of a type without an equivalent."""

    type: str


class Text(TypedDict):
    """The text of a part."""

    value: str
    annotations: NotRequired[ListOf[Typed] | None]


class TextPart(TypedDict):
    """A text."""

    type: Literal["text"]
    text: Text


class RefusalPart(TypedDict):
    """A refusal."""

    type: Literal["refusal"]
    refusal: str


class ImageFile(TypedDict):
    """An image by file id."""

    file_id: str
    detail: NotRequired[str | None]


class ImageFilePart(TypedDict):
    """A part with an image by file id."""

    type: Literal["image_file"]
    image_file: ImageFile


class ImageUrl(TypedDict):
    """An image by URL."""

    url: str
    detail: NotRequired[str | None]


class ImageUrlPart(TypedDict):
    """A part with an image by URL."""

    type: Literal["image_url"]
    image_url: ImageUrl


class Attachment(TypedDict):
    """A file, and the tools that may use it."""

    file_id: NotRequired[str | None]
    tools: NotRequired[ListOf[Typed] | None]


_KNOWN = {"type=text", "type=refusal", "type=image_file", "type=image_url"}


def _part_tag(part: object) -> str:
    tag = union_tag(part)
    is_other = tag.startswith("type=") and tag not in {*_KNOWN, "type="}
    return _OTHER if is_other else tag


Part = Annotated[
    TextPart | RefusalPart | ImageFilePart | ImageUrlPart | Annotated[Typed, Tag(_OTHER)],
    TaggedUnion(_part_tag),
]


@with_config(STRICT)
class ThreadMessage(TypedDict):
    """The fields of a message that this import reads; the contract validates the others."""

    id: str
    thread_id: Id
    created_at: Seconds
    role: str
    content: ListOf[Part]
    attachments: NotRequired[ListOf[Attachment] | None]
