"""Authorizer that returns the policy, or raises the error, that the token names."""

from typing import Any

verdicts: list[str] = []


def lambda_handler(event: dict[str, Any], _: object) -> object:
    verdict = event["authorizationToken"].removeprefix("Bearer ")
    verdicts.append(verdict)
    if verdict == "unauthorized":
        raise Exception("Unauthorized")  # noqa: TRY002 - API Gateway knows this one by its text
    if verdict == "crash":
        raise RuntimeError("It was meant to.")
    if verdict == "nonsense":
        return {"principalId": "somebody"}
    return _policy(event["methodArn"], verdict)


def _policy(method_arn: str, verdict: str) -> dict[str, object]:
    stage = "/".join(method_arn.split("/")[:2])
    resource = f"{stage}/GET/*" if verdict == "read" else f"{stage}/*"
    effect = "Deny" if verdict == "deny" else "Allow"
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": [resource]}
    return {
        "principalId": "somebody",
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": {"text": "words", "number": 7, "truth": True},
    }
