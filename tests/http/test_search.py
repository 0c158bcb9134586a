"""`search` in the list of conversations, through HTTP and with the mka1 SDK."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from meetkai_mka1 import SDK
from meetkai_mka1.errors import SDKError

from conversations.http.dialects import MKA1, OPENAI
from tests.support.http_helpers import HELLO, NOISE, Json, error_of

if TYPE_CHECKING:
    from local.stack import DevStack
    from tests.support.issue_key import IssueKey

SPILLED: Json = {"role": "user", "content": f"{NOISE} needle in an object"}
LARGE = [SPILLED, {"role": "user", "content": f"{NOISE} the last word"}]
CALL: Json = {"type": "function_call", "call_id": "call_secret", "name": "book_table"}


def made(client: httpx.Client, *items: Json, **metadata: str) -> str:
    """Create a conversation with these items, and return its id."""
    body = {"items": items, "metadata": metadata}
    response = client.post("/conversations", json=body)
    assert response.status_code == 200, response.text
    conversation_id: str = response.json()["id"]
    return conversation_id


def found(client: httpx.Client, search: str, **query: str | int) -> list[str]:
    page = client.get("/conversations", params={"search": search, **query}).json()
    return [entry["id"] for entry in page["data"]]


def said(text: str) -> Json:
    return {"role": "user", "content": text}


@pytest.mark.parametrize(
    "search",
    [
        "weather",
        "WEATHER",
        "eathe",
        "today weather",
        "  today?   weather  ",
        "\N{FULLWIDTH LATIN SMALL LETTER W}eather",
        "weather\N{NO-BREAK SPACE}today",
    ],
)
def test_words_are_found_without_regard_to_case_and_order(
    search: str, client: httpx.Client
) -> None:
    wanted = made(client, HELLO)
    made(client, said("Nothing of the kind, today"))

    assert found(client, search) == [wanted]


@pytest.mark.parametrize(
    ("text", "search"),
    [
        ("Die Straße", "STRASSE"),
        ("Zu\N{COMBINING DIAERESIS}rich", "zürich"),
        ("Zürich", "zu\N{COMBINING DIAERESIS}RICH"),
        ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
        ("ΣΚΙ\N{GREEK CAPITAL LETTER ALPHA WITH PROSGEGRAMMENI}\u0342", "σκι\u1fb7"),
        ("ｶﾞﾙ", "ガル"),
        ("東京タワー", "京タ"),
        ("Ⅳ", "iv"),
        ('say "hi"\\n', '"HI"\\N'),
    ],
)
def test_words_are_found_in_any_writing(text: str, search: str, client: httpx.Client) -> None:
    wanted = made(client, said(text))

    assert found(client, search) == [wanted]


def test_words_may_be_apart(client: httpx.Client) -> None:
    wanted = made(client, said("alpha"), {**CALL, "arguments": '{"x": "beta"}'}, topic="gamma")
    made(client, said("alpha"), said("beta"))

    assert found(client, "gamma alpha beta") == [wanted]


@pytest.mark.parametrize("search", ["call_secret", "function_call", "user", "topic", "conv_"])
def test_ids_types_roles_and_names_of_metadata_are_no_text(
    search: str, client: httpx.Client
) -> None:
    made(client, said("hello"), {**CALL, "arguments": "{}"}, topic="x")

    assert found(client, search) == []


def test_escapes_in_the_json_of_a_tool_are_read(client: httpx.Client) -> None:
    wanted = made(client, {**CALL, "arguments": json.dumps({"city": "Zürich", "at": "🙂"})})

    assert found(client, "zürich 🙂") == [wanted]
    assert found(client, "\\u00fcrich") == [wanted]


def test_spilled_batches_are_searched(client: httpx.Client, shared_stack: DevStack) -> None:
    one, other = made(client, SPILLED), made(client, *LARGE)
    with shared_stack.engine.lock:
        bucket = shared_stack.template.name("PayloadBucket")
        assert len(shared_stack.resources.s3.list_objects_v2(Bucket=bucket)["Contents"]) == 2

    assert found(client, "needle") == [one, other]
    assert found(client, "word last") == [other]


def test_what_is_deleted_is_not_found(client: httpx.Client) -> None:
    gone, kept = made(client, said("a thing")), made(client, said("a thing"), said("another"))
    client.delete(f"/conversations/{gone}").raise_for_status()
    [first, _] = client.get(f"/conversations/{kept}/items").json()["data"]
    client.delete(f"/conversations/{kept}/items/{first['id']}").raise_for_status()

    assert found(client, "thing") == []
    assert found(client, "another") == [kept]


def test_what_is_appended_is_found_at_once(client: httpx.Client) -> None:
    wanted = made(client)

    assert found(client, "later") == []
    items = {"items": [said("later")]}
    client.post(f"/conversations/{wanted}/items", json=items).raise_for_status()
    assert found(client, "later") == [wanted]


def test_a_search_combines_with_what_else_a_list_takes(client: httpx.Client) -> None:
    names = [made(client, said(f"thing {n}"), team="red" if n % 2 else "blue") for n in range(12)]
    red = names[1::2]

    assert found(client, "thing", team="red") == red
    assert found(client, "thing", metadata='{"team":"red"}', order="desc") == red[::-1]
    assert found(client, "thing", limit=3) == names[:3]
    assert found(client, "thing", after=names[8]) == names[9:]
    assert found(client, "thing", after=names[3], order="desc") == names[2::-1]
    assert found(client, "thing 11", after=names[8]) == [names[11]]


def test_has_more_says_whether_conversations_are_left_to_search(client: httpx.Client) -> None:
    for n in range(10):
        made(client, said(f"thing {n}"))

    def has_more(search: str, limit: int) -> bool:
        query: dict[str, str | int] = {"search": search, "limit": limit}
        response: bool = client.get("/conversations", params=query).json()["has_more"]
        return response

    assert has_more("thing 3", 1)
    assert has_more("thing 8", 1)
    assert not has_more("thing 9", 1)
    assert not has_more("thing", 10)
    assert has_more("thing", 9)
    assert not has_more("nothing", 1)


@pytest.mark.parametrize("prefix", [MKA1.prefix, OPENAI.prefix])
def test_both_prefixes_search(prefix: str, client: httpx.Client, shared_stack: DevStack) -> None:
    wanted = made(client, said("thing"))

    response = client.get(f"{shared_stack.url}{prefix}/conversations", params={"search": "THING"})

    assert [entry["id"] for entry in response.json()["data"]] == [wanted]


@pytest.mark.parametrize("search", ["", " ", "\t\n \u3000", "x" * 201])
def test_a_search_has_1_to_200_characters_and_a_word(search: str, client: httpx.Client) -> None:
    response = client.get("/conversations", params={"search": search})

    assert (response.status_code, error_of(response)["param"]) == (400, "search")
    assert "1 to 200 characters, at least one of them not a space" in error_of(response)["message"]
    assert found(client, "ü" * 200) == []


@pytest.mark.parametrize("after", ["conv_a~", "conv_a~x~1", f"conv_a~{'0' * 26}~g", "~", "a b"])
def test_an_odd_cursor_is_rejected(after: str, client: httpx.Client) -> None:
    response = client.get("/conversations", params={"search": "x", "after": after})

    assert (response.status_code, error_of(response)["param"]) == (400, "after")


def test_the_mka1_sdk_searches(
    client: httpx.Client, shared_stack: DevStack, issue_key: IssueKey
) -> None:
    names = [made(client, said(f"a thing, number {n}")) for n in range(4)]

    with SDK(bearer_auth=issue_key(), server_url=shared_stack.url) as sdk:
        seen: list[str] = []
        page: Any = sdk.llm.conversations.list(search="THING number", limit=3, order="desc")
        while True:
            seen += [entry.id for entry in page.data]
            if not page.has_more:
                break
            page = sdk.llm.conversations.list(
                search="THING number", limit=3, order="desc", after=page.last_id
            )
        one = sdk.llm.conversations.list(search="2")
        with pytest.raises(SDKError, match="at least one of them not a space"):
            sdk.llm.conversations.list(search="  ")

    assert seen == names[::-1]
    assert [entry.id for entry in one.data] == [names[2]]


@pytest.fixture
def _spent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit each request to one row: the functions share this process and its environment."""
    monkeypatch.setenv("SEARCH_BYTES", "1")


