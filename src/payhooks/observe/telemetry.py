"""Facts in, metrics and log lines out. See ports.telemetry for what each fact is."""

import logging

import msgspec
from structlog.typing import FilteringBoundLogger

from payhooks import ids
from payhooks.clock import Clock
from payhooks.ids import EndpointId, MerchantId, to_text
from payhooks.model.attempt import Attempt
from payhooks.model.delivery import Trigger
from payhooks.model.event import Event
from payhooks.model.receipt import ReceiptState, Verdict
from payhooks.observe.logs import LineSink, spell
from payhooks.observe.metrics import Metrics
from payhooks.observe.traces import Tracer
from payhooks.ports.leasing import Leased

_OUTCOMES = {
    Trigger.SUCCEED: "delivered",
    Trigger.RETRY: "retry",
    Trigger.GIVE_UP: "failed",
    Trigger.RELEASE: "given_back",
}
_TURNED_AWAY_EVERY_S = 60.0
_ENDS = frozenset({Trigger.SUCCEED, Trigger.GIVE_UP})


class AttemptLine(msgspec.Struct, frozen=True, kw_only=True):
    """The one wide line of an attempt, with every id in it: whoever is asked greps once."""

    ts: str
    level: str
    event: str
    merchant_id: str
    endpoint_id: str
    event_id: str
    delivery_id: str
    event_type: str
    attempt: int
    fence: int
    outcome: str
    late: bool
    status: int | None
    reason: str
    duration_ms: float
    waited_ms: float
    peer: str | None
    replay: bool


_encode_line = msgspec.json.Encoder().encode


class Recorder:
    """The telemetry of a running process."""

    def __init__(
        self,
        *,
        metrics: Metrics,
        log: FilteringBoundLogger,
        lines: LineSink,
        clock: Clock,
        tracer: Tracer | None,
    ) -> None:
        """Take where facts go; attempts go to *lines* directly, as there are so many."""
        self._metrics = metrics
        self._log = log
        self._lines = lines
        self._clock = clock
        self._tracer = tracer
        self._turned_away_again_s: dict[int, float] = {}  # by status, of which there are few
        self._attempts_logged = log.is_enabled_for(logging.INFO)

    def event_accepted(self, event: Event, *, deliveries: int, repeated: bool) -> None:
        """See Telemetry."""
        if repeated:
            self._metrics.events_repeated.add()
            return
        self._metrics.count_accepted(event.type)

    def card_data_found(self, finding: str) -> None:
        """See Telemetry."""
        self._metrics.card_data.add(finding)

    def receipt_judged(self, dialect: str, verdict: Verdict) -> None:
        """See Telemetry."""
        self._metrics.receipts.add(dialect, verdict.value)

    def older_secret_used(self, dialect: str) -> None:
        """See Telemetry."""
        self._metrics.receipts_by_older_secret.add(dialect)

    def receipt_unjudged(self, dialect: str) -> None:
        """See Telemetry."""
        self._metrics.receipts_unjudged.add(dialect)

    def request_turned_away(self, status: int, request_id: str) -> None:
        """See Telemetry."""
        self._metrics.turned_away.add(str(status))
        now_s = self._clock.monotonic_s()
        if now_s >= self._turned_away_again_s.get(status, now_s):
            # Whoever is refused once comes again; the id leads to his own answer.
            self._turned_away_again_s[status] = now_s + _TURNED_AWAY_EVERY_S
            self._log.warning("turned_away", status=status, request_id=request_id)

    def receipt_concluded(self, dialect: str, state: ReceiptState, *, waited_s: float) -> None:
        """See Telemetry."""
        self._metrics.receipts_concluded.add(dialect, state.value)
        self._metrics.receipt_s.add(waited_s)

    def batch_committed(self, kind: str, *, rows: int, took_s: float) -> None:
        """See Telemetry."""
        self._metrics.commit_rows.add(rows, kind)
        self._metrics.commit_s.add(took_s, kind)

    def attempt_settled(
        self, leased: Leased, attempt: Attempt, *, trigger: Trigger, late: bool, waited_s: float
    ) -> None:
        """See Telemetry."""
        outcome = _OUTCOMES[trigger]
        status_class = "none" if attempt.status is None else f"{attempt.status // 100}xx"
        reason = "" if attempt.reason is None else attempt.reason.value
        metrics = self._metrics
        metrics.attempts.add(outcome, status_class, reason)
        metrics.attempt_s.add(attempt.timing.total_s)
        if not late and trigger in _ENDS:
            metrics.deliveries.add(outcome)
            if trigger is Trigger.SUCCEED:
                metrics.latency_s.add(waited_s)
        if leased.replay_bulk is not None:
            metrics.replays.add("bulk" if leased.replay_bulk else "manual")
        if self._tracer is not None:
            self._tracer.attempt(leased, attempt)
        if self._attempts_logged:
            line = _attempt_line(
                leased,
                attempt,
                outcome=outcome,
                late=late,
                waited_s=waited_s,
                ts=spell(self._clock.now()),
            )
            self._lines.msg(_encode_line(line))

    def lane_reported(self, merchant_id: MerchantId, endpoint_id: EndpointId, news: str) -> None:
        """See Telemetry."""
        self._metrics.lane_news.add(news)
        self._log.info(
            "lane",
            news=news,
            merchant_id=to_text(ids.MERCHANT, merchant_id),
            endpoint_id=to_text(ids.ENDPOINT, endpoint_id),
        )

    def swept(self, kind: str, count: int) -> None:
        """See Telemetry."""
        self._metrics.swept.add(kind, count=count)
        self._log.info("swept", kind=kind, count=count)

    def alarmed(self, kind: str, detail: str) -> None:
        """See Telemetry."""
        self._metrics.alarms.add(kind)
        self._log.error("alarm", kind=kind, detail=detail)

    def bug_caught(self, where: str, error: BaseException, *, about: str = "") -> None:
        """See Telemetry."""
        self._metrics.bugs.add(where)
        # Type and place only: the text of a foreign exception may quote a payload.
        traceback = error.__traceback__
        while traceback is not None and traceback.tb_next is not None:
            traceback = traceback.tb_next
        place = (
            None
            if traceback is None
            else f"{traceback.tb_frame.f_code.co_name}:{traceback.tb_lineno}"
        )
        self._log.error(
            "bug", where=where, about=about, error_type=type(error).__name__, place=place
        )


def _attempt_line(  # noqa: PLR0913 - what a line says, named at the call site
    leased: Leased, attempt: Attempt, *, outcome: str, late: bool, waited_s: float, ts: str
) -> AttemptLine:
    return AttemptLine(
        ts=ts,
        level="info",
        event="attempt",
        merchant_id=to_text(ids.MERCHANT, leased.merchant_id),
        endpoint_id=to_text(ids.ENDPOINT, leased.endpoint_id),
        event_id=to_text(ids.EVENT, leased.event.id),
        delivery_id=to_text(ids.DELIVERY, leased.id),
        event_type=leased.event.type,
        attempt=leased.attempts_made + 1,
        fence=leased.fence,
        outcome=outcome,
        late=late,
        status=attempt.status,
        reason="" if attempt.reason is None else attempt.reason.value,
        duration_ms=round(attempt.timing.total_s * 1000, 3),
        waited_ms=round(waited_s * 1000, 3),
        peer=attempt.peer,
        replay=leased.replay_bulk is not None,
    )
