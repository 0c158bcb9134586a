"""`docs/keys.md` has the limits of the template's plans."""

from __future__ import annotations

import re

from local.intrinsics import mapping, read_document, section
from local.template import TEMPLATE
from tests.support.paths import DOCS

ROW = re.compile(r"^\| `(\w+)` \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$", re.MULTILINE)


def test_the_table_of_plans_has_the_limits_of_the_template() -> None:
    page = (DOCS / "keys.md").read_text(encoding="utf-8")
    shown = {
        name: [int(cell.replace(",", "")) for cell in cells] for name, *cells in ROW.findall(page)
    }

    plans = section(section(read_document(TEMPLATE), "Mappings"), "Plans")

    assert shown == {
        name: [mapping(plan)[limit] for limit in ("Rate", "Burst", "Quota")]
        for name, plan in plans.items()
    }
