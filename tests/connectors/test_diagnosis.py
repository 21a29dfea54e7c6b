"""Why a request does not verify, as far as it can be tried: findings with real signatures."""

import json
from datetime import timedelta

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.connectors import signed_by_adyen, signed_by_paypal
from tests.connectors.diagnosing import account, words_on
from tests.connectors.samples import MAKERS, Sample
from tests.support.dialect_events import MERCHANT
from tests.support.heard_histories import NOW

from payhooks.connectors import custom
from payhooks.connectors.contract import Incoming, Keys, Source
from payhooks.connectors.diagnosis import Account, Kept, diagnosed, likely
from payhooks.connectors.foloosi import FOLOOSI, FOLOOSI_SIGNED
from payhooks.connectors.registry import PROVIDERS
from payhooks.dialects.foloosi import FOLOOSI as DIALECT
from payhooks.model.custom_dialect import TimestampUnit

pytestmark = pytest.mark.shows("N06")

_SIGNED = sorted(
    name
    for name, provider in PROVIDERS.items()
    if provider.source is Source.SIGNATURE and name != "paypal"
)
# Whose signature is of the body as it came, and not of something in it.
_OF_ALL_BYTES = sorted(set(_SIGNED) - {"adyen", "treezor"})
# Who sign a time as well.
_TIMED = ["cloudevents", "custom", "owlpay", "standard", "stripe"]
_LEFT = "Nothing fits that was tried"


@pytest.mark.parametrize("name", _SIGNED)
@pytest.mark.parametrize("which", [0, 1], ids=["the newest secret", "the one before it"])
def test_what_the_secrets_of_now_verify_is_to_be_read_again(name: str, which: int) -> None:
    """The secret was mended since, and nobody has pressed the button."""
    sample = MAKERS[name](which)
    [words] = words_on(sample, own=account(sample))
    assert words == (
        "It would be accepted with the connector's settings as they are now: have it read again."
    )


def test_a_credential_that_was_not_kept_is_not_said_to_be_right() -> None:
    """Else whoever has mended nothing would believe that what comes next is accepted."""
    sample = MAKERS["adyen"](0)
    [words] = words_on(
        sample, own=account(sample, sample.keys._replace(credential="user:password"))
    )
    assert words.endswith("The credential that came with it is not kept, so it is not looked at.")


@pytest.mark.parametrize("name", _SIGNED)
def test_a_request_for_another_connector_names_that_one(name: str) -> None:
    """Two webhooks at one provider, and each has the other's URL: the commonest mix-up of all."""
    sample = MAKERS[name](0)
    others = [account(sample, sample.strangers, "third"), account(sample, name="shop-b")]
    [words] = words_on(sample, others=others)
    assert words.startswith("It is signed for another connector of yours, shop-b: ")


def test_a_request_for_a_connector_of_another_provider_names_that_one() -> None:
    """Whoever pastes the wrong URL pastes that of whatever he made last."""
    sample, owlpay = MAKERS["stripe"](0), MAKERS["owlpay"](0)
    [words] = words_on(sample, own=account(owlpay), others=[account(sample, name="stripe-eu")])
    assert "another connector of yours, stripe-eu" in words


def test_a_connector_that_asks_its_provider_is_not_tried() -> None:
    """It goes by no signature, so none makes a request its own."""
    signed = Account("own", FOLOOSI_SIGNED, Keys(("a" * 32,)), {})
    made = DIALECT.sign(
        message_id="msg_1", body=b"{}", secrets=[DIALECT.signing_secret("b" * 32)], now=NOW
    )
    incoming = Incoming("POST", "", {name.lower(): value for name, value in made.headers}, b"{}")
    asking = Account("asking", FOLOOSI, Keys(("b" * 32,)), {})
    assert likely(incoming, FOLOOSI_SIGNED, [(FOLOOSI, {}), (FOLOOSI_SIGNED, {})]) == [1]
    signing = asking._replace(provider=FOLOOSI_SIGNED)
    [words] = diagnosed(Kept(incoming, NOW), signed, [signing], None)
    assert "another connector of yours, asking" in words


