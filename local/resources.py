"""Tables and buckets of the template, created in an engine."""

from typing import TYPE_CHECKING, Final, cast

import boto3
from botocore.config import Config

from local.errors import EngineError
from local.intrinsics import Json, JsonObject, as_text, mapping, section
from local.template import Template

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import CreateTableInputTypeDef
    from mypy_boto3_dynamodbstreams.client import DynamoDBStreamsClient
    from mypy_boto3_s3.client import S3Client

# Properties that a client can observe; encryption, recovery and protection are not.
_TABLE_PROPERTIES: Final = (
    "AttributeDefinitions",
    "BillingMode",
    "GlobalSecondaryIndexes",
    "KeySchema",
    "LocalSecondaryIndexes",
    "ProvisionedThroughput",
)


class Resources:
    """Tables and buckets under the names in the functions' environment."""

    def __init__(self, template: Template) -> None:
        self.template = template
        self.dynamodb: DynamoDBClient = boto3.client("dynamodb")
        self.s3: S3Client = boto3.client("s3")
        self.streams: DynamoDBStreamsClient = boto3.client(
            "dynamodbstreams", config=Config(retries={"total_max_attempts": 1})
        )

    def create(self) -> None:
        """Create the tables and buckets that do not exist.

        Raises:
            EngineError: an existing table has other keys than the template.
        """
        present = self.dynamodb.list_tables()["TableNames"]
        for logical_id, properties in self.template.tables.items():
            name = self.template.name(logical_id)
            if name in present:
                self._check_table(name, properties)
            else:
                self._create_table(name, properties)
        buckets = {bucket["Name"] for bucket in self.s3.list_buckets()["Buckets"]}
        for logical_id in self.template.buckets:
            if (name := self.template.name(logical_id)) not in buckets:
                self.s3.create_bucket(Bucket=name)

    def recreate(self) -> None:
        """Replace every table, with its stream, and empty every bucket."""
        for logical_id, properties in self.template.tables.items():
            name = self.template.name(logical_id)
            self.dynamodb.delete_table(TableName=name)
            self._create_table(name, properties)
        for logical_id in self.template.buckets:
            self._empty_bucket(self.template.name(logical_id))

    def stream_arn(self, table: str) -> str:
        """Return the ARN of a table's stream, by the table's logical id."""
        description = self.dynamodb.describe_table(TableName=self.template.name(table))["Table"]
        return description["LatestStreamArn"]

    def close(self) -> None:
        """Close the connections, so that the engine can exit at once."""
        self.dynamodb.close()
        self.s3.close()
        self.streams.close()

    def _create_table(self, name: str, properties: JsonObject) -> None:
        self.dynamodb.create_table(**_table_input(name, properties))
        ttl = section(properties, "TimeToLiveSpecification")
        if ttl:
            self.dynamodb.update_time_to_live(
                TableName=name,
                TimeToLiveSpecification={
                    "Enabled": as_text(ttl["Enabled"]) == "true",
                    "AttributeName": as_text(ttl["AttributeName"]),
                },
            )

    def _check_table(self, name: str, properties: JsonObject) -> None:
        held: Json = cast("Json", self.dynamodb.describe_table(TableName=name)["Table"])
        if _keys(mapping(held)) != _keys(properties):
            raise EngineError(
                f"The table {name} has other keys than the template: delete the data folder."
            )

    def _empty_bucket(self, name: str) -> None:
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=name):
            for stored in page.get("Contents", []):
                self.s3.delete_object(Bucket=name, Key=stored["Key"])


def _table_input(name: str, properties: JsonObject) -> "CreateTableInputTypeDef":
    """Return the arguments of CreateTable: CloudFormation's properties, and `StreamEnabled`."""
    given: JsonObject = {key: properties[key] for key in _TABLE_PROPERTIES if key in properties}
    stream = section(properties, "StreamSpecification")
    if stream:
        given["StreamSpecification"] = {"StreamEnabled": True, **stream}
    return cast("CreateTableInputTypeDef", {"TableName": name, **given})


def _keys(table: JsonObject) -> Json:
    indexes = cast("list[JsonObject]", table.get("GlobalSecondaryIndexes") or [])
    return [table["KeySchema"], {as_text(i["IndexName"]): i["KeySchema"] for i in indexes}]
