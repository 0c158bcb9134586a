"""Last use of a key, by the log of the API function."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conversations_cli.command_line import Aws

DAYS = 30
POLL_SECONDS = 0.5


def last_use(aws: Aws, stack: str, key_id: str) -> int | None:
    """Return the time of the key's last request, in seconds; None if the log has none."""
    logs, now = aws.session.client("logs"), int(time.time())
    query_id = logs.start_query(
        logGroupName=f"/aws/lambda/{stack}/api",
        startTime=now - DAYS * 24 * 3600,
        endTime=now,
        queryString=(
            f'filter key_id = "{key_id}" and message = "request" '
            "| fields @message | sort @timestamp desc | limit 1"
        ),
    )["queryId"]
    while (response := logs.get_query_results(queryId=query_id))["status"] in {
        "Scheduled",
        "Running",
    }:
        time.sleep(POLL_SECONDS)
    for fields in response["results"]:
        [message] = [each["value"] for each in fields if each["field"] == "@message"]
        return int(datetime.fromisoformat(json.loads(message)["timestamp"]).timestamp())
    return None
