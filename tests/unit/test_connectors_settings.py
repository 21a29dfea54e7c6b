"""What a connector needs of each provider, and what people are told to do there."""

from collections.abc import Mapping

import pytest
from tests.support.dialect_events import AT, MERCHANT
from tests.support.heard_histories import SECRET

from payhooks.connectors import registry
from payhooks.connectors.contract import Source
from payhooks.connectors.foloosi import FOLOOSI_SIGNED
from payhooks.errors import InvalidError
from payhooks.ids import ConnectorId
from payhooks.model.connector import Connector, ConnectorStatus

_KEY = "whsec_" + "a" * 40
_SIGNED = {
    "owlpay": SECRET,
    "treezor": SECRET,
    "merchant-console": SECRET,
    "owngateway": SECRET,
    "hyperswitch": SECRET,
    "stripe": SECRET,
    "custom": SECRET,
    "standard": _KEY,
    "cloudevents": _KEY,
}


def _faults(
    name: str, options: Mapping[str, str], *secrets: str, credential: str | None = None
) -> set[tuple[str, str]]:
    """Return where and why settings are refused."""
    try:
        registry.find(name).check(options, secrets, credential)
    except InvalidError as error:
        return {(fault.pointer, fault.code) for fault in error.faults}
    return set()


@pytest.mark.parametrize("name", sorted(_SIGNED))
def test_a_connector_is_taken_with_its_secret_and_refused_without(name: str) -> None:
    """One that can verify nothing would fill the quarantine, and nobody would learn why."""
    assert _faults(name, {}, _SIGNED[name]) == set()
    assert _faults(name, {}) == {("/secrets", "required")}
    assert {where for where, _ in _faults(name, {}, _SIGNED[name], "short")} == {"/secrets/1"}


@pytest.mark.parametrize("name", sorted(_SIGNED))
def test_what_a_provider_has_no_use_for_is_refused(name: str) -> None:
    """A setting that changes nothing is one that somebody relies on."""
    found = _faults(name, {"surely-none": "x"}, _SIGNED[name], credential="a-password")
    assert found == {("/options", "unknown_option"), ("/credential", "unexpected")}


@pytest.mark.parametrize(
    ("name", "options", "pointer"),
    [
        pytest.param("treezor", {"payins": "oldest"}, "/options/payins", id="generation"),
        pytest.param(
            "merchant-console", {"time_zone": "Nowhere/At_All"}, "/options/time_zone", id="zone"
        ),
        pytest.param("merchant-console", {"currency": "usd"}, "/options/currency", id="currency"),
        pytest.param("foloosi", {"signed": "perhaps"}, "/options/signed", id="extension"),
        pytest.param("standard", {"family": "nobodys"}, "/options/family", id="family"),
    ],
)
def test_a_choice_that_there_is_not_is_refused_at_its_place(
    name: str, options: Mapping[str, str], pointer: str
) -> None:
    """A form marks the field by this."""
    secret = _SIGNED.get(name, SECRET)
    credential = "a-secret-key" if name == "foloosi" else None
    assert {where for where, _ in _faults(name, options, secret, credential=credential)} == {
        pointer
    }


def test_foloosi_needs_the_key_to_ask_with_or_the_secret_of_the_extension() -> None:
    """Without either nothing that it sends could be believed."""
    assert _faults("foloosi", {}) == {("/credential", "required")}
    assert _faults("foloosi", {}, credential="a-secret-key") == set()
    assert _faults("foloosi", {"signed": "extension"}) == {("/secrets", "required")}
    assert _faults("foloosi", {"signed": "extension"}, SECRET) == set()


def test_a_connectors_options_and_its_merchant_decide_who_is_heard() -> None:
    """Whether a request is believed must not depend on which part of the server looks."""

    def connector(dialect: str, **options: str) -> Connector:
        return Connector(
            id=ConnectorId(MERCHANT.id),
            merchant_id=MERCHANT.id,
            name="acquirer",
            dialect=dialect,
            status=ConnectorStatus.ACTIVE,
            version=1,
            created_at=AT,
            updated_at=AT,
            options=tuple(options.items()),
        )

    assert registry.bound(connector("foloosi"), MERCHANT).source is Source.FETCH
    assert registry.bound(connector("foloosi", signed="extension"), MERCHANT) is FOLOOSI_SIGNED
    assert registry.bound(connector("owlpay"), MERCHANT) is registry.find("owlpay")
    own = registry.bound(connector("custom"), MERCHANT)
    assert own is not registry.find("custom")
    assert own is registry.bound(connector("custom"), MERCHANT)


@pytest.mark.parametrize("name", [*sorted(_SIGNED), "foloosi"])
def test_people_are_told_where_which_and_what(name: str) -> None:
    """They do not know which secret a connector verifies with, and ask support."""
    provider = registry.find(name)
    guide = provider.guide
    for words in (provider.title, guide.where, guide.events, guide.secret):
        assert words.strip()
    assert guide.source_url.startswith("https://")
    assert provider.secret is not None
    assert provider.secret.words.endswith(".")
    for choice in provider.choices:
        assert choice.words
        assert not choice.values or choice.default in choice.values
