"""Values for parameters of the template, and access to nested values of a template."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.intrinsics import items, mapping

if TYPE_CHECKING:
    from local.intrinsics import Json

CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/1a2b-3c4d"
KMS_KEY = "arn:aws:kms:us-east-1:123456789012:key/1a2b-3c4d"
TOPIC = "arn:aws:sns:us-east-1:123456789012:alarms"
WEB_ACL = "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/front/1a2b-3c4d"


def at(value: Json, *path: str | int) -> Json:
    """Return the value at *path*, through mappings and lists."""
    for step in path:
        value = items(value)[step] if isinstance(step, int) else mapping(value)[step]
    return value
