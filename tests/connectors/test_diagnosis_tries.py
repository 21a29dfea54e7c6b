"""What a diagnosis tries, what that may cost, and that it claims no more than it tried."""

import json
from collections.abc import Callable
from datetime import datetime

import pytest
from tests.connectors.diagnosing import account, words_on
from tests.connectors.samples import MAKERS
from tests.support.dialect_events import MERCHANT

from payhooks.connectors import custom
from payhooks.connectors.adyen import Adyen
from payhooks.connectors.contract import Incoming, Keys, Options, Provider
from payhooks.connectors.diagnosis import Account, likely
from payhooks.connectors.judging import judged
from payhooks.connectors.registry import PROVIDERS
from payhooks.dialects.stripe import STRIPE
from payhooks.errors import SignatureError
from payhooks.limits import EVENT_BODY_BYTES_MAX, KIB

pytestmark = pytest.mark.shows("N06")

_ADYEN = MAKERS["adyen"](0)
_STRIPE = MAKERS["stripe"](0)
_CREDENTIAL = "user:password"
_SAID = {"id": "evt_1", "n": [1, {}], "url": "https://shop.test/a", "name": "Zoë"}


def _compact(said: object) -> str:
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def _of_stripe(sent: str) -> tuple[Incoming, Account]:
    """Return what comes of JSON that is signed and written otherwise, and what it came to."""
    secret = _STRIPE.keys.secrets[0]
    made = STRIPE.sign(
        message_id="evt_1",
        body=sent.encode(),
        secrets=[STRIPE.signing_secret(secret)],
        now=_STRIPE.now,
    )
    headers = {name.lower(): value for name, value in made.headers}
    came = json.dumps(json.loads(sent), separators=(" ,", " :")).encode()
    return Incoming("POST", "", headers, came), account(_STRIPE, Keys((secret,)))


@pytest.mark.parametrize(
    ("write", "words"),
    [
        pytest.param(_compact, "without spaces:", id="JavaScript"),
        pytest.param(json.dumps, "with spaces after commas and colons:", id="Python"),
        pytest.param(
            lambda said: json.dumps(said, ensure_ascii=False, indent=2), "indented by 2:", id="Ruby"
        ),
        pytest.param(lambda said: json.dumps(said, indent=4), "indented by 4:", id="Python's tool"),
        pytest.param(
            lambda said: json.dumps(said, separators=(",", ":")).replace("/", "\\/"),
            "without spaces and with slashes escaped:",
            id="PHP",
        ),
    ],
)
def test_json_is_tried_as_senders_write_it(write: Callable[[object], str], words: str) -> None:
    """Stripe indents by two. Whoever compacts that on its way is not a wrong secret."""
    incoming, own = _of_stripe(write(_SAID))
    [said] = words_on(_STRIPE, incoming, own=own)
    assert said.startswith(f"Its signature is good after writing the JSON again {words} ")


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "the connector's secret, other line ends"),
        (1, "the connector's secret, those of 1 other connector of yours, other line ends"),
        (2, "the connector's secret, those of 2 other connectors of yours, other line ends"),
    ],
)
def test_of_other_connectors_as_many_are_claimed_as_were_tried(count: int, words: str) -> None:
    """Who has none would look for them, and who has fifty would not look at the rest."""
    sample = MAKERS["owlpay"](0)
    [said] = words_on(sample, others=[account(sample, sample.strangers)] * count)
    assert said.startswith(f"Nothing fits that was tried: {words} and white space around the body")
    assert "body, and other spellings of it where it is JSON. It was" in said


def test_what_is_larger_than_any_provider_sends_is_not_written_again() -> None:
    """Anybody may send it, and to write it again takes the interpreter from who is heard."""
    incoming, own = _of_stripe(_compact({**_SAID, "padding": "x" * 32 * KIB}))
    [said] = words_on(_STRIPE, incoming, own=own)
    assert said.startswith(
        "Nothing fits that was tried: the connector's secret, and other line ends and white space"
        " around the body. It was"
    )


class _Counting(Adyen):
    """Adyen, who counts how often a body is read to see what it lacks."""

    def __init__(self) -> None:
        self.looks = 0

    def missing(self, incoming: Incoming, options: Options) -> str | None:
        self.looks += 1
        return super().missing(incoming, options)


