"""Sessions of boto3 whose clients fail with one sentence where botocore raises any error."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, override

import boto3
import click
from botocore.parsers import ResponseParserError

if TYPE_CHECKING:
    from botocore.awsrequest import AWSResponse


class AwsSession(boto3.Session):
    """Session for AWS, with the configuration of the shell."""

    @override
    def client(self, *given: Any, **options: Any) -> Any:
        """Return a client of a service.

        Raises:
            click.ClickException: the configuration has a value that botocore cannot parse.
        """
        try:
            client = super().client(*given, **options)
        except ValueError as error:
            raise click.ClickException(f"The AWS configuration is not valid: {error}") from error
        client.meta.events.register("after-call", require_no_page, unique_id="require_no_page")
        return client


class LocalSession(boto3.Session):
    """Session for the emulator of a running `make run`, instead of AWS."""

    def __init__(self, endpoint: str, region: str) -> None:
        super().__init__("local", "local", region_name=region)
        to_emulator = functools.partial(super().client, endpoint_url=endpoint)
        self.client = to_emulator  # type: ignore[method-assign] # has 400 overloads


def require_no_page(http_response: AWSResponse, **_: object) -> None:
    """Reject a response in HTML, which a proxy sends; botocore takes it for an empty response.

    Raises:
        ResponseParserError: the response is in HTML.
    """
    if "html" in http_response.headers.get("content-type", ""):
        raise ResponseParserError("the response is an HTML page. Is there a proxy?")
