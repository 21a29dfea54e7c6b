"""Stripe: its snapshot events, translated as they are read.

A refund is told by its own events, of which each names it; ``charge.refunded`` says how much of
the charge is refunded by now, so it is heard only where it names its newest refund. Since API
version 2022-11-15 it does not: then nothing is known of it, and the receipt says so.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import ClassVar, Final, NamedTuple

import msgspec

from payhooks.connectors.catalogued import POSTED, secret_faults, verified
from payhooks.connectors.contract import Guide, Heard, Incoming, Keys, Options, SecretWords
from payhooks.connectors.said import Said
from payhooks.connectors.translated import Facts, Translated, names
from payhooks.dialects.stripe import SIGNATURE
from payhooks.dialects.stripe import STRIPE as DIALECT
from payhooks.errors import Fault, InvalidError
from payhooks.model.currencies import digits_of

# Currencies whose amounts Stripe counts otherwise than ISO 4217 does.
_DIGITS: Final[Mapping[str, int]] = MappingProxyType({"ISK": 2, "UGX": 2, "MGA": 0})


class _Row(NamedTuple):
    """What an event means: always the same, or by the status of its object."""

    events: Mapping[str | None, str]  # by status; None: whatever it is
    amount: tuple[str, ...] = ("/amount",)
    status: str = "/status"
    object_id: tuple[str, ...] = ("/id",)
    payment_id: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    reason: tuple[str, ...] = ()


_ORDER: Final = ("/metadata/order_id", "/latest_charge")
_ABOUT: Final = ("/payment_intent", "/charge")


def _payment(event: str, *amount: str) -> _Row:
    return _Row(
        {None: event},
        amount=amount or ("/amount",),
        references=_ORDER,
        reason=("/last_payment_error/message", "/cancellation_reason"),
    )


def _dispute(events: Mapping[str | None, str]) -> _Row:
    return _Row(events, payment_id=_ABOUT, references=("/charge",), reason=("/reason",))


def _payout(event: str) -> _Row:
    return _Row({None: event}, reason=("/failure_message",))


_REFUND: Final = _Row(
    {"succeeded": "refund_succeeded", "failed": "refund_failed", "canceled": "refund_failed"},
    payment_id=_ABOUT,
    references=("/charge", "/metadata/order_id"),
    reason=("/failure_reason",),
)
_ROWS: Final[Mapping[str, _Row]] = MappingProxyType(
    {
        "payment_intent.processing": _payment("payment_processing"),
        "payment_intent.requires_action": _payment("action_required"),
        "payment_intent.amount_capturable_updated": _payment(
            "payment_authorized", "/amount_capturable"
        ),
        "payment_intent.succeeded": _payment("payment_succeeded", "/amount_received", "/amount"),
        "payment_intent.payment_failed": _payment("payment_failed"),
        "payment_intent.canceled": _payment("payment_cancelled"),
        "refund.created": _REFUND,
        "refund.updated": _REFUND,
        "refund.failed": _REFUND._replace(events={None: "refund_failed"}),
        "charge.refund.updated": _REFUND,
        "charge.refunded": _Row(
            {"succeeded": "refund_succeeded"},
            amount=("/refunds/data/0/amount",),
            status="/refunds/data/0/status",
            object_id=("/refunds/data/0/id",),
            payment_id=("/payment_intent", "/id"),
            references=("/id",),
        ),
        "charge.dispute.created": _dispute({None: "dispute_opened"}),
        "charge.dispute.updated": _dispute({"under_review": "dispute_challenged"}),
        "charge.dispute.closed": _dispute(
            {"won": "dispute_won", "lost": "dispute_lost", "warning_closed": "dispute_cancelled"}
        ),
        "payout.created": _payout("payout_initiated"),
        "payout.paid": _payout("payout_success"),
        "payout.failed": _payout("payout_failed"),
        "payout.canceled": _payout("payout_cancelled"),
    }
)
# They come with what the guide says to switch on, and others tell what follows from them.
_SILENT: Final = frozenset(
    {
        "payment_intent.created",
        "payment_intent.partially_funded",
        "charge.dispute.funds_reinstated",
        "charge.dispute.funds_withdrawn",
        "payout.reconciliation_completed",
        "payout.updated",
    }
)


class Stripe(Translated):
    """Stripe's webhooks. See Provider for what each member promises."""

    name = "stripe"
    title = "Stripe"
    methods = POSTED
    waits: ClassVar[Mapping[str, timedelta]] = MappingProxyType(
        {
            # Bank debits take some business days; Stripe names up to fourteen for some.
            "payment_processing": timedelta(days=14),
            "payment_authorized": timedelta(days=7),  # then the issuer gives the money free
        }
    )
    secret = SecretWords(
        label="Signing secret",
        words="The signing secret of the endpoint at Stripe; it begins with whsec_.",
    )
    guide = Guide(
        where="In Stripe's dashboard, among the webhooks of the developers' part: add an "
        "endpoint with this URL.",
        events="payment_intent.*, refund.created, refund.updated, refund.failed, "
        "charge.dispute.* and payout.*; snapshot events, not thin ones.",
        secret="Bring back the endpoint's signing secret. It begins with whsec_.",  # noqa: S106 - words # nosec B106
        source_url="https://docs.stripe.com/webhooks",
    )

    def faults(
        self, options: Options, secrets: Sequence[str], credential: str | None
    ) -> list[Fault]:
        """Return which secrets are none."""
        return secret_faults(DIALECT, self.secret, secrets) if secrets else []

    def missing(self, incoming: Incoming, options: Options) -> str | None:
        """Return that the header is not there which has the signature."""
        if SIGNATURE.lower() in incoming.headers:
            return None
        return f"The request has no {SIGNATURE} header."

    def verify(self, incoming: Incoming, keys: Keys, now: datetime, options: Options) -> None:
        """Accept what is signed with one of the secrets within five minutes."""
        verified(DIALECT, incoming, keys, now)

    def read(self, incoming: Incoming, options: Options) -> Sequence[Heard]:
        """Return what the event means; nothing where its object's status makes it mean nothing.

        One that does not name what it would be told of is not known, as one without a row.
        """
        reading = DIALECT.read(incoming.headers, incoming.body)
        if reading.event_type in _SILENT:
            return ()
        row = _ROWS.get(reading.event_type)
        said = Said(reading.payload)
        object_id = None if row is None else said.text(*row.object_id)
        if row is None or object_id is None:
            kind = reading.object_type or "event"
            about = reading.object_id or reading.ids[0][1]
            return (self.unknown(reading.event_type, kind, about, reading.payload),)
        unified = row.events.get(said.text(row.status)) or row.events.get(None)
        if unified is None:
            return ()
        heard = self.heard_as(
            unified,
            object_id,
            _facts(said, row),
            word=reading.event_type,
            event_id=reading.ids[0][1],
            occurred_at=reading.occurred_at,
        )
        return (msgspec.structs.replace(heard, is_test=reading.is_test is True),)


STRIPE: Final = Stripe()


def _facts(said: Said, row: _Row) -> Facts:
    currency = said.currency("/currency")
    amount = None if currency is None else _amount(said, row.amount, currency)
    return Facts(
        amount=amount,
        currency=currency,
        payment_id=said.text(*row.payment_id),
        references=names(*[said.text(pointer) for pointer in row.references]),
        reason=said.text(*row.reason),
    )


def _amount(said: Said, pointers: Sequence[str], currency: str) -> str | None:
    for pointer in pointers:
        found = said.text(pointer)
        if found is None:
            continue
        if not (found.isascii() and found.isdecimal()):
            detail = "It is not an amount in the currency's smallest unit."
            raise InvalidError.at(f"/data/object{pointer}", "malformed", detail)
        digits = _DIGITS.get(currency, digits_of(currency))
        return f"{Decimal(found).scaleb(-digits):f}"
    return None