def test_what_connectors_of_one_kind_lack_is_looked_for_once() -> None:
    """A hundred items are read for it, and who has a hundred connectors has them of few kinds."""
    provider = _Counting()
    others = [(provider, {"capture": "manual"})] * 50 + [(provider, {})] * 49
    assert len(likely(_ADYEN.incoming, provider, others)) == 20
    assert provider.looks == 2


@pytest.mark.parametrize(
    ("size", "tried"), [(1, 20), (24 * KIB, 20), (64 * KIB, 8), (EVENT_BODY_BYTES_MAX, 2)]
)
def test_of_what_is_large_fewer_others_are_tried(size: int, tried: int) -> None:
    sample = MAKERS["owlpay"](0)
    incoming = sample.incoming._replace(body=b" " * size)
    assert len(likely(incoming, sample.provider, [(sample.provider, {})] * 99)) == tried


def test_who_is_likely_signs_as_it_is_signed_and_is_of_the_same_provider_first() -> None:
    """Who would be asked, who names a certificate and who signs elsewhere are none to try."""
    sample = MAKERS["hyperswitch"](0)
    names = ["mollie", "paypal", "owngateway", "stripe", "hyperswitch", "foloosi", "owngateway"]
    others: list[tuple[Provider, Options]] = [(PROVIDERS[name], {}) for name in names]
    paypal = MAKERS["paypal"](0).incoming.headers
    incoming = sample.incoming._replace(headers={**paypal, **sample.incoming.headers})
    assert likely(incoming, sample.provider, others) == [4, 2, 6]


def _reason(headers: dict[str, str]) -> str | None:
    """Return why Adyen's sample is refused as it comes to who demands a user name."""
    incoming = _ADYEN.incoming._replace(headers=headers)
    keys = _ADYEN.keys._replace(credential=_CREDENTIAL)
    return judged(_ADYEN.provider, incoming, keys, _ADYEN.now, {}).reason


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "It came without the user name and password that the connector asks for: "),
        (
            {"authorization": "Basic AAAA"},
            "The user name and password that it came with were not the connector's: ",
        ),
    ],
)
def test_a_wrong_user_name_is_mended_before_it_is_read_again(
    headers: dict[str, str], words: str
) -> None:
    """That it would be accepted is true of this one alone: the next one is refused as well."""
    keys = _ADYEN.keys._replace(credential=_CREDENTIAL)
    good, shown = words_on(_ADYEN, own=account(_ADYEN, keys), reason=_reason(headers))
    assert good == "Its signature is good: it can be read again."
    assert shown.startswith(words)
    assert "mend it at Adyen" in shown
    strangers = _ADYEN.strangers._replace(credential=_CREDENTIAL)
    left, shown = words_on(_ADYEN, own=account(_ADYEN, strangers), reason=_reason(headers))
    assert left.startswith("Nothing fits that was tried: the connector's secret, ")
    assert shown.startswith(words)


def test_a_user_name_that_is_asked_for_no_more_is_not_blamed() -> None:
    [words] = words_on(_ADYEN, own=account(_ADYEN), reason=_reason({}))
    assert words.startswith("It would be accepted")


def test_what_is_in_a_merchants_own_format_says_so() -> None:
    """The only one of its formats that no list of ours has."""
    sample, own = MAKERS["custom"](0), MAKERS["owlpay"](0)
    [words] = words_on(sample, own=account(own), own_format=sample.provider)
    assert words == (
        "It has a signature where your own format has one, and this connector is for OwlPay."
    )
    [words] = words_on(own, own=account(sample), own_format=sample.provider)
    assert words.endswith("where OwlPay has one, and this connector is for your own format.")


def test_the_time_is_looked_for_without_the_body() -> None:
    """A stranger writes fifty numbers, and each would hash his 256 KiB for each secret, twice."""
    lengths = list[int]()

    class Watching(custom.Own):
        def verify(self, incoming: Incoming, keys: Keys, now: datetime, options: Options) -> None:
            lengths.append(len(incoming.body))
            raise SignatureError("timestamp is outside the tolerance", "timestamp_too_old")

    assert MERCHANT.custom_dialect is not None
    sample = MAKERS["custom"](0)
    own = account(sample)._replace(provider=Watching(MERCHANT.custom_dialect))
    numbers = {f"x-{number}": str(number) for number in range(60)}
    incoming = sample.incoming._replace(headers={**numbers, **sample.incoming.headers})
    assert words_on(sample, incoming, own=own) == []
    assert lengths.count(0) == 100
    assert len(lengths) < 120
