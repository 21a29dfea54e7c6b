"""What dialects derive from: whoever writes one says what is its own, and has the rest."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.dialect_events import MERCHANT, drawn_events, endpoint_of

from payhooks.dialects.contract import NO_OPTIONS, Options, Reading, Rendered
from payhooks.dialects.offered import accepted
from payhooks.dialects.ordinary import HeaderSigned
from payhooks.dialects.schemes import TimedList
from payhooks.errors import InvalidError, SignatureError
from payhooks.model.endpoint import Endpoint
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant

pytestmark = pytest.mark.shows("V10")

NOW = datetime(2030, 1, 1, tzinfo=UTC)


class Acme(HeaderSigned):
    """As little as docs/dialects-in-code.md asks for."""

    name = "acme"
    version = 1
    key_prefix = "acme_"
    scheme = TimedList("Acme-Signature")

    def render(self, *, event: Event, endpoint: Endpoint, merchant: Merchant) -> Rendered:
        """Return the data alone."""
        return Rendered(content_type="application/json", body=event.data)

    def read(
        self, headers: Mapping[str, str], body: bytes, options: Options = NO_OPTIONS
    ) -> Reading:
        """Refuse everything."""
        raise InvalidError.at("", "unsupported", "This one only sends.")


ACME = Acme()


def test_the_least_that_the_docs_ask_for_is_a_dialect() -> None:
    """Who follows the page must not hear at the start of the server of something missing."""
    assert accepted(ACME) is ACME
    assert ACME.own_headers == {"acme-signature"}


def test_it_signs_what_it_verifies_and_nothing_else() -> None:
    """The two halves come with the scheme, so nobody writes them again."""
    text = ACME.new_secret(bytes(range(32)))
    assert text.startswith("acme_")
    [event] = drawn_events("standard", count=1, seed=1)
    assert ACME.refusal(event) is None
    body = ACME.render(event=event, endpoint=endpoint_of("standard"), merchant=MERCHANT).body
    signed = ACME.sign(message_id="m", body=body, secrets=[ACME.signing_secret(text)], now=NOW)
    headers = {name.lower(): value for name, value in signed.headers}
    secrets = [ACME.verifying_secret(text)]
    ACME.verify(headers, signed.body, secrets, NOW)
    for wrong, at in ((body + b" ", NOW), (body, NOW + timedelta(minutes=6))):
        with pytest.raises(SignatureError):
            ACME.verify(headers, wrong, secrets, at)


def test_what_it_does_not_know_is_refused_without_repeating_it() -> None:
    """An option that is passed over would be an endpoint that does not do what it was told."""
    ACME.check_options(NO_OPTIONS)
    with pytest.raises(InvalidError, match="no options") as caught:
        ACME.check_options({"a-text-of-the-caller": "x"})
    assert "a-text-of-the-caller" not in str(caught.value)
    assert len(caught.value.faults) == 1
