"""The pages function: browsers ask it, without a key, for the console and the API reference.

Each page is one HTML file, which loads nothing from any other address. It is assembled from the
files of its folder, and its Content-Security-Policy names the hashes of what was put in.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aws_lambda_powertools
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext

FOLDER = Path(__file__).parent
SWAGGER_UI = Path(aws_lambda_powertools.__file__).parent / "event_handler/openapi/swagger_ui"
"""Where Powertools has Swagger UI. The layer leaves it out; the artifact has it in `reference`."""
PAGES = {"/console": "console", "/api/v1/llm/docs": "reference", "/v1/docs": "reference"}
"""The folder of each route's page."""
EVERY_PAGE = {
    "default-src": "'none'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
POLICIES: Mapping[str, Mapping[str, str]] = {
    "console": {
        "img-src": "data:",
        "media-src": "data:",
        # Only DOMPurify may turn text into markup.
        "require-trusted-types-for": "'script'",
        "trusted-types": "dompurify",
    },
    # React, which draws Swagger UI, writes a few style attributes.
    "reference": {"img-src": "data:", "style-src-attr": "'unsafe-inline'"},
}
HEADERS = {
    "Cache-Control": "no-cache",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_STYLE = re.compile(r'<link rel="stylesheet" href="([\w./-]+)">')
_SCRIPT = re.compile(r'<script src="([\w./-]+)"></script>')

logger = Logger(use_rfc3339=True)


@dataclass(frozen=True, slots=True)
class Page:
    """An assembled page, and the headers that belong to it."""

    html: str
    policy: str
    etag: str


def lambda_handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
    """Return the response to one GET or HEAD of API Gateway, which omits the body of a HEAD."""
    request = APIGatewayProxyEvent(event)
    response = _page_response(page(PAGES[event["resource"]]), request)
    request_id = event["requestContext"]["requestId"]
    route = f"{event['httpMethod']} {event['resource']}"
    logger.info("request", request_id=request_id, route=route, status=response["statusCode"])
    response["headers"] |= {**HEADERS, "x-request-id": request_id}
    return response


def _page_response(found: Page, request: APIGatewayProxyEvent) -> dict[str, Any]:
    headers = {"ETag": found.etag, "Content-Security-Policy": found.policy}
    # A proxy that compresses the page marks the tag as weak.
    if found.etag.removeprefix("W/") in request.headers.get("If-None-Match", ""):
        return {"statusCode": 304, "headers": headers}
    headers["Content-Type"] = "text/html; charset=utf-8"
    return {"statusCode": 200, "headers": headers, "body": found.html}


@functools.cache
def page(folder: str) -> Page:
    """Return the page whose `index.html` is in *folder*, with its styles and scripts put in."""
    hashes: dict[str, list[str]] = {"style": [], "script": []}

    def put_in(element: str, match: re.Match[str]) -> str:
        text = _read(FOLDER / folder / match[1])
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        hashes[element].append(f"'sha256-{digest}'")
        return f"<{element}>{text}</{element}>"

    html = _read(FOLDER / folder / "index.html")
    html = _STYLE.sub(functools.partial(put_in, "style"), html)
    html = _SCRIPT.sub(functools.partial(put_in, "script"), html)
    directives = {
        **EVERY_PAGE,
        **{f"{element}-src": " ".join(found) for element, found in hashes.items()},
        **POLICIES[folder],
    }
    policy = "; ".join(f"{name} {value}" for name, value in directives.items())
    etag = f'W/"{hashlib.sha256((policy + html).encode()).hexdigest()[:32]}"'
    return Page(html, policy, etag)


def _read(path: Path) -> str:
    """Return a page's file, or that of Swagger UI which has its name."""
    return (path if path.exists() else SWAGGER_UI / path.name).read_text(encoding="utf-8")
