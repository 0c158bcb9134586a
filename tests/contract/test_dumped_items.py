"""Items as the SDKs' own models dump them, with null for each unset field."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any, get_args

import pytest
from meetkai_mka1.models import Item as Mka1Item
from meetkai_mka1.models.conversations_items_createop import ConversationsItemsCreateData
from openai.types.conversations import ConversationItem
from openai.types.responses import ResponseItem, ResponseOutputItem
from pydantic import BaseModel, TypeAdapter, ValidationError

from conversations.http.rendering import to_openai
from tests.support.contract_cases import EXAMPLES, with_type
from tests.support.sdk_samples import MKA1_ITEMS, MKA1_RESPONSES, OPENAI_ITEMS, is_valid_output

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.support.contract_cases import Json

OF_MKA1 = [with_type(item) for name, item in EXAMPLES if not name.startswith("openai/")]
OF_MKA1 += [with_type(item) for item in MKA1_ITEMS + MKA1_RESPONSES]
OF_OPENAI = [with_type(item) for _, item in EXAMPLES]
OF_OPENAI += [with_type(item) for item in OPENAI_ITEMS if is_valid_output(item)]
OF_OPENAI += [
    {**item, "status": "completed"} for item in OF_OPENAI if "custom" in str(item["type"])
]
DUMPS: dict[str, dict[str, Any]] = {
    "all": {"mode": "json", "by_alias": True},
    "set": {"mode": "json", "by_alias": True, "exclude_unset": True},
}
EACH_DUMP = [
    pytest.param(DUMPS["all"], id="all"),
    pytest.param(DUMPS["set"], id="set", marks=pytest.mark.prove),
]


def models_in(union: object) -> Iterator[type[BaseModel]]:
    """Return the models of a union, also of a wrapped one."""
    if isinstance(union, type) and issubclass(union, BaseModel):
        yield union
    for inner in get_args(getattr(union, "__value__", union)):
        yield from models_in(inner)


def instances(model: type[BaseModel], samples: list[Json]) -> list[BaseModel]:
    """Return a model's smallest and largest valid sample."""
    adapter = TypeAdapter(model)
    found: list[BaseModel] = []
    for sample in samples:
        try:
            found.append(adapter.validate_python(sample))
        except ValidationError:
            continue
    assert found, model
    return [*sorted(found, key=lambda one: len(one.model_dump_json()))[:: max(len(found) - 1, 1)]]


OPENAI_MODELS = {
    model.__name__: model
    for union in (ConversationItem, ResponseItem, ResponseOutputItem)
    for model in models_in(union)
}
MKA1_MODELS = {
    model.__name__: model
    for union in (ConversationsItemsCreateData, Mka1Item)
    for model in models_in(union)
}


def numbered(dumps: list[Json], prefix: str) -> list[Json]:
    """Return the items with unique ids; a reference may name an item that does not exist."""
    return [{**item, "id": f"{prefix}{index}"} for index, item in enumerate(dumps)]


def posted(client: httpx.Client, base: str, items: list[Json]) -> list[Json]:
    """Post items to a new conversation, and list them."""
    made = client.post(f"{base}/conversations").json()["id"]
    url = f"{base}/conversations/{made}/items"
    for batch in itertools.batched(items, 20, strict=False):
        response = client.post(url, json={"items": batch})
        assert response.status_code == 200, response.text
    listed: list[Json] = client.get(url, params={"limit": 100, "order": "asc"}).json()["data"]
    return listed


@pytest.mark.parametrize("dump", EACH_DUMP)
def test_what_openais_models_dump_is_accepted_and_so_is_what_they_make_of_the_response(
    dump: dict[str, Any], client: httpx.Client, base_url: str
) -> None:
    base = base_url.removesuffix("/api/v1/llm") + "/v1"
    shown = [to_openai({**item, "id": "x"}) for item in OF_OPENAI]
    models = [(model, one) for model in OPENAI_MODELS.values() for one in instances(model, shown)]
    for chunk in itertools.batched(models, 100, strict=False):
        sent = numbered([one.model_dump(**dump) for _, one in chunk], "a")
        listed = posted(client, base, sent)

        read = [
            TypeAdapter(model).validate_python(item)
            for (model, _), item in zip(chunk, listed, strict=True)
        ]
        again = posted(client, base, numbered([one.model_dump(**dump) for one in read], "b"))

        assert [{**item, "id": ""} for item in again] == [{**item, "id": ""} for item in listed]


@pytest.mark.parametrize("dump", EACH_DUMP)
def test_what_mka1s_models_dump_is_accepted_and_comes_back_as_it_was_given(
    dump: dict[str, Any], client: httpx.Client, base_url: str
) -> None:
    samples = [{**item, "id": "x"} for item in OF_MKA1]
    models = [one for model in MKA1_MODELS.values() for one in instances(model, samples)]
    for chunk in itertools.batched(models, 100, strict=False):
        sent = numbered([one.model_dump(**dump) for one in chunk], "a")

        listed = posted(client, base_url, sent)

        assert [json.dumps(item, sort_keys=True) for item in listed] == [
            json.dumps(with_type(item), sort_keys=True) for item in sent
        ]
