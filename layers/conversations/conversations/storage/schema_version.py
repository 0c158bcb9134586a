"""Schema version of a conversation's rows.

Rows of the first version have no version attribute. A later version will be the number `v` in the
conversation row. This release neither changes nor returns a conversation whose row has `v`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conversations.storage.rows import Row

SUPPORTED_CONDITION = "attribute_not_exists(v)"
"""Condition of a conversation row that this release may change."""


class UnsupportedSchemaVersionError(Exception):
    """A row that a newer release wrote. The row was neither used nor changed."""


def check_version(row: Row) -> None:
    """Reject rows written by a newer schema version.

    Raises:
        UnsupportedSchemaVersionError: *row* has a version attribute.
    """
    if "v" in row:
        raise UnsupportedSchemaVersionError(
            f"A row has schema version {row['v']['N']}, which this release does not support."
        )
