"""The version of a conversation's rows, by which a release knows what it does not know.

The first has no name. A later one will be `v` on the conversation's own row: whatever has one is of
a newer release, and is neither changed nor shown by this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

IS_KNOWN = "attribute_not_exists(v)"
"""The condition under which a release may change a conversation."""


class NewerRowError(Exception):
    """A row of a release that is newer than this one; nothing was done with it."""


def check_version(row: Mapping[str, AttributeValueTypeDef]) -> None:
    """Keep off a row that this release may misread.

    Raises:
        NewerRowError: it is one.
    """
    if "v" in row:
        raise NewerRowError(f"A row has version {row['v']['N']}; this release knows the first.")
