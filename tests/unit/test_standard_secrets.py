"""Secrets as text for the standard dialect, and the registry that finds dialects."""

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import standardwebhooks
from hypothesis import example, given
from hypothesis import strategies as st

from payhooks.dialects import registry
from payhooks.dialects.contract import Dialect, HmacSecret, SigningSecret
from payhooks.dialects.standard import STANDARD
from payhooks.errors import InvalidError

V1A = Path(__file__).parents[1] / "vectors" / "standard" / "v1a.json"


def test_a_new_secret_is_what_the_common_libraries_take() -> None:
    """Merchants paste it into them."""
    text = STANDARD.new_secret(bytes(range(32)))
    assert text == "whsec_" + base64.b64encode(bytes(range(32))).decode()
    assert STANDARD.signing_secret(text) == HmacSecret(key=bytes(range(32)))
    standardwebhooks.Webhook(text)


def test_padding_may_be_missing() -> None:
    """Other senders print secrets without it; an import must not fail on that."""
    text = STANDARD.new_secret(bytes(32))
    assert STANDARD.signing_secret(text.rstrip("=")) == STANDARD.signing_secret(text)


def test_a_source_key_signs_with_its_text() -> None:
    """Its merchant has the text and nothing else."""
    text = "phk_sandbox_abc"
    assert STANDARD.signing_secret(text) == HmacSecret(key=text.encode())
    assert STANDARD.verifying_secret(text) == HmacSecret(key=text.encode())


PARSERS: list[Callable[[str], object]] = [STANDARD.signing_secret, STANDARD.verifying_secret]


@pytest.mark.parametrize("parse", PARSERS, ids=["signing", "verifying"])
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("whsec_", id="prefix alone"),
        pytest.param("whsec_" + base64.b64encode(bytes(23)).decode(), id="too short"),
        pytest.param("whsec_" + base64.b64encode(bytes(65)).decode(), id="too long"),
        pytest.param("whsec_not base64 at all, honestly", id="not base64"),
        pytest.param("whsec_é", id="not ASCII"),
        pytest.param("whsk_" + base64.b64encode(bytes(33)).decode(), id="private, wrong length"),
        pytest.param("whsk_" + base64.b64encode(bytes(64)).decode(), id="halves of two pairs"),
        pytest.param("whpk_" + base64.b64encode(bytes(31)).decode(), id="public, wrong length"),
        pytest.param("phk_é", id="a key no API has"),
        pytest.param("hunter2", id="no prefix"),
    ],
)
def test_refuses_what_is_no_secret(parse: Callable[[str], object], text: str) -> None:
    """At create, with the place; not at the first delivery, with a stack trace."""
    with pytest.raises(InvalidError) as caught:
        parse(text)
    assert [fault.pointer for fault in caught.value.faults] == ["/secret"]
    encoded = text.partition("_")[2]
    assert not encoded or encoded not in str(caught.value)


@pytest.mark.parametrize(
    ("parse", "words"),
    [
        pytest.param(STANDARD.signing_secret, "whsk_, an Ed25519 key", id="signing"),
        pytest.param(STANDARD.verifying_secret, "whpk_, an Ed25519 public key", id="verifying"),
    ],
)
def test_a_refusal_names_only_what_would_be_taken(
    parse: Callable[[str], object], words: str
) -> None:
    """Who verifies has the public half; told to bring the private one, he is refused again."""
    with pytest.raises(InvalidError) as caught:
        parse("hunter2")
    [fault] = caught.value.faults
    assert fault.detail == f"A secret begins with whsec_ (or {words})."
    parse(words.partition(",")[0] + base64.b64encode(bytes(32)).decode())


@given(text=st.text(), prefix=st.sampled_from(["", "whsec_", "whsk_", "whpk_", "phk_"]))
@example(text="\udcff", prefix="whsec_")
def test_secret_parsers_return_or_raise_invalid(text: str, prefix: str) -> None:
    """Their text is typed by people."""
    for parse in PARSERS:
        try:
            parse(prefix + text)
        except InvalidError:
            continue


def test_a_secret_does_not_print_itself() -> None:
    """Reprs end up in logs."""
    secrets: list[SigningSecret] = [
        STANDARD.signing_secret(STANDARD.new_secret(bytes(32))),
        STANDARD.signing_secret(json.loads(V1A.read_text())["cases"][0]["secret"]),
    ]
    assert [repr(secret) for secret in secrets] == ["HmacSecret()", "Ed25519Secret()"]


def test_the_registry_finds_by_name() -> None:
    dialect: Dialect = registry.find("standard")
    assert dialect.name == "standard"


def test_an_unknown_dialect_is_refused_with_the_nearest_name() -> None:
    """Typing it wrong is the commonest reason."""
    with pytest.raises(InvalidError, match="Did you mean standard"):
        registry.find("standrad")
    with pytest.raises(InvalidError, match="There are: "):
        registry.find("x" * 100_000)
