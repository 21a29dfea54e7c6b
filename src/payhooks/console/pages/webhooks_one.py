"""The page of one webhook: its deliveries, its settings, who changed it; and what is done to it."""

from typing import Final

from starlette.responses import Response

from payhooks import ids, limits
from payhooks.catalogue.registry import TEST_TYPE
from payhooks.console.forms import NO_MESSAGES, Messages
from payhooks.console.listing import Listed, address, listed, window_of
from payhooks.console.page import Factor, Visit, page
from payhooks.console.pages.webhooks import DISABLED, LIST
from payhooks.console.pages.webhooks_metrics import FAILED_MAX, SPANS, metrics_of
from payhooks.console.pages.webhooks_proof import SIGNERS, Proof, proof_of, source_key_label
from payhooks.console.pages.webhooks_records import records_of
from payhooks.control import deliveries, endpoints, secrets, statistics
from payhooks.control.endpoints import Move
from payhooks.errors import InvalidError, RateLimitedError, WrongStateError
from payhooks.model.attempt import REASON_SENTENCES
from payhooks.model.delivery import FINAL_STATES, Delivery
from payhooks.model.endpoint import Endpoint, EndpointStatus, SignatureType
from payhooks.model.event_type import EventType
from payhooks.model.key import Scope
from payhooks.ports.reading import DeliveryFilter

_ONE: Final = LIST + "/{endpoint_id}"
_TABS: Final = ("deliveries", "metrics", "settings", "activity")
_RECORDS_MAX: Final = 50
_MOVES: Final = {
    "pause": (Move.PAUSE, "is paused. New deliveries wait."),
    "resume": (Move.RESUME, "sends again."),
    "enable": (Move.ENABLE, "is enabled. What it missed, a replay can bring."),
}
# How long the secret before goes on signing.
GRACES: Final = (
    (86_400, "For one more day"),
    (3_600, "For one more hour"),
    (limits.ROTATION_GRACE_S_MAX, "For 7 more days"),
    (0, "Not any more"),
)


@page("GET", _ONE, needs=Scope.ENDPOINTS_READ, factor=Factor.GATE)
async def webhook(visit: Visit) -> Response:
    """Show one; the tab is in the URL."""
    endpoint = await _found(visit)
    tab = visit.query.get("tab", _TABS[0])
    tab = tab if tab in _TABS else _TABS[0]
    rows: Listed[Delivery] = Listed()
    if tab == "deliveries" and visit.may(Scope.DELIVERIES_READ):
        rows = await _deliveries(visit, endpoint)
    span = visit.query.get("range", "24h")
    span = span if span in SPANS else "24h"
    with_metrics = tab == "metrics" and visit.may(Scope.DELIVERIES_READ)
    with_records = tab == "activity" and visit.may(Scope.AUDIT_READ)
    fitness = await statistics.fitness(
        visit.control.store, visit.merchant.id, [endpoint.id], now=visit.now
    )
    return visit.show(
        "webhooks/one.html",
        title=endpoint.label,
        webhook=endpoint,
        degraded=endpoint.status is EndpointStatus.ACTIVE and fitness[endpoint.id].degraded,
        tab=tab,
        tabs=[name for name in _TABS if name != "activity" or visit.may(Scope.AUDIT_READ)],
        rows=rows,
        metrics=await metrics_of(visit, endpoint, SPANS[span]) if with_metrics else None,
        spans=[
            (address(visit, {"range": name}), one.words, name == span)
            for name, one in SPANS.items()
        ],
        failed_max=FAILED_MAX,
        records=await records_of(visit, endpoint, at_most=_RECORDS_MAX) if with_records else [],
        signer=SIGNERS[endpoint.signature.type],
        source_key=await source_key_label(visit, endpoint),
        graces=GRACES,
        disabled_words=DISABLED,
        made_at=ids.made_at,
    )


@page("POST", _ONE + "/secret", needs=Scope.SECRETS_READ, factor=Factor.FRESH)
async def reveal(visit: Visit) -> Response:
    """Show what signs, once; each look is in the audit log."""
    endpoint = await _found(visit)
    return _secret(visit, endpoint, await proof_of(visit, endpoint, reveal=True))


