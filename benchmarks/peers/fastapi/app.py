"""The two main routes with FastAPI, Mangum and boto3: one row per item, without idempotency.

The contract's own `parse_append` validates the body, so that both services validate the same.
"""

import json
import os
import time
import uuid
from typing import Annotated, Any

import boto3
from fastapi import Depends, FastAPI, Query, Request
from fastapi.responses import JSONResponse
from mangum import Mangum

from conversations.contract.bodies import AppendItems, parse_append
from conversations.errors import ApiError

TABLE = os.environ["CONVERSATIONS_TABLE"]
ITEMS = "/api/v1/llm/conversations/{conversation_id}/items"

app = FastAPI()
dynamodb = boto3.client("dynamodb")


@app.exception_handler(ApiError)
def error_response(_: Request, error: ApiError) -> JSONResponse:
    """Return the contract's error response."""
    return JSONResponse(error.envelope(), error.spec.statuses[0])


async def read_batch(request: Request) -> AppendItems:
    """Return the validated body."""
    return parse_append(await request.body())


@app.post(ITEMS)
def append_items(
    conversation_id: str, batch: Annotated[AppendItems, Depends(read_batch)]
) -> dict[str, Any]:
    """Append a batch of items in one transaction."""
    now = time.time_ns()
    items = [{"id": f"item_{uuid.uuid4().hex}", **item} for item in batch["items"]]
    dynamodb.transact_write_items(
        TransactItems=[
            {
                "Put": {
                    "TableName": TABLE,
                    "Item": {
                        "pk": {"S": conversation_id},
                        "sk": {"S": f"i#{now:020}#{index:02}"},
                        "item": {"S": json.dumps(item)},
                    },
                }
            }
            for index, item in enumerate(items)
        ]
    )
    return page(items, has_more=False)


@app.get(ITEMS)
def list_items(
    conversation_id: str,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: str = "asc",
) -> dict[str, Any]:
    """List the first or the last items."""
    response = dynamodb.query(
        TableName=TABLE,
        KeyConditionExpression="pk = :pk AND begins_with(sk, :items)",
        ExpressionAttributeValues={":pk": {"S": conversation_id}, ":items": {"S": "i#"}},
        ScanIndexForward=order == "asc",
        Limit=limit,
    )
    items = [json.loads(row["item"]["S"]) for row in response["Items"]]
    return page(items, has_more="LastEvaluatedKey" in response)


def page(items: list[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """Return a list in OpenAI's format."""
    ends = [item["id"] for item in (items[:1] + items[-1:])] or [""]
    return {
        "object": "list",
        "data": items,
        "first_id": ends[0],
        "last_id": ends[-1],
        "has_more": has_more,
    }


lambda_handler = Mangum(app, lifespan="off")
