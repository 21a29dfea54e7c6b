"""OwlPay: payment intents with refunds and payouts inside, and payouts to vendors.

Each object tells of several unified ones: a refund and a payout have ids of their own in the
payment intent's data.
"""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, ClassVar, Final

from payhooks.catalogue.life_cycle import START, at
from payhooks.catalogue.object_state import Entry
from payhooks.connectors.catalogued import Catalogued, Place
from payhooks.connectors.contract import Guide, Options, SecretWords
from payhooks.connectors.said import Said, Unit
from payhooks.dialects.contract import Reading
from payhooks.dialects.owlpay import OWLPAY as DIALECT
from payhooks.dialects.owlpay import SIGNATURE

_CANCELLED: Final = "payment_intent.cancel_authorization"
# Where nothing was captured: a cancelled authorization ends the payment only there.
_BEFORE_CAPTURE: Final = frozenset({START, "created", "checking_out", "authorized", "failed"})
_REFERENCES: Final = ("/order_serial", "/metadata/order_id")


class OwlPay(Catalogued):
    """OwlPay's webhooks. See Provider for what each member promises."""

    name = "owlpay"
    title = "OwlPay"
    dialect = DIALECT
    family = "owlpay"
    signed_in = SIGNATURE
    repeats = frozenset({"accounting.created", "accounting.executed"})
    waits: ClassVar[Mapping[str, timedelta]] = MappingProxyType(
        {
            "payment_authorized": timedelta(days=7),  # then the issuer gives the money free
        }
    )
    secret = SecretWords(
        label="Signing secret",
        words="The signing secret of the webhook at OwlPay; it begins with whs_.",
    )
    guide = Guide(
        where="In OwlPay's dashboard, on the page Developer, in the list of webhooks: add one with "
        "this URL.",
        events="All events of payment_intent, and of accounting where vendors are paid. Others "
        "are acknowledged and tell of no money.",
        secret="Bring back the webhook's signing secret. It begins with whs_.",  # noqa: S106 - words # nosec B106
        source_url="https://developers.owlpay.com/docs/check-the-webhook-signature",
    )
    places = MappingProxyType(
        {
            ("payment_intent", "payment"): Place(
                id=("/uuid",),
                amount=("/amount",),
                currency=("/currency",),
                unit=Unit.SMALLEST,
                references=_REFERENCES,
            ),
            # What was taken so far: each capture takes it further, so none looks like another.
            ("payment_intent", "payment_captured"): Place(
                id=("/uuid",),
                amount=("/captured_amount",),
                currency=("/currency",),
                unit=Unit.SMALLEST,
                references=_REFERENCES,
            ),
            ("payment_intent", "refund"): Place(
                id=("/refund/uuid",),
                amount=("/refund/amount",),
                currency=("/refund/currency", "/currency"),
                unit=Unit.SMALLEST,
                payment_id=("/uuid",),
            ),
            ("payment_intent", "payout"): Place(
                id=("/settlement/uuid",),
                amount=("/settlement/amount",),
                currency=("/settlement/currency", "/currency"),
                unit=Unit.SMALLEST,
                payment_id=("/uuid",),
            ),
            # Orders and what pays them print whole units.
            ("accounting", "payout"): Place(
                id=("/uuid",),
                amount=("/total",),
                currency=("/currency",),
                references=("/order_transfer_uuids/0",),
            ),
        }
    )

    def event_id_of(self, reading: Reading) -> str | None:
        """Return None: the uuid names the attempt, so equal content is the same event."""
        return None

    def means(self, entry: Entry, options: Options, *, captured: bool) -> str | None:
        """Return what the message means, but for a cancelled authorization of what was captured.

        With the void comes the news that the authorization is cancelled as well, before or after
        it; the void tells of both.
        """
        if entry.event.type != _CANCELLED:
            return super().means(entry, options, captured=captured)
        data = Said(entry.event.data).data
        taken = at(data, "/captured_amount")
        if at(data, "/status") != "cancelled" or (isinstance(taken, int) and taken > 0):
            return None
        # Where the message does not say what was captured, the history may.
        return "payment_cancelled" if entry.before in _BEFORE_CAPTURE else None

    def extra_of(self, said: Said, unified: str) -> Mapping[str, Any]:
        """Return why a payment failed, and how far one was captured."""
        extra: dict[str, Any] = {}
        if unified == "payment_failed":
            extra["error_code"] = said.text("/failure/code")
            extra["error_message"] = said.text("/failure/reason")
        if unified == "payment_captured":
            whole, left = at(said.data, "/amount"), at(said.data, "/capturable_amount")
            if isinstance(whole, int):
                extra |= {"amount": whole, "net_amount": whole}
            if isinstance(left, int):
                extra["amount_capturable"] = left
                extra["status"] = f"partially_captured{'_and_capturable' if left else ''}"
        return extra


OWLPAY: Final = OwlPay()
