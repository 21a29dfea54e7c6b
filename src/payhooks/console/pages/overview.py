"""The overview: what was delivered, what fails, and the way to what to do about it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from starlette.responses import Response

from payhooks import ids
from payhooks.catalogue import CATALOGUE
from payhooks.console.listing import Filters, labelled, recovery
from payhooks.console.metrics import Span, bars, within
from payhooks.console.page import ROOT, Factor, Visit, page
from payhooks.console.pages import connectors, receipts
from payhooks.control import statistics
from payhooks.limits import WORKER_SILENT_S
from payhooks.model.attempt import REASON_SENTENCES, Reason
from payhooks.model.delivery import Delivery, State
from payhooks.model.endpoint import Endpoint, EndpointStatus
from payhooks.model.key import Scope
from payhooks.model.merchant import Merchant
from payhooks.model.receipt import ReceiptState
from payhooks.ports.controlling import Window
from payhooks.ports.reading import DeliveryFilter, EventFilter

# Counting stops here: beyond it a person does the same whatever the number.
_COUNTED_MAX: Final = 10_000
_WAITING: Final = (State.SCHEDULED, State.LEASED, State.BLOCKED)
# By which webhooks fail and what waits longest is judged.
_SAMPLE: Final = 200
_FAILING_MAX: Final = 5
_SLOWEST_MAX: Final = 5
_CONNECTORS_MAX: Final = 50  # the newest are looked at
# A person decides, or mends something, and has them read again.
_UNTOLD: Final = (ReceiptState.CONFLICTING, ReceiptState.UNDECODABLE, ReceiptState.REFUSED)
_UNTOLD_COUNTED_MAX: Final = 100
# Longer than the standard policy tries, so that what has just been given up is among them.
_FAILED_DAYS: Final = 7
_ONE: Final = Window(limit=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """A webhook whose server takes long."""

    endpoint: Endpoint
    within: str
    responses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """A webhook that fails, and why it did last."""

    endpoint: Endpoint
    failed: int
    retrying: int
    why: str
    at: datetime
    recover: str
    reason: Reason | None  # of the last, if it is given up
    recover_alike: str  # what failed with this reason alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Untold:
    """Receipts in a state in which nothing was told of them."""

    state: ReceiptState
    count: int
    tone: str
    words: str  # why, and what to do


_SPANS: Final[Mapping[str, Span]] = {
    "1h": Span(words="1 h", step_s=60, steps=60, step_words="minute", label="%H:%M"),
    "24h": Span(words="24 h", step_s=1_800, steps=48, step_words="half hour", label="%H:%M"),
    "7d": Span(words="7 d", step_s=10_800, steps=56, step_words="three hours", label="%d %b %H h"),
}


@page("GET", "/overview", needs=Scope.DELIVERIES_READ, factor=Factor.ONCE)
async def overview(visit: Visit) -> Response:
    """Show how deliveries fare."""
    filters = Filters(visit.query)
    name = filters.choice("range", _SPANS) or "1h"
    span = _SPANS[name]
    buckets = await statistics.stats(
        visit.control.store,
        visit.merchant.id,
        since=span.since(visit.now),
        step_s=span.step_s,
        steps=span.steps,
    )
    since = visit.now - timedelta(days=_FAILED_DAYS)
    failed = await _count(visit, DeliveryFilter(states=(State.FAILED,), created_gte=since))
    undone = await _newest(visit, DeliveryFilter(states=_WAITING))
    todo = await _todo(visit)
    health = await visit.control.store.health()
    return visit.show(
        "overview.html",
        status=422 if filters.wrong else 200,
        title="Overview",
        messages=filters.messages,
        span=span,
        spans=[(f"{ROOT}/overview?range={key}", one.words, key == name) for key, one in
               _SPANS.items()],
        delivered=sum(bucket.delivered for bucket in buckets),
        attempts=sum(bucket.attempts for bucket in buckets),
        attempts_failed=sum(bucket.attempts_failed for bucket in buckets),
        waiting=await _count(visit, DeliveryFilter(states=_WAITING)),
        retrying=sum(one.attempts_made > 0 for one in undone),
        sampled=len(undone) == _SAMPLE,
        oldest=undone[-1] if undone else None,
        oldest_at=ids.made_at(undone[-1].id) if undone else None,
        failed=failed,
        counted_max=_COUNTED_MAX,
        failed_days=_FAILED_DAYS,
        recover=recovery(since=since),
        failing=await _failing(visit, undone, since),
        unheard=await _unheard(visit),
        overdue_max=connectors.OVERDUE_COUNTED_MAX,
        untold=await _untold(visit, since),
        untold_max=_UNTOLD_COUNTED_MAX,
        within=within(statistics.p95_ms(buckets)),
        slowest=await _slowest(visit),
        slowest_hours=statistics.FITNESS_HOURS,
        bars=bars(buckets, span),
        todo=todo,
        silent=all(worker.seen_s_ago > WORKER_SILENT_S for worker in health.workers),
        silent_s=int(WORKER_SILENT_S),
    )  # fmt: skip


async def _failing(visit: Visit, undone: Sequence[Delivery], since: datetime) -> Sequence[Failing]:
    """Return the webhooks that fail most, judged by the newest deliveries."""
    failed = await _newest(visit, DeliveryFilter(states=(State.FAILED,), created_gte=since))
    retrying = [one for one in undone if one.attempts_made > 0]
    seen = Counter(one.endpoint_id for one in (*failed, *retrying))
    most = [endpoint_id for endpoint_id, _times in seen.most_common(_FAILING_MAX)]
    endpoints = await labelled(visit, most)
    found = []
    for endpoint_id in most:
        last = next(one for one in (*failed, *retrying) if one.endpoint_id == endpoint_id)
        chosen = DeliveryFilter(states=(State.FAILED,), created_gte=since, endpoint_id=endpoint_id)
        found.append(
            Failing(
                endpoint=endpoints[endpoint_id],
                failed=await _count(visit, chosen),
                retrying=sum(one.endpoint_id == endpoint_id for one in retrying),
                why="" if last.reason is None else REASON_SENTENCES[last.reason],
                at=last.finished_at or ids.made_at(last.id),
                recover=recovery(since=since, endpoint_id=endpoint_id),
                reason=last.reason if last.state is State.FAILED else None,
                recover_alike=recovery(since=since, endpoint_id=endpoint_id, reason=last.reason),
            )
        )
    return found


async def _unheard(visit: Visit) -> Sequence[connectors.Shown]:
    """Return the connectors with news that is not told, as it was not verified or did not come."""
    if not visit.may(Scope.CONNECTORS_READ):
        return ()
    newest = Window(limit=_CONNECTORS_MAX)
    found = await visit.control.store.connectors(visit.merchant.id, newest)
    every = await connectors.shown(visit, found)
    return [one for one in every if one.health.quarantined or one.overdue]


async def _untold(visit: Visit, since: datetime) -> Sequence[Untold]:
    """Return in which states there are receipts of news that is told when somebody sees to it."""
    if not visit.may(Scope.CONNECTORS_READ):
        return ()
    store, merchant_id = visit.control.store, visit.merchant.id
    found = []
    for state in _UNTOLD:
        count = await store.count_receipts(
            merchant_id, state, since=since, at_most=_UNTOLD_COUNTED_MAX
        )
        if count:
            tone, words = receipts.STATES[state]
            found.append(Untold(state=state, count=count, tone=tone, words=words))
    return found


async def _slowest(visit: Visit) -> Sequence[Slow]:
    paces = await statistics.slowest(
        visit.control.store, visit.merchant.id, now=visit.now, limit=_SLOWEST_MAX
    )
    endpoints = await labelled(visit, [pace.endpoint_id for pace in paces])
    return [
        Slow(
            endpoint=endpoints[pace.endpoint_id],
            within=within(pace.p95_ms),
            responses=pace.responses,
        )
        for pace in paces
        if endpoints[pace.endpoint_id].status is not EndpointStatus.DELETED
    ]


async def _todo(visit: Visit) -> Sequence[tuple[str, bool, str]]:
    """Return the first steps with whether each is done and its command; none once all are."""
    store, merchant = visit.control.store, visit.merchant
    done = (
        bool(await store.endpoints(merchant.id, _ONE)),
        bool(await store.events(merchant.id, EventFilter(), _ONE)),
        bool(await _newest(visit, DeliveryFilter(states=(State.DELIVERED,)), limit=1)),
    )
    if all(done):
        return ()
    words = ("Add a webhook", "Send a test event", "See it verified")
    commands = (
        "payhooks endpoints create https://example.com/webhooks --event '*' --label 'My server'",
        f"payhooks trigger {_example(merchant)}",
        'payhooks verify --secret "$WEBHOOK_SECRET" --headers headers.txt --body body.json',
    )
    return list(zip(words, done, commands, strict=True))


def _example(merchant: Merchant) -> str:
    """Return the name of an event in the merchant's words."""
    names = (one.name for one in CATALOGUE.types if one.family in merchant.families)
    liked = [name for name in names if name.endswith((".success", "succeeded", "completed"))]
    return liked[0] if liked else "payment_succeeded"


async def _count(visit: Visit, filter_: DeliveryFilter) -> int:
    store = visit.control.store
    return await store.count_deliveries(visit.merchant.id, filter_, at_most=_COUNTED_MAX)


async def _newest(
    visit: Visit, filter_: DeliveryFilter, *, limit: int = _SAMPLE
) -> Sequence[Delivery]:
    store = visit.control.store
    return await store.deliveries(visit.merchant.id, filter_, Window(limit=limit))
