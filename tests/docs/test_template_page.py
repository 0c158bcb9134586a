"""`docs/template.md` has the template's parameters, and a page of AWS for each property."""

from __future__ import annotations

import re
import runpy

import pytest

from local.intrinsics import read_document, section
from local.template import TEMPLATE
from tests.support.paths import DOCS, ROOT

TEXT = (DOCS / "template.md").read_text(encoding="utf-8")
MAKER = runpy.run_path(str(ROOT / "tools" / "parameters_page.py"))
PROPERTIES = TEXT.split("## Properties and their pages")[1]
ROWS = re.findall(r"^\| (.*) \| (.*) \| (.*) \|$", PROPERTIES, flags=re.MULTILINE)[2:]
UNTRIED = (DOCS / "smoke.md").read_text(encoding="utf-8").split("## Not tried on AWS")[1]


def test_the_table_of_parameters_is_fresh() -> None:
    assert MAKER["page"](TEXT) == TEXT, "run `make parameters`"


def test_every_parameter_is_in_the_table() -> None:
    named = re.findall(r"^\| `(\w+)` \|", TEXT.split("## Properties")[0], flags=re.MULTILINE)

    assert named == [*section(read_document(TEMPLATE), "Parameters")]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row[0]))
def test_a_property_has_its_page_and_who_tried_it(row: tuple[str, str, str]) -> None:
    _, page, tried = row

    assert re.match(r"\[.*https://docs.aws.amazon.com/|no page: SAM's code", page)
    assert tried


@pytest.mark.parametrize(
    "name", [name for name, page, tried in ROWS if "nobody" in tried or "no page" in page]
)
def test_the_page_of_the_smoke_test_says_how_to_try_what_nobody_has(name: str) -> None:
    words = re.findall(r"`(.+?)`", name) or [name]

    assert [word for word in words if word not in UNTRIED] == []


@pytest.mark.parametrize(
    "name", sorted({word for name, _, _ in ROWS for word in re.findall(r"`([A-Z]\w+)[`:]", name)})
)
def test_a_property_that_is_named_is_in_the_template(name: str) -> None:
    assert re.search(rf"\b{name}\b", TEMPLATE.read_text(encoding="utf-8"))
