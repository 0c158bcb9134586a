"""Version of a conversation's rows.

The first version has no name. A later one will be the number `v` on the conversation row. This
release neither changes nor shows a conversation that has one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

IS_SUPPORTED = "attribute_not_exists(v)"
"""The condition under which this release may change a conversation."""


class UnsupportedSchemaVersionError(Exception):
    """A row was written by a newer release; nothing was done with it."""


def check_version(row: Mapping[str, AttributeValueTypeDef]) -> None:
    """Reject rows written by a newer schema version.

    Raises:
        UnsupportedSchemaVersionError: *row* has a version.
    """
    if "v" in row:
        raise UnsupportedSchemaVersionError(
            f"A row has version {row['v']['N']}; this release supports only the first."
        )
