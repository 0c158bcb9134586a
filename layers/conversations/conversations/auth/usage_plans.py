"""Usage plans: API Gateway's count of each key's requests, with the operator's credentials."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from conversations.auth.api_keys import UsageKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mypy_boto3_apigateway.client import APIGatewayClient


class UsagePlans:
    """The plans of one stack."""

    def __init__(
        self, apigateway: Callable[[], APIGatewayClient], plan_ids: Mapping[str, str]
    ) -> None:
        """*plan_ids* are API Gateway's, by the plans' names; its client is made if it is needed."""
        self._apigateway = apigateway
        self._plan_ids = plan_ids

    @property
    def names(self) -> list[str]:
        """What a plan may be called, in the template's order."""
        return [*self._plan_ids]

    @contextmanager
    def issued(self, plan: str, name: str) -> Iterator[UsageKey]:
        """A new key in a plan, taken back if the block fails; *name* is what the console shows."""
        with ExitStack() as undo:
            gateway = self._apigateway()
            made = gateway.create_api_key(name=name, enabled=True)
            undo.callback(self.delete_key, made["id"])
            gateway.create_usage_plan_key(
                usagePlanId=self._plan_ids[plan], keyId=made["id"], keyType="API_KEY"
            )
            yield UsageKey(usage_key_id=made["id"], value=made["value"], plan=plan)
            undo.pop_all()

    def delete_key(self, usage_key_id: str) -> None:
        """Delete a key; one that is gone already is no fault."""
        gateway = self._apigateway()
        try:
            gateway.delete_api_key(apiKey=usage_key_id)
        except gateway.exceptions.NotFoundException:
            return
