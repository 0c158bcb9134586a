"""Evaluate IAM policies, as MiniStack does for the requests that it serves.

Run by MiniStack's own environment, because its `SimulatePrincipalPolicy` takes no context.
Standard input is a JSON list of `{"policy": ..., "action": ..., "resource": ..., "context": ...}`,
with the keys of the context in lower case. Standard output is the list of decisions.
"""

import json
import sys

from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document

ACCOUNT = "123456789012"


def decision(policy: dict[str, object], action: str, resource: str, context: dict[str, str]) -> str:
    """Return `Allow`, `Deny` or `ImplicitDeny`."""
    request = EvalContext(
        principal_arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/role/session",
        principal_type="AssumedRole",
        principal_account=ACCOUNT,
        action=action,
        resource_arn=resource,
        region="us-east-1",
        service_context=context,
    )
    return evaluate(request, [parse_policy_document(json.dumps(policy))]).decision


if __name__ == "__main__":
    json.dump([decision(**wanted) for wanted in json.load(sys.stdin)], sys.stdout)
