"""Parser and evaluator of the DynamoDB expressions that the store uses."""

from __future__ import annotations

import functools
import operator
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    type Row = dict[str, Any]
    type Term = Callable[[Row, Row], Any]
    """Function of a row and of the placeholders' values."""

_TOKEN = re.compile(r"\s*([A-Za-z_][A-Za-z_0-9]*|[:#][A-Za-z_0-9]+|<>|<=|>=|[<>=(),+-])")
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_SUMS: dict[str, Callable[[int, int], int]] = {"+": operator.add, "-": operator.sub}
_CLAUSES = {"SET", "REMOVE", "ADD"}


def holds(expression: str | None, row: Row, request: Row) -> bool:
    """Return whether a condition holds for a *row*, which is empty if it does not exist."""
    if expression is None:
        return True
    return bool(_condition(expression)(_renamed(row, request), _values(request)))


def updated(expression: str, row: Row, request: Row) -> Row:
    """Return the *row* after an update, whose operands are values before the update."""
    names = request.get("ExpressionAttributeNames", {})
    after = dict(row)
    for path, change in _update(expression):
        value = change(row, _values(request))
        name = names.get(path, path)
        after = {**after, name: value} if value else {k: v for k, v in after.items() if k != name}
    return after


def _values(request: Row) -> Row:
    values: Row = request.get("ExpressionAttributeValues", {})
    return values


def _renamed(row: Row, request: Row) -> Row:
    names = request.get("ExpressionAttributeNames", {})
    return {**row, **{alias: row[name] for alias, name in names.items() if name in row}}


@functools.cache
def _condition(expression: str) -> Term:
    parser = _Parser(expression)
    condition = parser.either()
    parser.end()
    return condition


@functools.cache
def _update(expression: str) -> list[tuple[str, Term]]:
    parser = _Parser(expression)
    changes = [*parser.changes()]
    parser.end()
    return changes


class _Parser:
    def __init__(self, expression: str) -> None:
        self._tokens = _TOKEN.findall(expression)
        assert "".join(self._tokens) == re.sub(r"\s", "", expression), expression

    def end(self) -> None:
        assert not self._tokens, self._tokens

    def either(self) -> Term:
        terms = self._joined("OR", self._all)
        return lambda row, values: any(term(row, values) for term in terms)

    def changes(self) -> list[tuple[str, Term]]:
        found: list[tuple[str, Term]] = []
        while self._tokens:
            clause = self._take(*_CLAUSES)
            found += self._joined(
                ",", {"SET": self._set, "REMOVE": self._remove}.get(clause, self._add)
            )
        return found

    def _joined[Part](self, joint: str, part: Callable[[], Part]) -> list[Part]:
        parts = [part()]
        while self._is_next(joint):
            self._take(joint)
            parts.append(part())
        return parts

    def _all(self) -> Term:
        terms = self._joined("AND", self._one)
        return lambda row, values: all(term(row, values) for term in terms)

    def _one(self) -> Term:
        if self._is_next("("):
            self._take("(")
            inner = self.either()
            self._take(")")
            return inner
        if self._tokens[1] == "(":
            return self._function()
        left, sign = self._operand(), self._take(*_COMPARISONS, "BETWEEN")
        if sign == "BETWEEN":
            return self._between(left)
        right = self._operand()
        return lambda row, values: _compare(sign, left(row, values), right(row, values))

    def _between(self, middle: Term) -> Term:
        low, _, high = self._operand(), self._take("AND"), self._operand()
        return lambda row, values: (
            _compare("<=", low(row, values), middle(row, values))
            and _compare("<=", middle(row, values), high(row, values))
        )

    def _function(self) -> Term:
        name = self._take("attribute_exists", "attribute_not_exists", "begins_with")
        self._take("(")
        [path, *arguments] = self._joined(",", self._take)
        self._take(")")
        if name == "begins_with":
            [start] = arguments
            return lambda row, values: row[path]["S"].startswith(values[start]["S"])
        return lambda row, _: (path in row) == (name == "attribute_exists")

    def _set(self) -> tuple[str, Term]:
        path = self._take()
        self._take("=")
        first = self._operand()
        if not (self._is_next("+") or self._is_next("-")):
            return path, first
        sign, second = self._take(*_SUMS), self._operand()
        return path, lambda row, values: _sum(sign, first(row, values), second(row, values))

    def _remove(self) -> tuple[str, Term]:
        return self._take(), lambda _row, _values: None

    def _add(self) -> tuple[str, Term]:
        path, value = self._take(), self._operand()
        return path, lambda row, values: _sum("+", row.get(path, {"N": "0"}), value(row, values))

    def _operand(self) -> Term:
        name = self._take()
        if name == "if_not_exists":
            self._take("(")
            path, _, default = self._take(), self._take(","), self._operand()
            self._take(")")
            return lambda row, values: row.get(path) or default(row, values)
        if name.startswith(":"):
            return lambda _, values: values[name]
        return lambda row, _: row.get(name)

    def _is_next(self, token: str) -> bool:
        return self._tokens[:1] == [token]

    def _take(self, *allowed: str) -> str:
        token: str = self._tokens.pop(0)
        assert not allowed or token in allowed, token
        return token


def _compare(sign: str, left: Row | None, right: Row | None) -> bool:
    """Compare two values; the result is false if their types differ or one is missing."""
    if left is None or right is None or left.keys() != right.keys():
        return sign == "<>"
    return _COMPARISONS[sign](_native(left), _native(right))


def _native(value: Row) -> Any:
    [(kind, inner)] = value.items()
    return int(inner) if kind == "N" else inner


def _sum(sign: str, left: Row, right: Row) -> Row:
    return {"N": str(_SUMS[sign](int(left["N"]), int(right["N"])))}
