"""Fingerprint of a suspended run: its frames, and the values of all their variables.

Two runs with identical frames and locals have identical futures, unless they differ in a temporary
value that no variable holds; `test_interleavings.py` compares with a search without fingerprints.
"""

from __future__ import annotations

import functools
import types
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

PLAIN = (
    *(type(None), bool, int, float, str, bytes, range),
    *(type, types.ModuleType, types.CodeType),
)


class UnknownValueError(TypeError):
    """Value of a type whose contents cannot be read."""


def fingerprint(error: BaseException, driver: str, known: tuple[type, ...]) -> Hashable:
    """Return the fingerprint of an error's frames, without those of the file *driver*.

    Values of *known* types are ignored.
    """
    return _Fingerprinter(driver, known).frames(error)


class _Fingerprinter:
    def __init__(self, driver: str, known: tuple[type, ...]) -> None:
        self._driver = driver
        self._known = known
        self._visited: dict[int, int] = {}

    def frames(self, error: BaseException) -> Hashable:
        return tuple(
            (frame.f_code, last, self._pairs(frame.f_locals))
            for frame, last in _frames(error.__traceback__)
            if frame.f_code.co_filename != self._driver
        )

    def _of(self, value: Any) -> Hashable:  # noqa: C901, PLR0911 - one kind after another
        if isinstance(value, PLAIN):
            return (type(value).__name__, cast("Hashable", value))
        if isinstance(value, self._known):
            return type(value).__name__
        if id(value) in self._visited:
            return (_Fingerprinter, self._visited[id(value)])
        self._visited[id(value)] = len(self._visited)
        match value:
            case dict():
                return (dict, self._pairs(value))
            case list() | tuple():
                return (type(value), tuple(map(self._of, value)))
            case set() | frozenset():
                return (type(value), frozenset(map(self._of, value)))
            case BaseException():
                return (type(value), self._of(value.args), self.frames(value))
            case types.FunctionType():
                cells = [cell.cell_contents for cell in value.__closure__ or ()]
                return (value.__code__, self._of(cells))
            case functools.partial():
                return (self._of(value.func), self._of(value.args))
            case types.MethodType():
                return (value.__func__, self._of(value.__self__))
            case types.GeneratorType():
                frame = value.gi_frame
                return frame and (frame.f_code, frame.f_lasti, self._pairs(frame.f_locals))
        return self._fields(value)

    def _fields(self, value: Any) -> Hashable:
        names = [name for kind in type(value).__mro__ for name in vars(kind).get("__slots__", ())]
        if not names and not hasattr(value, "__dict__"):
            raise UnknownValueError(type(value))
        fields = {name: getattr(value, name) for name in names} | getattr(value, "__dict__", {})
        return (type(value), self._pairs(fields))

    def _pairs(self, values: dict[Any, Any]) -> Hashable:
        return tuple((name, self._of(value)) for name, value in values.items())


def _frames(traceback: types.TracebackType | None) -> Iterator[tuple[types.FrameType, int]]:
    while traceback:
        yield traceback.tb_frame, traceback.tb_lasti
        traceback = traceback.tb_next
