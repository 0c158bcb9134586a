"""Send one request with each client and print where it goes; nothing leaves the process.

`tests/template/test_build.py` runs this file with the built layer alone.
"""

from __future__ import annotations

import json
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HTTPHeaders

from conversations import aws_clients


class Body:
    """The part of a urllib3 response that botocore reads."""

    def stream(self, *_: object, **__: object) -> list[bytes]:
        return [b"{}"]


def main() -> None:
    """Print, by service, the URL of a request and the region that it is signed for."""
    sent: dict[str, tuple[str, str]] = {}

    def respond(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        region, service = str(request.headers["Authorization"]).split("/")[2:4]
        sent[service] = (str(request.url), region)
        return AWSResponse(request.url, 200, HTTPHeaders(), Body())

    dynamodb: Any = aws_clients.dynamodb()
    s3: Any = aws_clients.s3()
    for client in (dynamodb, s3):
        client.meta.events.register("before-send", respond)
    dynamodb.get_item(TableName="conversations", Key={"pk": {"S": "a"}, "sk": {"S": "C"}})
    s3.get_object(Bucket="payloads", Key="a")
    print(json.dumps(sent))  # noqa: T201 - what the test reads


if __name__ == "__main__":
    main()
