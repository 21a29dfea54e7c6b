"""Foloosi: transfers, and the orders that follow them.

It signs nothing, so what a webhook points at is asked for with the account's secret key, and that
answer is believed. Where the sender adds our signature, the webhook itself is.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, ClassVar, Final

import msgspec

from payhooks.catalogue.life_cycle import at
from payhooks.connectors.catalogued import Catalogued, Place, heard_of, secret_faults
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
from payhooks.connectors.said import Said, Unit
from payhooks.connectors.unified import FAMILY as UNIFIED
from payhooks.connectors.unified import smallest
from payhooks.dialects.foloosi import FOLOOSI as DIALECT
from payhooks.dialects.foloosi import ORDER, TRANSFER
from payhooks.dialects.provider_words import FOLOOSI_EVENT_OF_STATUS
from payhooks.dialects.reading import Members, decode_members, decoded, scalar_text
from payhooks.errors import Fault, InvalidError

SIGNED: Final = "signed"
EXTENSION: Final = "extension"
NOT_SIGNED: Final = "no"

_TRANSACTION_URL: Final = "https://api.foloosi.com/v1/api/transaction-detail/"
# What may stand in a path as it is: a number that says more would ask for something else.
_NUMBER: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
# What the detail API calls the members of a transfer; the first that is there.
_DETAILS: Final = MappingProxyType(
    {
        "transaction_no": ("transaction_no",),
        "transaction_status": ("transaction_status", "status"),
        "transaction_amount": ("transaction_amount", "send_amount", "sender_amount", "amount"),
        "transaction_currency": ("transaction_currency", "sender_currency", "currency"),
        "transaction_message": ("transaction_message", "reason"),
        "payment_reference": ("payment_reference", "optional1"),
        "pay_back": ("pay_back",),
    }
)
_FAILED: Final = "payment_failed"
_ISSUER_DEBITED: Final = "issuer_debited"
_YES: Final = (True, 1, "1", "true", "yes")
_NO: Final = (False, 0, "0", "false", "no")


class Foloosi(Catalogued):
    """Foloosi's webhooks, believed once it was asked. See Provider for each member's promise."""

    name = "foloosi"
    title = "Foloosi"
    dialect = DIALECT
    family = "foloosi"
    source = Source.FETCH
    waits: ClassVar[Mapping[str, timedelta]] = MappingProxyType(
        {"payment_processing": timedelta(hours=24)}
    )
    secret = SecretWords(
        label="Signing secret",
        words="Only where the sender signs with our extension, X-Foloosi-Signature: the secret "
        "that both hold. Foloosi itself signs nothing.",
        required=False,
    )
    credential = SecretWords(
        label="secret_key",
        words="The account's secret_key, with which a transaction's details are asked for: "
        "where nothing is signed it is needed.",
        required=False,
    )
    choices = (
        Choice(
            name=SIGNED,
            words="no: each webhook's transaction is asked for at Foloosi before it is believed. "
            "extension: the sender signs with X-Foloosi-Signature, and nobody is asked.",
            values=(NOT_SIGNED, EXTENSION),
            default=NOT_SIGNED,
        ),
    )
    guide = Guide(
        where="Make this the account's webhook URL. Foloosi's documentation does not say where: "
        "ask its support.",
        events="Its documentation names nothing to choose: payments and their orders are told.",
        secret="Bring back the account's secret_key, which stands beside the merchant_key among "  # noqa: S106 - words # nosec B106
        "the API credentials.",
        source_url="https://docs.foloosi.com/webhooks",
    )
    places = MappingProxyType(
        {
            # A transfer has no words of its own in the catalogue: it tells in the unified ones.
            ("payment", "payment"): Place(
                id=("/transaction_no",),
                amount=("/transaction_amount",),
                currency=("/transaction_currency",),
                references=("/payment_reference", "/api/optional1"),
            ),
        }
    )

    def check(self, options: Options, secrets: Sequence[str], credential: str | None) -> None:
        """Accept the key to ask with, or the secret of the extension, whichever is needed."""
        faults = self.option_faults(options)
        if is_signed(options):
            wanted = msgspec.structs.replace(self.secret, required=True)
            faults += secret_faults(self.dialect, wanted, secrets)
        else:
            faults += secret_faults(self.dialect, self.secret, secrets)
            if not credential:
                detail = (
                    f"{self.credential.label} is needed: nothing is signed, so Foloosi is asked."
                )
                faults.append(Fault(pointer="/credential", code="required", detail=detail))
        if faults:
            raise InvalidError(faults)

    def missing(self, incoming: Incoming, options: Options) -> str | None:
        """Return None: nothing is signed."""
        return None

    def read(self, incoming: Incoming, options: Options) -> Sequence[Heard]:
        """Return the transfer that the webhook points at; nothing where it names none."""
        reading = self.dialect.read(incoming.headers, incoming.body, options)
        payload = decode_members(reading.payload)
        beside = decode_members(reading.metadata or b"{}").get(TRANSFER) or payload.get(TRANSFER)
        number = scalar_text(payload.get("transaction_no"))
        if number is None and beside is not None and bytes(beside).startswith(b"{"):
            number = scalar_text(decode_members(bytes(beside)).get("transaction_no"))
        if number is None:
            return ()
        if _NUMBER.fullmatch(number) is None:
            detail = "It is not the number of a transaction."
            raise InvalidError.at("/data/transfer/transaction_no", "malformed", detail)
        # Nothing of it is believed but which transaction it is about.
        return (
            Heard(
                word=reading.event_type,
                family=UNIFIED,
                type=FOLOOSI_EVENT_OF_STATUS["pending"],
                object_type=TRANSFER,
                object_id=number,
                data=b"{}",
            ),
        )

    def ask(self, heard: Heard, keys: Keys, options: Options) -> Asked | None:
        """Return the question for the transaction's details; None without a key to ask with."""
        if not keys.credential:
            return None
        return Asked(_TRANSACTION_URL + heard.object_id, (("secret_key", keys.credential),))

    def asked(self, heard: Heard, body: bytes, options: Options) -> Sequence[Heard]:
        """Return the transfer as the account has it."""
        wanted = "a JSON object with data, the details of a transaction"
        data = decoded(decode_members, body, wanted=wanted).get("data")
        details = decoded(decode_members, bytes(data or b""), wanted=wanted)
        asked_for = msgspec.Raw(msgspec.json.encode(heard.object_id))
        transfer: Members = {}
        for name, spellings in _DETAILS.items():
            found = [details[one] for one in spellings if one in details]
            if found:
                transfer[name] = found[0]
        if scalar_text(transfer.setdefault("transaction_no", asked_for)) != (heard.object_id):
            detail = "This is another transaction than was asked for."
            raise InvalidError.at("/data/transaction_no", "disagrees", detail)
        payload = msgspec.json.encode({"data": {TRANSFER: transfer}})
        now = _heard(Incoming("GET", "", {}, payload))
        return (msgspec.structs.replace(now, version=_amount(now), news=_debit(now)),)

    def extra_of(self, said: Said, unified: str) -> Mapping[str, Any]:
        """Return why a payment failed, and what the issuer has debited all the same."""
        if unified != _FAILED:
            return {}
        extra: dict[str, Any] = {"error_message": said.text("/transaction_message")}
        if _says_pay_back(said):
            extra["pay_back"] = _pay_back(said)
        return extra


