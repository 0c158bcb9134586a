"""Function that counts the records of each note, and reports those named poison as failed."""

import os
from typing import Any

import boto3


def lambda_handler(event: dict[str, Any], _: object) -> dict[str, object]:
    dynamodb = boto3.client("dynamodb")
    failures = []
    for record in event["Records"]:
        note = record["dynamodb"]["Keys"]["id"]["S"]
        dynamodb.update_item(
            TableName=os.environ["HEARD_TABLE"],
            Key={"id": {"S": note}},
            UpdateExpression="ADD times :one SET arn = :arn",
            ExpressionAttributeValues={
                ":one": {"N": "1"},
                ":arn": {"S": record["eventSourceARN"]},
            },
        )
        if note.startswith("poison"):
            failures.append({"itemIdentifier": record["dynamodb"]["SequenceNumber"]})
            break
    return {"batchItemFailures": failures}