@page("POST", _ONE + "/rotate", needs=Scope.ENDPOINTS_WRITE, factor=Factor.FRESH)
async def rotate(visit: Visit) -> Response:
    """Give it a new secret of its own and show it, once."""
    endpoint = await _found(visit)
    if endpoint.signature.type is not SignatureType.ENDPOINT_SECRET:
        raise WrongStateError("This webhook is not signed with a secret of its own.")
    grace = visit.form.text("grace")
    if grace not in {str(seconds) for seconds, _words in GRACES}:
        raise InvalidError.at("/grace_s", "invalid_choice", "Choose one of the list.")
    await secrets.rotate_endpoint_secret(visit.control, visit.caller, endpoint, grace_s=int(grace))
    return _secret(visit, endpoint, await proof_of(visit, endpoint, reveal=True))


@page("POST", _ONE + "/move", needs=Scope.ENDPOINTS_WRITE, factor=Factor.GATE)
async def move(visit: Visit) -> Response:
    """Pause, resume or enable it."""
    endpoint = await _found(visit)
    known = _MOVES.get(visit.form.text("to"))
    if known is None:
        raise InvalidError.at("/to", "invalid_choice", "Choose one of the buttons.")
    to, words = known
    await endpoints.move(visit.control, visit.caller, endpoint, to)
    return visit.go(_place(endpoint), said=f"{endpoint.label} {words}")


@page("POST", _ONE + "/test", needs=Scope.ENDPOINTS_WRITE, factor=Factor.GATE)
async def test(visit: Visit) -> Response:
    """Send a test event to this webhook alone, and show what comes of it."""
    return await send_test(visit, await _found(visit))


@page("GET", _ONE + "/test/{delivery_id}", needs=Scope.DELIVERIES_READ, factor=Factor.GATE)
async def tested(visit: Visit) -> Response:
    """Show what came of a test."""
    endpoint = await _found(visit)
    found = await deliveries.find_delivery(
        visit.control, visit.merchant, visit.parameter["delivery_id"]
    )
    return _tested(visit, endpoint, found)


async def send_test(
    visit: Visit, endpoint: Endpoint, *, example: EventType | None = None
) -> Response:
    """Return what comes of a test event, or of a type's *example*, that is sent to one webhook."""
    try:
        delivery_id = await deliveries.send_test(
            visit.control,
            visit.caller,
            visit.merchant,
            endpoint,
            owner=visit.parts.owner,
            example=example,
        )
    except (WrongStateError, RateLimitedError) as error:
        messages = Messages({}, [str(error)])
        return _tested(visit, endpoint, None, status=409, messages=messages)
    if not visit.partial:
        return visit.go(f"{_place(endpoint)}/test/{ids.to_text(ids.DELIVERY, delivery_id)}")
    found = await visit.control.store.delivery(visit.merchant.id, delivery_id)
    return _tested(visit, endpoint, found)


def _named(delivery: Delivery) -> str:
    return "test event" if delivery.event_type == TEST_TYPE else f"example {delivery.event_type}"


async def _found(visit: Visit) -> Endpoint:
    return await endpoints.find(visit.control, visit.merchant, visit.parameter["endpoint_id"])


def _place(endpoint: Endpoint) -> str:
    return f"{LIST}/{ids.to_text(ids.ENDPOINT, endpoint.id)}"


async def _deliveries(visit: Visit, endpoint: Endpoint) -> Listed[Delivery]:
    found = await visit.control.store.deliveries(
        visit.merchant.id,
        DeliveryFilter(endpoint_id=endpoint.id),
        window_of(visit, ids.DELIVERY),
    )
    return listed(visit, ids.DELIVERY, found, id_of=lambda one: one.id)


def _secret(visit: Visit, endpoint: Endpoint, proof: Proof) -> Response:
    return visit.show(
        "webhooks/secret.html", title=f"Key of {endpoint.label}", webhook=endpoint, proof=proof
    )


def _tested(
    visit: Visit,
    endpoint: Endpoint,
    delivery: Delivery | None,
    *,
    status: int = 200,
    messages: Messages = NO_MESSAGES,
) -> Response:
    reason = None if delivery is None else delivery.reason
    return visit.show(
        "webhooks/tested.html",
        part="test",
        status=status,
        title=f"Test of {endpoint.label}",
        named="test event" if delivery is None else _named(delivery),
        webhook=endpoint,
        delivery=delivery,
        ended=delivery is not None and delivery.state in FINAL_STATES,
        sentence="" if reason is None else REASON_SENTENCES[reason],
        messages=messages,
    )
