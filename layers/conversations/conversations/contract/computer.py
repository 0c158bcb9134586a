"""Calls that control a computer, and the screenshots that they return."""

from typing import Annotated, Literal, NotRequired, TypedDict

from conversations.contract.fields import (
    CallId,
    EchoedFields,
    Id,
    ItemType,
    ListOf,
    Status,
    TaggedUnion,
)


class Point(TypedDict):
    """A position on the screen, in pixels."""

    x: int
    y: int


class HeldKeys(TypedDict):
    """Modifier keys held during an action."""

    keys: NotRequired[ListOf[str] | None]


class Click(Point, HeldKeys):
    """A click of a mouse button."""

    type: Literal["click"]
    button: Literal["left", "right", "wheel", "back", "forward"]


class DoubleClick(Point, HeldKeys):
    """A double click of the left mouse button."""

    type: Literal["double_click"]


class Drag(HeldKeys):
    """A drag along a path of points."""

    type: Literal["drag"]
    path: ListOf[Point]


class KeyPress(TypedDict):
    """A press of one or more keys together."""

    type: Literal["keypress"]
    keys: ListOf[str]


class Move(Point, HeldKeys):
    """A movement of the mouse pointer."""

    type: Literal["move"]


class Screenshot(TypedDict):
    """A request for a screenshot."""

    type: Literal["screenshot"]


class Scroll(Point, HeldKeys):
    """A scroll, in pixels."""

    type: Literal["scroll"]
    scroll_x: int
    scroll_y: int


class TypeText(TypedDict):
    """Text typed on the keyboard."""

    type: Literal["type"]
    text: str


class Wait(TypedDict):
    """A pause."""

    type: Literal["wait"]


Action = Annotated[
    Click | DoubleClick | Drag | KeyPress | Move | Screenshot | Scroll | TypeText | Wait,
    TaggedUnion(),
]


class SafetyCheck(TypedDict):
    """A pending or acknowledged safety warning about an action."""

    id: str
    code: NotRequired[str | None]
    message: NotRequired[str | None]


class ComputerCall(EchoedFields):
    """A computer call, with one `action` or OpenAI's list of `actions`."""

    type: Annotated[
        Literal["computer_call"],
        ItemType("cu", text=("action", "actions", "pending_safety_checks")),
    ]
    id: NotRequired[Id | None]
    call_id: CallId
    action: NotRequired[Action | None]
    actions: NotRequired[ListOf[Action] | None]
    pending_safety_checks: ListOf[SafetyCheck]
    status: Status


class ComputerScreenshot(TypedDict):
    """A screenshot, by file id or by URL."""

    type: Literal["computer_screenshot"]
    file_id: NotRequired[str | None]
    image_url: NotRequired[str | None]


class ComputerCallOutput(EchoedFields):
    """The output of a computer call: a screenshot."""

    type: Annotated[
        Literal["computer_call_output"], ItemType("cuo", text=("acknowledged_safety_checks",))
    ]
    id: NotRequired[Id | None]
    call_id: CallId
    output: ComputerScreenshot
    acknowledged_safety_checks: NotRequired[ListOf[SafetyCheck] | None]
    status: NotRequired[Status | None]
