"""Ids and sequence keys."""

import base64

from hypothesis import given
from hypothesis import strategies as st

from conversations import ids
from conversations.contract.items import ITEM_TYPES, generated_id

NOW = st.integers(0, 2**47)


@given(NOW)
def test_keys_of_a_batch_sort_by_place(now: int) -> None:
    keys = ids.sequence_keys(ids.new_batch_number(now), 20)

    assert keys == sorted(set(keys))
    assert {len(key) for key in keys} == {26}


@given(st.integers(0, 2**112 - 1), st.integers(1, 20))
def test_a_key_is_the_batch_and_the_place_in_base32hex(batch: int, size: int) -> None:
    keys = ids.sequence_keys(batch, size)

    decoded = [base64.b32hexdecode(f"{key.upper()}======") for key in keys]
    assert [int.from_bytes(raw) for raw in decoded] == [batch << 16 | n for n in range(size)]


@given(NOW, NOW)
def test_a_later_batch_sorts_behind_an_earlier_one(one: int, other: int) -> None:
    early, late = sorted((one, other))

    last = ids.sequence_keys(ids.new_batch_number(early), 20)[-1]

    assert early == late or last < ids.sequence_keys(ids.new_batch_number(late), 1)[0]


@given(NOW, st.integers(1, 20))
def test_a_batch_moves_behind_any_key_by_a_step_of_its_own(now: int, size: int) -> None:
    last_key = ids.sequence_keys(ids.new_batch_number(now), size)[-1]

    one, other = ids.batch_number_after(last_key), ids.batch_number_after(last_key)

    assert last_key < ids.sequence_keys(one, 1)[0]
    assert last_key < ids.sequence_keys(other, 1)[0]
    assert one != other


@given(NOW, st.sampled_from([*ITEM_TYPES]))
def test_a_generated_id_carries_its_key(now: int, item_type: str) -> None:
    [key] = ids.sequence_keys(ids.new_batch_number(now), 1)

    item_id = generated_id(item_type, key)

    assert ids.is_id(item_id)
    assert ids.key_in(item_id) == key


def test_a_foreign_id_carries_no_key() -> None:
    assert ids.key_in("msg_aa87e2b1112a455b8deabed784372198") is None
    assert ids.key_in("call_1") is None


def test_an_account_and_its_end_users_are_all_different_owners() -> None:
    owners = {ids.owner_of("a", ""), ids.owner_of("a", "b"), ids.owner_of("b", "a")}

    assert len(owners) == 3
    assert all(len(owner) == 64 for owner in owners)
