"""Transaction actions with a condition; if it fails, DynamoDB's reason has the existing row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conversations.storage import rows

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef

    from conversations.storage.rows import Row
    from conversations.storage.transactions import Table

ABSENT = "attribute_not_exists(pk)"


def put_if(
    table: Table, row: Row, condition: str, values: Row | None = None
) -> TransactWriteItemTypeDef:
    """Return a put under a *condition*, with the *values* of the condition."""
    put: Any = {"TableName": table.name, "Item": row} | _conditional(condition, values)
    return {"Put": put}


def check_if(
    table: Table, pk: str, sk: str, condition: str, values: Row | None = None
) -> TransactWriteItemTypeDef:
    """Return an action that checks a *condition* of a row, and changes nothing."""
    target = {"TableName": table.name, "Key": rows.primary_key(pk, sk)}
    check: Any = target | _conditional(condition, values)
    return {"ConditionCheck": check}


def if_free(now_seconds: AttributeValueTypeDef) -> tuple[str, Row]:
    """Return the condition, and its values, that a row does not exist or has expired."""
    return f"{ABSENT} OR expires_at <= :now_seconds", {":now_seconds": now_seconds}


def _conditional(condition: str, values: Row | None) -> dict[str, object]:
    expression = {
        "ConditionExpression": condition,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    return expression | ({"ExpressionAttributeValues": values} if values else {})
