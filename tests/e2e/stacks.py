"""A deployed stack, as its operator and its clients see it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.e2e.cloud import CLI, SAM
from tests.support.http_helpers import HELLO

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import httpx

    from tests.e2e.cloud import Cloud

CONVERSATIONS = "/api/v1/llm/conversations"
LARGE = {**HELLO, "content": hashlib.shake_256().hexdigest(60_000)}
"""Item that spills, because it is too large for a row even if it is compressed."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A deployed stack, with its addresses."""

    cloud: Cloud
    name: str
    outputs: Mapping[str, str]
    usage_key: str
    """Usage key without limits, which MiniStack reads from a header, not from the authorizer."""

    @property
    def url(self) -> str:
        """Return the URL of the stage in MiniStack, which differs from the stack's output."""
        stage = self.outputs["ApiUrl"].rpartition("/")[2]
        return f"{self.cloud.url}/_aws/execute-api/{self.outputs['ApiId']}/{stage}"

    def request(
        self, method: str, path: str, key: str | None = None, body: object = None, **headers: str
    ) -> httpx.Response:
        """Send a request with this API key, or without one, and return the response."""
        given = {"X-Api-Key": self.usage_key, **headers}
        if key is not None:
            given["Authorization"] = f"Bearer {key}"
        return self.cloud.http.request(method, self.url + path, headers=given, json=body)

    def keys(self, command: str, *arguments: str) -> Any:
        """Return the JSON that `conversations keys` prints."""
        options = ("--stack", self.name, "--json", *arguments)
        return json.loads(self.cloud.run(CLI, "keys", command, *options))

    def new_key(self, *options: str) -> str:
        return str(self.keys("create", "--account", "acme", "--name", "e2e", *options)["key"])

    def resource(self, logical_id: str) -> str:
        """Return the physical name of a resource."""
        found = self.cloud.aws("cloudformation").describe_stack_resource(
            StackName=self.name, LogicalResourceId=logical_id
        )
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def rows(self, conversation_id: str) -> list[str]:
        """Return the kinds of the rows of a conversation."""
        pages = self.cloud.aws("dynamodb").get_paginator("scan")
        table = self.outputs["ConversationsTableName"]
        found = (row for page in pages.paginate(TableName=table) for row in page["Items"])
        return [row["sk"]["S"] for row in found if row["pk"]["S"].endswith(conversation_id)]

    def objects(self, conversation_id: str) -> list[str]:
        """Return the keys of the objects of a conversation."""
        bucket = self.outputs["PayloadBucketName"]
        found = self.cloud.aws("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
        return [each["Key"] for each in found if conversation_id in each["Key"]]


def build(cloud: Cloud, checkout: Path) -> None:
    cloud.run(SAM, "build", cwd=checkout)


def deploy(cloud: Cloud, checkout: Path, name: str, environment: str, *options: str) -> Stack:
    """Deploy the build with an environment of samconfig.toml."""
    arguments = ("--config-env", environment, "--stack-name", name, "--no-progressbar")
    cloud.run(SAM, "deploy", *arguments, "--no-confirm-changeset", *options, cwd=checkout)
    [stack] = cloud.aws("cloudformation").describe_stacks(StackName=name)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    found = cloud.aws("apigateway").get_api_keys(nameQuery=f"{name}-unlimited", includeValues=True)
    return Stack(cloud, name, outputs, found["items"][0]["value"])


def delete(cloud: Cloud, name: str) -> None:
    cloud.run(SAM, "delete", "--stack-name", name, "--no-prompts")
