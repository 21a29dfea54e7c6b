"""Mollie's payment webhooks: an id and no signature, so what it names is asked of Mollie.

Rules: docs.mollie.com/reference/webhooks and docs.mollie.com/reference/get-payment. The answer says
when each thing happened, so the whole history is read from it: whoever asks late hears the same as
whoever asked every time.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import ClassVar, Final
from urllib.parse import parse_qsl

import msgspec

from payhooks.catalogue.life_cycle import at
from payhooks.connectors.contract import (
    Asked,
    Choice,
    Guide,
    Heard,
    Incoming,
    Keys,
    Options,
    SecretWords,
    Source,
)
from payhooks.connectors.said import Said
from payhooks.connectors.translated import Facts, Translated, moment, names
from payhooks.errors import Fault, InvalidError, SignatureError

_API: Final = "https://api.mollie.com"
_API_URL: Final = re.compile(r"https?://[A-Za-z0-9.:\[\]-]{1,255}")
_KEY: Final = re.compile(r"(?:live|test)_[A-Za-z0-9]{10,128}")
_TEST_KEY: Final = "test_"
_ID: Final = re.compile(r"tr_[A-Za-z0-9]{1,64}")
_FIELDS_MAX: Final = 10
_TEST_CALL: Final = "testByMollie"  # made once, while somebody saves the URL
_LISTED_MAX: Final = 500  # refunds or chargebacks of one payment

# When a payment became what; the order is that of a life, for those that say the same time. What
# it is waiting for now is no moment of the past: that is its status alone.
_MOMENTS: Final = (
    ("authorizedAt", "authorized", "payment_authorized"),
    ("paidAt", "paid", "payment_succeeded"),
    ("canceledAt", "canceled", "payment_cancelled"),
    ("expiredAt", "expired", "payment_expired"),
    ("failedAt", "failed", "payment_failed"),
)
_REFUNDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "refunded": "refund_succeeded",
        "failed": "refund_failed",
        "canceled": "refund_failed",  # before it was made: no money goes back
    }
)


class Mollie(Translated):
    """Mollie's webhooks. See Provider for what each member promises."""

    name = "mollie"
    title = "Mollie"
    source = Source.FETCH
    credential = SecretWords(
        label="API key",
        words="The API key of the website profile: it begins with live_, or with test_ in test "
        "mode. With it we ask Mollie what a webhook is about.",
    )
    choices = (
        Choice(
            name="api_url",
            words="Where to ask instead of Mollie, such as a stand-in for it in your own tests. "
            "Only with a key of the test mode.",
        ),
    )
    guide = Guide(
        where="Give this URL as webhookUrl when you create a payment, or in the settings of the "
        "plugin that does so for you.",
        events="None to choose: Mollie calls for every change of a payment, for its refunds and "
        "its chargebacks.",
        secret="Bring back the API key of the website profile that the payments are made with, "  # noqa: S106 - words # nosec B106
        "from the Mollie Dashboard under Developers, API keys.",
        source_url="https://docs.mollie.com/reference/webhooks",
    )
    waits: ClassVar[Mapping[str, timedelta]] = MappingProxyType(
        {
            "payment_processing": timedelta(days=14),  # direct debits and bank transfers
            "payment_authorized": timedelta(days=28),  # as long as pay-later methods wait
        }
    )

    def faults(
        self, options: Options, secrets: Sequence[str], credential: str | None
    ) -> list[Fault]:
        """Return what is no API key, and a stand-in that would be shown a live one."""
        found = []
        if credential is not None and _KEY.fullmatch(credential) is None:
            detail = "An API key of Mollie's begins with live_ or test_."
            found.append(Fault(pointer="/credential", code="malformed", detail=detail))
        url = options.get("api_url", "")
        if url and _API_URL.fullmatch(url) is None:
            detail = "It is a URL without a path, such as http://127.0.0.1:8080."
            found.append(Fault(pointer="/options/api_url", code="malformed", detail=detail))
        if url and not (credential or "").startswith(_TEST_KEY):
            detail = "Only a key that begins with test_ is shown to anybody but Mollie."
            found.append(Fault(pointer="/options/api_url", code="test_only", detail=detail))
        return found

    def verify(self, incoming: Incoming, keys: Keys, now: datetime, options: Options) -> None:
        """Refuse: Mollie signs nothing, and shows nothing."""
        raise SignatureError("Mollie signs nothing", "missing_header")

    def read(self, incoming: Incoming, options: Options) -> Sequence[Heard]:
        """Return the payment that it points at."""
        fields = _fields(incoming.body) + _fields(incoming.query)
        if any(name == _TEST_CALL for name, _ in fields):
            return ()
        ids = {value for name, value in fields if name == "id"}
        if len(ids) != 1:
            raise InvalidError.at("/id", "required", "The body is not one id of Mollie's.")
        pointed_at = ids.pop()
        if _ID.fullmatch(pointed_at) is None:
            detail = "Only payments are asked for; their ids begin with tr_."
            raise InvalidError.at("/id", "malformed", detail)
        return (self.unknown("payment", "payment", pointed_at, b"{}"),)

    def ask(self, heard: Heard, keys: Keys, options: Options) -> Asked | None:
        """Return how to ask for the payment with its refunds and chargebacks."""
        payment, key = _payment_of(heard), keys.credential
        if payment is None or key is None or _KEY.fullmatch(key) is None:
            return None
        url = options.get("api_url") or _API
        # Settings are checked together, and a key may be changed later: so here again.
        if url != _API and not key.startswith(_TEST_KEY):
            return None
        return Asked(
            url=f"{url}/v2/payments/{payment}?embed=refunds,chargebacks",
            headers=(("Authorization", f"Bearer {key}"), ("Accept", "application/hal+json")),
        )

    def asked(self, heard: Heard, body: bytes, options: Options) -> Sequence[Heard]:
        """Return all that has happened to the payment so far."""
        said = Said(body)
        if said.text("/resource") != "payment" or said.needed("/id") != _payment_of(heard):
            raise InvalidError.at("/id", "unexpected", "The answer is not about this payment.")
        found = [*self._payment(said), *self._refunds(said), *self._chargebacks(said)]
        # Whoever stands in for Mollie could say of anything that it is real.
        is_test = said.text("/mode") == "test" or bool(options.get("api_url"))
        return [msgspec.structs.replace(each, is_test=is_test) for each in found]

    def _payment(self, said: Said) -> Iterator[Heard]:
        status = said.needed("/status")
        if status == "pending":
            yield self._heard(said, "payment_processing", f"payment.{status}", when="createdAt")
        whole, captured = said.text("/amount/value"), said.text("/amountCaptured/value")
        for member, word, unified in _MOMENTS:
            if said.text(f"/{member}") is None and status != word:
                continue
            if unified == "payment_succeeded" and _is_less(captured, whole):
                yield self._heard(
                    said,
                    "payment_captured",
                    f"payment.{word}",
                    when=member,
                    amount="/amountCaptured",
                )
            else:
                yield self._heard(said, unified, f"payment.{word}", when=member)

    def _refunds(self, said: Said) -> Iterator[Heard]:
        for place in _places(said, "/_embedded/refunds"):
            status = said.needed(f"{place}/status")
            # Queued, pending and processing are no news: nobody has any money back. When it
            # became what it is nobody says, only when it was asked for.
            if status in _REFUNDS:
                yield self._heard(said, _REFUNDS[status], f"refund.{status}", place)

    def _chargebacks(self, said: Said) -> Iterator[Heard]:
        for place in _places(said, "/_embedded/chargebacks"):
            word = "chargeback.received"
            yield self._heard(said, "dispute_opened", word, place, when="createdAt")
            if said.text(f"{place}/reversedAt") is not None:
                word = "chargeback.reversed"
                yield self._heard(said, "dispute_won", word, place, when="reversedAt")

    def _heard(  # noqa: PLR0913 - one thing, and where it stands
        self,
        said: Said,
        unified: str,
        word: str,
        place: str = "",  # of what it is about; the whole is the payment
        *,
        when: str | None = None,
        amount: str = "/amount",
    ) -> Heard:
        facts = Facts(
            amount=said.text(f"{place}{amount}/value"),
            currency=said.text(f"{place}{amount}/currency"),
            payment_id=said.text("/id") if place else None,
            references=names(
                said.text(f"{place}/id"), said.text("/metadata/order_id"), said.text("/orderId")
            ),
            reason=said.text(f"{place}/details/failureReason", f"{place}/reason/description"),
        )
        at_text = None if when is None else said.text(f"{place}/{when}")
        # Whatever else the next answer says beside, and however it writes the time: it is the same.
        which = (word, facts.amount, facts.currency)
        return self.heard_as(
            unified,
            said.text(f"{place}/id"),
            facts,
            word=word,
            event_id=":".join([part or "" for part in which]),
            occurred_at=None if at_text is None else moment(at_text),
        )


def _fields(form: bytes | str) -> list[tuple[str, str]]:
    try:
        text = form.decode("ascii") if isinstance(form, bytes) else form
        return parse_qsl(text, max_num_fields=_FIELDS_MAX, keep_blank_values=True)
    except ValueError:
        raise InvalidError.at("", "malformed", "The body is not a form of Mollie's.") from None


def _payment_of(heard: Heard) -> str | None:
    is_payment = heard.object_type == "payment" and _ID.fullmatch(heard.object_id) is not None
    return heard.object_id if is_payment else None


def _places(said: Said, pointer: str) -> list[str]:
    found = at(said.data, pointer)
    count = min(len(found), _LISTED_MAX) if isinstance(found, list) else 0
    return [f"{pointer}/{index}" for index in range(count)]


def _is_less(one: str | None, other: str | None) -> bool:
    try:
        return one is not None and other is not None and Decimal(one) < Decimal(other)
    except InvalidOperation:
        return False


MOLLIE: Final = Mollie()
