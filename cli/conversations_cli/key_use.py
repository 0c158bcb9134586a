"""Last use of a key, by the log of the API function."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

from conversations_cli.log_query import query_api_log

if TYPE_CHECKING:
    from conversations_cli.command_line import Aws

DAYS = 30


def last_use(aws: Aws, key_id: str) -> int | None:
    """Return the time of the key's last request, in seconds; None if the log has none."""
    query = (
        f'filter key_id = "{key_id}" and message = "request" '
        "| fields @message | sort @timestamp desc | limit 1"
    )
    for row in query_api_log(aws, query, DAYS):
        return int(datetime.fromisoformat(json.loads(row["@message"])["timestamp"]).timestamp())
    return None
