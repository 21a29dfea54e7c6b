"""Sealed secrets: open where they belong, nowhere else, and say which key is missing."""

import base64
import os
from collections.abc import Callable
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payhooks.control.keyring import (
    KEYS_MAX,
    Keyring,
    SealContext,
    key_id_of,
    new_key_text,
    parse_keys,
)
from payhooks.errors import InvalidError, UnavailableError

RANDOM = Random(1)
NEW, OLD, OTHER = (RANDOM.randbytes(32) for _ in range(3))
HERE = SealContext(
    purpose="endpoint", table="secrets", column="sealed", merchant_id=b"m" * 16, row_id=b"r" * 16
)
SECRET = b"whsec_canary"


def _ring(*keys: bytes) -> Keyring:
    return Keyring(keys, random_bytes=RANDOM.randbytes)


def test_opens_what_it_sealed() -> None:
    sealed = _ring(NEW).seal(SECRET, context=HERE)
    assert _ring(NEW).open(sealed, context=HERE) == SECRET
    assert SECRET not in sealed


def test_the_same_secret_never_seals_to_the_same_bytes() -> None:
    """Equal rows would say whose passwords are equal; equal nonces would give them away."""
    ring = Keyring([NEW], random_bytes=os.urandom)
    assert len({ring.seal(SECRET, context=HERE) for _ in range(10_000)}) == 10_000


@pytest.mark.shows("S11")
@pytest.mark.parametrize(
    "elsewhere",
    [
        msgspec.structs.replace(HERE, purpose="authentication"),
        msgspec.structs.replace(HERE, table="keys"),
        msgspec.structs.replace(HERE, column="other"),
        msgspec.structs.replace(HERE, merchant_id=b"n" * 16),
        msgspec.structs.replace(HERE, row_id=b"s" * 16),
        # The same bytes in a row, with the border between two parts moved.
        msgspec.structs.replace(HERE, table="secretss", column="ealed"),
        msgspec.structs.replace(HERE, merchant_id=b"m" * 16 + b"r", row_id=b"r" * 15),
    ],
    ids=["purpose", "table", "column", "merchant", "row", "border", "border of ids"],
)
def test_a_secret_does_not_open_elsewhere(elsewhere: SealContext) -> None:
    """Who can write to the database must not get another merchant's secret by copying rows."""
    ring = _ring(NEW)
    sealed = ring.seal(SECRET, context=HERE)
    with pytest.raises(UnavailableError, match="changed or moved"):
        ring.open(sealed, context=elsewhere)


@pytest.mark.shows("S11")
def test_any_changed_byte_is_noticed() -> None:
    """Format, key id, nonce, text and tag alike."""
    ring = _ring(NEW)
    sealed = ring.seal(SECRET, context=HERE)
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises(UnavailableError):
            ring.open(bytes(changed), context=HERE)


@given(sealed=st.binary(max_size=80))
def test_garbage_is_unavailable_and_nothing_else(sealed: bytes) -> None:
    """A broken row rests its lane; it must not stop the worker."""
    with pytest.raises(UnavailableError):
        _ring(NEW, OLD).open(sealed, context=HERE)


def test_rotation_goes_key_by_key() -> None:
    """Old rows open while they wait, new ones use the new key, and one can tell them apart."""
    old_row = _ring(OLD).seal(SECRET, context=HERE)
    both = _ring(NEW, OLD)

    assert both.open(old_row, context=HERE) == SECRET
    assert not both.is_current(old_row)
    new_row = both.seal(SECRET, context=HERE)
    assert both.is_current(new_row)
    assert key_id_of(new_row) == both.primary_id == _ring(NEW).primary_id
    assert _ring(NEW).open(new_row, context=HERE) == SECRET


def test_a_missing_key_is_named() -> None:
    """After a restore the operator must know which of their keys to look for."""
    sealed = _ring(OLD).seal(SECRET, context=HERE)
    with pytest.raises(UnavailableError) as caught:
        _ring(NEW).open(sealed, context=HERE)
    assert _ring(OLD).primary_id in str(caught.value)
    assert "PAYHOOKS_SECRET_KEY" in str(caught.value)


def test_a_newer_format_is_not_mistaken_for_a_missing_key() -> None:
    """After a downgrade, looking for a key would be the wrong errand."""
    sealed = _ring(NEW).seal(SECRET, context=HERE)
    with pytest.raises(UnavailableError, match="format"):
        _ring(NEW).open(b"\x02" + sealed[1:], context=HERE)


def test_a_key_listed_twice_is_a_bug() -> None:
    """parse_keys refuses it first."""
    with pytest.raises(AssertionError, match="twice"):
        _ring(NEW, NEW)


SPELLINGS: list[Callable[[bytes], str]] = [
    lambda key: base64.b64encode(key).decode(),
    lambda key: base64.b64encode(key).decode().rstrip("="),
    lambda key: base64.urlsafe_b64encode(key).decode(),
    lambda key: key.hex(),
    lambda key: key.hex().upper(),
]


@pytest.mark.parametrize("spell", SPELLINGS, ids=["base64", "bare", "url-safe", "hex", "HEX"])
def test_keys_may_be_base64_or_hex(spell: Callable[[bytes], str]) -> None:
    """People make them with openssl, with python or with us."""
    key = b"\xfb\xff" + NEW[2:]  # + and / in base64
    assert parse_keys(f"{spell(key)}, {spell(OLD)}\n") == (key, OLD)


@pytest.mark.shows("S12")
@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("", "malformed", id="empty"),
        pytest.param("correct horse battery staple", "malformed", id="a passphrase"),
        pytest.param(base64.b64encode(NEW[:31]).decode(), "malformed", id="too short"),
        pytest.param(NEW.hex() + "00", "malformed", id="too long"),
        pytest.param("z" * 64, "malformed", id="64 characters, not hex"),
        pytest.param("\udcff" * 44, "malformed", id="undecodable"),
        pytest.param(NEW.hex() + ",", "malformed", id="a comma too many"),
        pytest.param(base64.b64encode(bytes(32)).decode(), "weak", id="zeros"),
        pytest.param("0123456789abcdef" * 4, "weak", id="a typed example"),
        pytest.param(f"{NEW.hex()},{NEW.hex()}", "duplicate", id="twice"),
        pytest.param(",".join([NEW.hex()] * (KEYS_MAX + 1)), "too_many", id="too many"),
    ],
)
def test_refuses_other_settings(text: str, code: str) -> None:
    """At start, not at the first secret; and without printing what was typed."""
    with pytest.raises(InvalidError) as caught:
        parse_keys(text)
    assert [fault.code for fault in caught.value.faults] == [code]
    assert not text or text not in str(caught.value)
    if code in {"malformed", "weak"}:
        assert "payhooks keys generate-secret" in str(caught.value)


def test_a_generated_key_is_accepted() -> None:
    assert parse_keys(new_key_text(lambda count: NEW[:count])) == (NEW,)