@pytest.mark.usefixtures("_spent")
def test_a_page_of_a_spent_search_is_empty_and_goes_on(
    client: httpx.Client, shared_stack: DevStack, issue_key: IssueKey
) -> None:
    name = made(client, said("one"))
    for text in ("two", "a needle"):
        client.post(f"/conversations/{name}/items", json={"items": [said(text)]})

    page = client.get("/conversations", params={"search": "needle"}).json()
    with SDK(bearer_auth=issue_key(), server_url=shared_stack.url) as sdk:
        pages: list[Any] = [sdk.llm.conversations.list(search="needle")]
        while pages[-1].has_more:
            after = pages[-1].last_id
            pages.append(sdk.llm.conversations.list(search="needle", after=after))

    assert (page["data"], page["has_more"]) == ([], True)
    assert page["last_id"].startswith(f"{name}~")
    assert pages[0].last_id == page["last_id"]
    assert [[entry.id for entry in each.data] for each in pages][:3] == [[], [], [name]]
    assert not any(each.data for each in pages[3:])


@pytest.fixture
def people(shared_stack: DevStack, issue_key: IssueKey, account: str) -> list[httpx.Client]:
    """Return clients of acme's Ann and Bob, of acme itself, and of another account's Ann."""
    acme = issue_key(account, may_delegate=True)
    other = issue_key(f"other-{account}", may_delegate=True)
    url = f"{shared_stack.url}{MKA1.prefix}"
    headers = [
        {"Authorization": f"Bearer {acme}", "X-On-Behalf-Of": "ann"},
        {"Authorization": f"Bearer {acme}", "X-On-Behalf-Of": "bob"},
        {"Authorization": f"Bearer {acme}"},
        {"Authorization": f"Bearer {other}", "X-On-Behalf-Of": "ann"},
    ]
    return [httpx.Client(base_url=url, headers=given) for given in headers]


