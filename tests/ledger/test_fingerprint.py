"""The fingerprint tells a retry from a reused key, for as long as keys live: through every later recipe."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import fingerprint
from ledger.books import Recorded
from ledger.fingerprint import RECIPES, Fingerprint, canonical
from ledger.operation import Operation, OutcomeKind
from ledger.operations import debit, deposit
from tests.ledger.in_memory import ask, books_with
from tests.support.examples import a_transfer

CONTENTS = st.dictionaries(
    st.sampled_from(sorted(RECIPES["v1"])), st.integers(1, 5) | st.sampled_from(["alice", "bob", "USD"])
)


@pytest.fixture
def a_second_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The day after a release that looks at one more field, `purpose`."""
    monkeypatch.setitem(fingerprint.RECIPES, "v2", RECIPES["v1"] | {"purpose"})


def paying_for(purpose: str) -> Operation:
    """The debit of T1, as a later release might ask for it."""
    asked = debit(a_transfer())
    return dataclasses.replace(asked, content={**asked.content, "purpose": purpose})


def test_the_first_recipe_is_what_it_always_was() -> None:
    """Stored texts are compared with it for ever: this test fails if anybody changes it instead of adding another."""
    content = a_transfer().content()

    assert Fingerprint.of(content, "v1").text == (
        '{"amount_minor":2500,"currency":"USD","destination":"bob","source":"alice"}'
    )
    assert Fingerprint.of(deposit("D1", "alice", 5, "USD").content, "v1").text == (
        '{"account":"alice","amount_minor":5,"currency":"USD"}'
    )


@given(st.dictionaries(st.from_regex(r"[a-z_0-9]+", fullmatch=True), st.none() | st.integers() | st.text()))
def test_a_canonical_text_is_json(fields: dict[str, str | int | None]) -> None:
    """What Python's own encoder makes of the same fields, to the letter, whatever is in their texts."""
    assert canonical(fields) == json.dumps(fields, sort_keys=True, separators=(",", ":"))


def test_the_same_content_has_no_differences() -> None:
    """In whatever order its fields come."""
    content = a_transfer().content()

    assert Fingerprint.of(content).differences(dict(reversed(content.items()))) == []


def test_every_difference_is_named() -> None:
    """Both values of each field, sorted by name; a field that only one of them has is compared with nothing."""
    stored = Fingerprint.of({"amount_minor": 2500, "currency": "USD", "source": "alice"})

    assert stored.differences({"amount_minor": 9900, "currency": "EUR", "account": "bob"}) == [
        "account: None -> bob",
        "amount_minor: 2500 -> 9900",
        "currency: USD -> EUR",
        "source: alice -> None",
    ]


def test_a_number_and_its_text_are_different() -> None:
    """25 and "25" are not the same content, although they look alike when they are said."""
    assert Fingerprint.of({"amount_minor": 25}).differences({"amount_minor": "25"})


@given(CONTENTS, CONTENTS)
def test_two_contents_differ_exactly_if_they_are_not_the_same(one: dict[str, int], other: dict[str, int]) -> None:
    """No two contents share a fingerprint, and no content differs from itself."""
    assert (Fingerprint.of(one).differences(other) == []) == (one == other)


@pytest.mark.usefixtures("a_second_recipe")
def test_an_old_key_is_compared_under_its_own_recipe() -> None:
    """Recorded before the new field was looked at: a retry that now has the field is still a retry."""
    books, transfer = books_with(alice=100_00, bob=0), a_transfer()
    ask(books, debit(transfer))

    (again,) = ask(books, paying_for("rent"))

    assert (again.applied, again.replayed) == (True, True)


@pytest.mark.usefixtures("a_second_recipe")
def test_an_old_key_still_tells_other_content() -> None:
    """The new field is not looked at, the old ones are."""
    books = books_with(alice=100_00, bob=0)
    ask(books, debit(a_transfer(amount_minor=9_00)))

    (reused,) = ask(books, paying_for("rent"))

    assert (reused.key_reused, reused.detail) == (True, "amount_minor: 900 -> 2500")


@pytest.mark.usefixtures("a_second_recipe")
def test_a_new_key_is_compared_under_the_new_recipe() -> None:
    """Recorded with the field: another purpose under the same key is another content."""
    books, asked = books_with(alice=100_00, bob=0), paying_for("rent")
    recorded = Recorded(asked.key, Fingerprint.of(asked.content, "v2"), OutcomeKind.APPLIED)
    books.operations[asked.key] = recorded

    (again,) = ask(books, paying_for("rent"))
    (reused,) = ask(books, paying_for("food"))

    assert (again.applied, again.replayed) == (True, True)
    assert (reused.key_reused, reused.detail) == (True, "purpose: rent -> food")
