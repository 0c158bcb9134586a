"""Restore of a deleted conversation by the runbook, on moto: objects, then rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.http_helpers import HELLO, LARGE

if TYPE_CHECKING:
    import httpx

    from local.stack import DevStack


def test_a_deleted_conversation_comes_back_from_the_table_as_it_was(
    stack: DevStack, client: httpx.Client, owner: str
) -> None:
    dynamodb, s3 = stack.resources.dynamodb, stack.resources.s3
    table, bucket = stack.template.name("ConversationsTable"), stack.template.name("PayloadBucket")
    path = f"/conversations/{client.post('/conversations', json={'items': [HELLO]}).json()['id']}"
    client.post(f"{path}/items", json={"items": [LARGE]})
    before = client.get(f"{path}/items").json()
    pk = f"{owner}/{path.rpartition('/')[2]}"
    with stack.engine.lock:
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        dynamodb.update_continuous_backups(
            TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )
        dynamodb.restore_table_to_point_in_time(
            SourceTableName=table, TargetTableName="then", UseLatestRestorableTime=True
        )
    client.delete(path)
    stack.drain_streams()
    assert client.get(path).status_code == 404

    with stack.engine.lock:
        for marker in s3.list_object_versions(Bucket=bucket, Prefix=f"{pk}/")["DeleteMarkers"]:
            assert marker["IsLatest"]
            s3.delete_object(Bucket=bucket, Key=marker["Key"], VersionId=marker["VersionId"])
        rows = dynamodb.query(
            TableName="then",
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": pk}},
        )["Items"]
        for row in sorted(rows, key=lambda row: row["sk"]["S"] == "c"):
            dynamodb.put_item(TableName=table, Item=row)
        dynamodb.delete_table(TableName="then")

    assert client.get(f"{path}/items").json() == before
