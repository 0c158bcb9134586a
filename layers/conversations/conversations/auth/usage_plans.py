"""Usage plans of API Gateway, which limit each key's requests; for the operator's commands."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from conversations.auth.api_keys import UsageKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mypy_boto3_apigateway.client import APIGatewayClient


class UsagePlans:
    """The usage plans of one stack."""

    def __init__(
        self, apigateway: Callable[[], APIGatewayClient], plan_ids: Mapping[str, str]
    ) -> None:
        """Take API Gateway's *plan_ids* by the plans' names; the client is made on first use."""
        self._apigateway = apigateway
        self._plan_ids = plan_ids

    @property
    def names(self) -> list[str]:
        """The names of the plans, in the template's order."""
        return [*self._plan_ids]

    @contextmanager
    def issued(self, plan: str, name: str) -> Iterator[UsageKey]:
        """Create a usage key in a plan, and delete it if the block fails.

        *name* is the name that API Gateway's console shows.
        """
        with ExitStack() as undo:
            gateway = self._apigateway()
            api_key = gateway.create_api_key(name=name, enabled=True)
            undo.callback(self.delete_key, api_key["id"])
            gateway.create_usage_plan_key(
                usagePlanId=self._plan_ids[plan], keyId=api_key["id"], keyType="API_KEY"
            )
            yield UsageKey(usage_key_id=api_key["id"], value=api_key["value"], plan=plan)
            undo.pop_all()

    def delete_key(self, usage_key_id: str) -> None:
        """Delete a usage key; a missing one is no error."""
        gateway = self._apigateway()
        try:
            gateway.delete_api_key(apiKey=usage_key_id)
        except gateway.exceptions.NotFoundException:
            return