@pytest.mark.parametrize("name", _TIMED)
@pytest.mark.parametrize(
    ("off", "side"),
    [
        pytest.param(timedelta(hours=2), "7200 s before it came", id="old"),
        pytest.param(timedelta(seconds=-301), "301 s after it came", id="new"),
    ],
)
def test_a_good_signature_of_a_wrong_time_says_how_wrong(
    name: str, off: timedelta, side: str
) -> None:
    """The secret is right, and who does not know that changes it."""
    sample = MAKERS[name](0)
    noise = {"x-request-start": "1", "traceparent": "00-4bf9-1700000000-01", "x-id": "5" * 13}
    headers = {**noise, **sample.incoming.headers}
    incoming = sample.incoming._replace(headers=headers)
    good, late = words_on(sample, incoming, own=account(sample), at=sample.now + off)
    assert good == "Its signature is good, but not its time."
    assert f"signed {side}, and up to 300 s are accepted: a clock is wrong" in late
    assert ("shows an old one again" in late) == (off > timedelta(0))


def test_another_number_near_the_signed_time_is_not_taken_for_it() -> None:
    """Proxies add times of their own, a few seconds later; the difference is what is asked for."""
    sample = MAKERS["owlpay"](0)
    passed = str(int(sample.now.timestamp()) + 7)
    headers = {"x-passed-at": passed, **sample.incoming.headers}
    incoming = sample.incoming._replace(headers=headers)
    _, late = words_on(sample, incoming, own=account(sample), at=sample.now + timedelta(hours=1))
    assert "3600 s before" in late


def test_a_time_in_milliseconds_is_a_time_too() -> None:
    """A merchant's own format may sign them."""
    assert MERCHANT.custom_dialect is not None
    definition = msgspec.structs.replace(
        MERCHANT.custom_dialect,
        signed="{timestamp}.{body}",
        timestamp_header="X-Sent-At",
        timestamp_unit=TimestampUnit.MILLISECONDS,
    )
    provider, now = custom.bind(definition), MAKERS["custom"](0).now
    secret = provider.dialect.new_secret(b"n" * 32)
    made = provider.dialect.sign(
        message_id="msg_1",
        body=b"{}",
        secrets=[provider.dialect.signing_secret(secret)],
        now=now,
    )
    headers = {name.lower(): value for name, value in made.headers}
    own = Account("own", provider, Keys((secret,)), {})
    incoming = Incoming("POST", "", headers, b"{}")
    said = diagnosed(Kept(incoming, now + timedelta(minutes=6)), own, (), None)
    assert said[0] == "Its signature is good, but not its time."
    assert "360 s before" in said[1]


def test_a_wrong_time_does_not_hide_what_else_is_wrong() -> None:
    """The time is looked at first, so the reason of the receipt says nothing of the secret."""
    sample = MAKERS["stripe"](0)
    late = sample.now + timedelta(minutes=6)
    words, time = words_on(sample, at=late)
    assert words.startswith(_LEFT)
    assert "360 s before" in time
    words, time = words_on(sample, at=late, others=[account(sample, name="shop-b")])
    assert "shop-b" in words
    assert "360 s before" in time


def test_of_a_time_that_nobody_finds_nothing_is_concluded() -> None:
    """Whether the secret is right cannot be tried without it."""
    sample = MAKERS["standard"](0)
    headers = {**sample.incoming.headers, "webhook-timestamp": "9" * 12}
    assert words_on(sample, sample.incoming._replace(headers=headers)) == []


@pytest.mark.parametrize("name", _OF_ALL_BYTES)
@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (b"", b"\n", "without the line feed at the end"),
        (b"\xef\xbb\xbf", b"", "without the byte order mark"),
        (b" ", b" ", "without white space around it"),
    ],
)
def test_a_body_that_was_changed_on_its_way_says_how(
    name: str, before: bytes, after: bytes, words: str
) -> None:
    """What is between makes every signature a wrong one, and the secret is blamed for it."""
    sample = MAKERS[name](0)
    incoming = sample.incoming._replace(body=before + sample.incoming.body + after)
    [said] = words_on(sample, incoming, own=account(sample))
    assert said.startswith(f"Its signature is good {words}: something between ")
    late = words_on(sample, incoming, own=account(sample), at=sample.now + timedelta(hours=1))
    assert late[0] == said
    assert ["3600 s before" in each for each in late[1:]] == [True] * (name in _TIMED)


