"""Queries of CloudWatch Logs Insights."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conversations_cli.command_line import Aws

POLL_SECONDS = 0.5
RUNNING = {"Scheduled", "Running"}


def query_log(aws: Aws, group: str, query: str, days: int) -> Sequence[Mapping[str, str]]:
    """Return the rows of a query of the last *days* of a log group.

    Raises:
        click.ClickException: the query did not complete.
        ClientError: the log group does not exist.
    """
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
