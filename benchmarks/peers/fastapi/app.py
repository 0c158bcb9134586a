"""The two main routes with FastAPI, Mangum and boto3: a row for each item, and no promises.

The body is read by the contract's own `parse_append`, so that both check the same in the same time.
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
def refuse(_: Request, error: ApiError) -> JSONResponse:
    """The contract's refusals."""
    return JSONResponse(error.envelope(), error.kind.statuses[0])


async def read_batch(request: Request) -> AppendItems:
    """The body, checked against the contract."""
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
                        "sk": {"S": f"i#{now:020}#{place:02}"},
                        "item": {"S": json.dumps(item)},
                    },
                }
            }
            for place, item in enumerate(items)
        ]
    )
    return page(items, has_more=False)


@app.get(ITEMS)
def list_items(
    conversation_id: str,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: str = "asc",
) -> dict[str, Any]:
    """The first or the last items."""
    answer = dynamodb.query(
        TableName=TABLE,
        KeyConditionExpression="pk = :pk AND begins_with(sk, :items)",
        ExpressionAttributeValues={":pk": {"S": conversation_id}, ":items": {"S": "i#"}},
        ScanIndexForward=order == "asc",
        Limit=limit,
    )
    items = [json.loads(row["item"]["S"]) for row in answer["Items"]]
    return page(items, has_more="LastEvaluatedKey" in answer)


def page(items: list[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """A list in the manner of OpenAI."""
    ends = [item["id"] for item in (items[:1] + items[-1:])] or [""]
    return {
        "object": "list",
        "data": items,
        "first_id": ends[0],
        "last_id": ends[-1],
        "has_more": has_more,
    }


lambda_handler = Mangum(app, lifespan="off")