# What we send as Stripe is not written without spaces, here.
@pytest.mark.parametrize("name", sorted(set(_OF_ALL_BYTES) - {"stripe"}))
def test_a_body_that_was_read_and_written_again_says_so(name: str) -> None:
    """Gateways do that to whatever says that it is JSON."""
    sample = MAKERS[name](0)
    body = json.dumps(json.loads(sample.incoming.body), indent=1).encode()
    [said] = words_on(sample, sample.incoming._replace(body=body), own=account(sample))
    assert said.startswith("Its signature is good after writing the JSON again without spaces: ")


def test_a_mark_in_front_of_adyens_json_is_found_though_it_reads_as_no_notification() -> None:
    """What is signed stands in the body: without it nothing seems to be signed at all."""
    sample = MAKERS["adyen"](0)
    incoming = sample.incoming._replace(body=b"\xef\xbb\xbf" + sample.incoming.body)
    [words] = words_on(sample, incoming, own=account(sample))
    assert "without the byte order mark" in words


@pytest.mark.parametrize(
    ("sent", "ours", "titles"),
    [
        ("stripe", "owlpay", "Stripe"),
        ("owngateway", "stripe", "OwnGateway or Hyperswitch"),
        ("standard", "owngateway", "Standard Webhooks or CloudEvents"),
        ("adyen", "standard", "Adyen"),
        ("treezor", "adyen", "Treezor"),
        ("paypal", "stripe", "PayPal"),
    ],
)
def test_a_request_that_another_provider_signed_names_him(
    sent: str, ours: str, titles: str
) -> None:
    """The connector was made for the wrong one, or the URL given to the wrong one."""
    sample, own = MAKERS[sent](0), MAKERS[ours](0)
    [words] = words_on(sample, own=account(own))
    title = own.provider.title
    assert words == f"It has a signature where {titles} has one, and this connector is for {title}."


@pytest.mark.parametrize("name", ["owngateway", "standard", "stripe", "adyen"])
def test_what_has_no_signature_at_all_has_nothing_added_to_its_reason(name: str) -> None:
    sample = MAKERS[name](0)
    assert words_on(sample, Incoming("POST", "", {}, b"{}")) == []


@pytest.mark.parametrize("name", sorted(set(_SIGNED) - {"custom"}))
def test_what_is_left_names_the_secret_and_how_many_were_tried(name: str) -> None:
    """The commonest mistake by far, and each provider calls it otherwise."""
    sample = MAKERS[name](0)
    secret = sample.provider.secret
    assert secret is not None
    [words] = words_on(sample)
    assert words.startswith(f"{_LEFT}: the connector's secret, other line ends and ")
    assert words.endswith(f"or changed otherwise. The connector needs this: {_wanted(sample)}")
    several = Keys((*sample.strangers.secrets, *sample.strangers.secrets))
    [words] = words_on(sample, own=account(sample, several))
    assert "the connector's 2 secrets, " in words
    [words] = words_on(sample, own=account(sample, Keys(())))
    assert words.startswith("The connector holds no secret, so that nothing is verified. ")
    assert words.endswith(_wanted(sample))


def test_an_own_format_may_be_wrong_itself() -> None:
    """Its algorithm, its prefix, what it signs: a merchant has written all of that by hand."""
    sample = MAKERS["custom"](0)
    [words] = words_on(sample)
    assert "or in another way than the merchant's format says" in words
    gone = Account("own", custom.CUSTOM, sample.keys, {})
    [words] = words_on(sample, own=gone)
    assert words.startswith("The merchant has no format of its own any more")


def test_what_is_malformed_is_not_blamed_on_the_secret() -> None:
    """Its reason says what is wrong, and no secret would make it right."""
    sample = MAKERS["stripe"](0)
    headers = {**sample.incoming.headers, "stripe-signature": "t=soon,v1=00"}
    assert words_on(sample, sample.incoming._replace(headers=headers)) == []