@pytest.mark.usefixtures("_spent")
def test_the_cursor_of_a_spent_search_is_of_no_use_to_another_owner(
    people: list[httpx.Client],
) -> None:
    ann, *others = people
    hers = made(ann, said("one"))
    ann.post(f"/conversations/{hers}/items", json={"items": [said("a secret needle")]})
    last_id = ann.get("/conversations", params={"search": "needle"}).json()["last_id"]

    assert last_id.startswith(f"{hers}~")
    assert found(ann, "needle", after=last_id) == [hers]
    for other in others:
        made(other, said("a needle"))
        response = other.get("/conversations", params={"search": "needle", "after": last_id})
        assert (response.status_code, error_of(response)["param"]) == (404, "after")
        assert "secret" not in response.text
    for person in people:
        person.close()


def test_nobody_finds_what_is_another_owners(people: list[httpx.Client]) -> None:
    ann, *others = people
    hers = made(ann, said("secret"))
    item_id = ann.get(f"/conversations/{hers}/items").json()["last_id"]
    own = [made(other, said("mine")) for other in others]
    cursor = f"{hers}~{item_id.removeprefix('msg_')}~0"

    assert found(ann, "secret") == [hers]
    for other, name in zip(others, own, strict=True):
        assert found(other, "secret") == []
        assert found(other, "mine") == [name]
        for after in (hers, cursor):
            query = {"search": "secret", "after": after}
            response = other.get("/conversations", params=query)
            never = other.get("/conversations", params={**query, "after": "conv_none"})
            assert response.status_code == never.status_code == 404
            assert response.text == never.text.replace("conv_none", hers)
    for person in people:
        person.close()