class FoloosiSigned(Foloosi):
    """The same where the sender signs with our extension. See Provider."""

    source = Source.SIGNATURE

    def missing(self, incoming: Incoming, options: Options) -> str | None:
        """Return that the header is not there which has the signature."""
        header = DIALECT.scheme.header
        if header.lower() in incoming.headers:
            return None
        return f"The request has no {header} header."

    def read(self, incoming: Incoming, options: Options) -> Sequence[Heard]:
        """Return the transfer or the order."""
        return (_heard(incoming),)


FOLOOSI: Final = Foloosi()
FOLOOSI_SIGNED: Final = FoloosiSigned()


def is_signed(options: Options) -> bool:
    """Say whether a connector with these options gets webhooks that our extension signs."""
    return options.get(SIGNED) == EXTENSION


def _heard(incoming: Incoming) -> Heard:
    reading = DIALECT.read(incoming.headers, incoming.body)
    # An order has words of its own; a transfer is told of in the unified ones.
    family = DIALECT.name if reading.object_type == ORDER else UNIFIED
    # The dialect makes an id of the transaction and what became of it: each is told once.
    event_id = reading.ids[0][1] if reading.ids else None
    return heard_of(reading, family, event_id=event_id)


def _debit(heard: Heard) -> str:
    """Return which money is to be paid back, of a payment that failed and was debited."""
    said = Said(heard.data)
    if heard.type != _FAILED or not _says_pay_back(said):
        return ""
    try:
        debit = _pay_back(said)
    except InvalidError:
        return ""  # whoever tells it says what is wrong
    return f"{debit['amount']}.{debit['currency']}" if debit["required"] else ""


def _amount(heard: Heard) -> str:
    """Return what the payment is of: the account may know better than it did."""
    said = Said(heard.data)
    try:
        currency = said.currency("/transaction_currency")
        if currency is None:
            return ""
        amount = said.amount("/transaction_amount", currency=currency, unit=Unit.WHOLE)
    except InvalidError:
        return ""  # whoever tells it says what is wrong
    return "" if amount is None else f"{smallest(amount, currency)}.{currency}"


def _says_pay_back(said: Said) -> bool:
    pay_back = at(said.data, "/pay_back")
    return pay_back in _YES or isinstance(pay_back, Mapping)


def _pay_back(said: Said) -> dict[str, Any]:
    currency = said.currency("/pay_back/currency", "/transaction_currency")
    if currency is None:
        said.needed("/transaction_currency")
    assert currency is not None, "it was needed"
    places = ("/pay_back/amount", "/transaction_amount")
    amount = said.amount(*places, currency=currency, unit=Unit.WHOLE)
    return {
        "required": at(said.data, "/pay_back/required") not in _NO,
        "amount": smallest(Decimal(0) if amount is None else amount, currency),
        "currency": currency,
        "reason": said.text("/pay_back/reason") or _ISSUER_DEBITED,
    }