def test_where_headers_were_masked_nothing_is_said_of_the_secret() -> None:
    """An id that looks like a card number is part of what was signed."""
    sample = MAKERS["standard"](0)
    headers = {**sample.incoming.headers, "webhook-id": "msg_411111******1111"}
    masked = sample.incoming._replace(headers=headers)
    [words] = words_on(sample, masked, own=account(sample), headers_masked=True)
    assert "nothing can be said of the secret" in words
    [words] = words_on(sample, own=account(sample), headers_masked=True)
    assert words.startswith("It would be accepted")


def test_of_paypal_nothing_is_tried_and_the_webhook_id_is_named() -> None:
    """There is no secret; whether the certificate is right nobody knows who does not fetch it."""
    sample = MAKERS["paypal"](0)
    [words] = words_on(sample, own=account(sample, Keys(())))
    assert words.startswith("Whether the certificate that it names signed it was not tried")
    assert f"The connector's webhook_id is {signed_by_paypal.WEBHOOK_ID}. The id of" in words
    for name, value in (("paypal-cert-url", "https://evil.test/"), ("paypal-auth-algo", "none")):
        headers = {**sample.incoming.headers, name: value}
        incoming = sample.incoming._replace(headers=headers)
        assert words_on(sample, incoming, own=account(sample, Keys(()))) == []


def test_what_is_asked_for_now_is_to_be_read_again() -> None:
    """Foloosi signs nothing, and the connector was one for our extension when it came."""
    sample = MAKERS["foloosi"](0)
    [words] = words_on(sample, own=account(sample))
    assert words.startswith("It would be accepted")
    large = sample.incoming._replace(body=b" " * 10_000)
    assert words_on(sample, large, own=account(sample)) == []


def test_no_secret_is_in_the_words() -> None:
    """They are shown to whoever may only look."""
    for name in sorted(MAKERS):
        sample = MAKERS[name](0)
        keys = sample.strangers._replace(credential="user:password")
        others = [account(sample, name="other")]
        for said in (words_on(sample, own=account(sample, keys)), words_on(sample, others=others)):
            for words in said:
                for secret in (*keys.secrets, *sample.keys.secrets, "password"):
                    assert secret not in words.replace("a user name and a password", "")


_TEXTS = st.text(max_size=40) | st.from_regex(r"(t=|v1,|sha256=)?[0-9]{1,14}(,v1=0)?")
_BODIES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([b"[" * 5_000, b'{"a":' * 990 + b"1" + b"}" * 990, b"[1e999]", b'"\\ud800"']),
    st.sampled_from([signed_by_adyen.batch(signed_by_adyen.PAYMENT).body, b"1" * 5_000]),
)


@pytest.mark.parametrize("name", sorted(MAKERS))
@settings(max_examples=60)
@given(body=_BODIES, values=st.lists(_TEXTS, max_size=6), kept=st.booleans(), masked=st.booleans())
@example(body=b"\xff\xfe", values=["9" * 14, "0", "1" * 13], kept=True, masked=False)
@example(body=b"", values=["253402300799"] * 6, kept=True, masked=False)
def test_whatever_arrived_ends_in_words(
    name: str, body: bytes, values: list[str], *, kept: bool, masked: bool
) -> None:
    """A quarantine holds what strangers made up; whoever looks must not meet an error."""
    sample = MAKERS[name](0)
    there = sample.incoming.headers
    headers = {**there, **dict(zip(sorted(there, reverse=True), values, strict=False))}
    incoming = sample.incoming._replace(
        headers=headers, body=sample.incoming.body if kept else body
    )
    own = account(sample, sample.strangers._replace(materials={}))
    others = [account(MAKERS[other](0), name=other) for other in ("stripe", "treezor", "adyen")]
    said = words_on(sample, incoming, own=own, others=others, headers_masked=masked)
    assert all(words.endswith(".") and len(words) < 700 for words in said)
    assert len(said) <= 2


def _wanted(sample: Sample) -> str:
    assert sample.provider.secret is not None
    return f"{sample.provider.secret.label}. {sample.provider.secret.words}"
