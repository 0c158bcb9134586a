"""Queries of CloudWatch Logs Insights."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conversations_cli.command_line import Aws

API_LOG_GROUP = "ApiLogGroupName"
"""The stack's output with the name of the log group; a local stack has no log."""
POLL_SECONDS = 0.5
RUNNING = {"Scheduled", "Running"}


def query_api_log(aws: Aws, query: str, days: int) -> Sequence[Mapping[str, str]]:
    """Return the rows of a query of the last *days* of the API function's log.

    Raises:
        click.ClickException: the query did not complete, or the stack has no such output.
        ClientError: the log group does not exist.
    """
    group = aws.outputs().get(API_LOG_GROUP)
    if group is None:
        raise click.ClickException(
            f"The stack lacks the output {API_LOG_GROUP}. Deploy this release."
        )
    logs, now = aws.session.client("logs"), int(time.time())
    query_id = logs.start_query(
        logGroupName=group,
        startTime=now - days * 24 * 3600,
        endTime=now,
        queryString=query,
    )["queryId"]
    while (response := logs.get_query_results(queryId=query_id))["status"] in RUNNING:
        time.sleep(POLL_SECONDS)
    if response["status"] != "Complete":
        raise click.ClickException(
            f"The query of the log group '{group}' ended with the status '{response['status']}'."
            " Run the command again."
        )
    return [{field["field"]: field["value"] for field in row} for row in response["results"]]
