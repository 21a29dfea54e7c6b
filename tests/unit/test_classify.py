"""What an outcome means."""

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payhooks import limits
from payhooks.model.attempt import (
    REASON_SENTENCES,
    Answer,
    OurFault,
    Outcome,
    Reason,
    Silence,
    Timing,
)
from payhooks.model.endpoint import DisabledReason
from payhooks.policy.classify import (
    OUR_FAULT_REST_S,
    Verdict,
    VerdictKind,
    classify,
    retry_after_s,
)

NOW = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
DAY_S = 86_400.0


def answered(status: int, *headers: tuple[str, str]) -> Answer:
    return Answer(
        status=status,
        headers=headers,
        body=b"",
        body_truncated=False,
        timing=Timing(),
        peer=None,
    )


def silent(reason: Reason, detail: str = "") -> Silence:
    return Silence(reason=reason, detail=detail, timing=Timing())


def verdict_on(outcome: Outcome, *, gone_disables: bool = True) -> Verdict:
    return classify(outcome, gone_disables=gone_disables, now=NOW)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 226, 299])
@pytest.mark.shows("F51")
def test_any_2xx_is_delivered(status: int) -> None:
    assert verdict_on(answered(status)) == Verdict(kind=VerdictKind.DELIVERED)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (300, Reason.REDIRECT),
        (301, Reason.REDIRECT),
        (304, Reason.REDIRECT),
        (308, Reason.REDIRECT),
        (399, Reason.REDIRECT),
        (400, Reason.HTTP_4XX),
        (401, Reason.HTTP_4XX),
        (404, Reason.HTTP_4XX),
        (409, Reason.HTTP_4XX),
        (499, Reason.HTTP_4XX),
        (500, Reason.HTTP_5XX),
        (503, Reason.HTTP_5XX),
        (599, Reason.HTTP_5XX),
        (0, Reason.PROTOCOL),
        (100, Reason.PROTOCOL),
        (199, Reason.PROTOCOL),
        (600, Reason.PROTOCOL),
        (999, Reason.PROTOCOL),
    ],
)
def test_every_other_answer_is_retried_and_counted(status: int, reason: Reason) -> None:
    """404 too: a deployment that forgot the route for ten minutes must not lose payments."""
    verdict = verdict_on(answered(status))
    assert verdict.kind is VerdictKind.RETRY
    assert verdict.reason is reason
    assert verdict.counts_for_breaker
    assert verdict.rest_s is None
    assert verdict.disable is None
    assert str(status) in verdict.detail


@pytest.mark.parametrize(
    "reason",
    [
        Reason.TIMEOUT,
        Reason.DNS,
        Reason.CONNECT,
        Reason.TLS,
        Reason.PROTOCOL,
        Reason.BLOCKED_ADDRESS,
    ],
)
def test_silence_is_retried_and_counted(reason: Reason) -> None:
    """A blocked address too: DNS is edited every day, and the next answer may be public."""
    verdict = verdict_on(silent(reason, "It took 15 s."))
    assert verdict.kind is VerdictKind.RETRY
    assert verdict.reason is reason
    assert verdict.counts_for_breaker
    assert verdict.detail == f"{REASON_SENTENCES[reason]} It took 15 s."


def test_what_is_too_large_to_send_is_given_up_at_once() -> None:
    """It would be as large at each of the ten attempts; the receiver is not to blame."""
    verdict = verdict_on(silent(Reason.TOO_LARGE))
    assert verdict.kind is VerdictKind.GIVE_UP
    assert not verdict.counts_for_breaker


def test_silence_that_is_ours_never_opens_the_receivers_breaker() -> None:
    assert not verdict_on(silent(Reason.INTERNAL)).counts_for_breaker
    assert not verdict_on(silent(Reason.ABANDONED)).counts_for_breaker


def test_our_own_fault_spends_nothing_and_tells_no_internals() -> None:
    """A merchant must not pay with an attempt, nor read our addresses, when our proxy is down."""
    verdict = verdict_on(OurFault(detail="proxy 10.0.0.7:3128 refused"))
    assert verdict.kind is VerdictKind.OURS
    assert verdict.rest_s == OUR_FAULT_REST_S
    assert not verdict.counts_for_breaker
    assert verdict.disable is None
    assert "10.0.0.7" not in verdict.detail


@pytest.mark.shows("F49")
def test_410_ends_the_delivery_and_disables_where_the_policy_says_so() -> None:
    verdict = verdict_on(answered(410, ("retry-after", "60")))
    assert verdict.kind is VerdictKind.GIVE_UP
    assert verdict.reason is Reason.GONE
    assert verdict.disable is DisabledReason.GONE
    assert not verdict.counts_for_breaker
    assert verdict.detail.startswith(REASON_SENTENCES[Reason.GONE])


def test_410_is_a_4xx_like_any_other_elsewhere() -> None:
    """Only two policies know the rule; to the other providers' merchants it would be news."""
    verdict = verdict_on(answered(410), gone_disables=False)
    assert verdict.kind is VerdictKind.RETRY
    assert verdict.reason is Reason.HTTP_4XX
    assert verdict.disable is None
    assert verdict.detail == "Your server answered 410 Gone."


def test_429_without_retry_after_is_retried_on_schedule_and_rests_nobody() -> None:
    """One delivery's own schedule, hours at the sixth attempt, must not close the lane."""
    verdict = verdict_on(answered(429))
    assert verdict.kind is VerdictKind.RETRY
    assert verdict.reason is Reason.RATE_LIMITED
    assert verdict.rest_s is None
    assert not verdict.counts_for_breaker


@pytest.mark.parametrize("status", [301, 400, 404, 429, 500, 502, 503, 504])
@pytest.mark.shows("F50")
def test_a_failure_with_retry_after_rests_the_lane_instead_of_counting(status: int) -> None:
    """A receiver that names a time is alive; the breaker has nothing to find out."""
    verdict = verdict_on(answered(status, ("retry-after", "540")))
    assert verdict.kind is VerdictKind.RETRY
    assert verdict.rest_s == 540
    assert not verdict.counts_for_breaker
    assert verdict.detail.endswith("It asked for a rest of 540 s.")


@pytest.mark.parametrize(
    ("status", "kind"), [(200, VerdictKind.DELIVERED), (500, VerdictKind.RETRY)]
)
@pytest.mark.parametrize(
    ("days", "warned"),
    [(0, True), (14, True), (15, False), (400, False)],
)
def test_a_certificate_that_ends_within_two_weeks_is_foretold(
    status: int, kind: VerdictKind, days: int, *, warned: bool
) -> None:
    ends_at = NOW + timedelta(days=days)
    answer = msgspec.structs.replace(answered(status), certificate_ends_at=ends_at)
    verdict = verdict_on(answer)
    assert verdict.kind is kind
    assert (f"expires on {ends_at:%Y-%m-%d}" in verdict.detail) == warned


@pytest.mark.parametrize("status", [502, 503, 504])
def test_an_overloaded_receiver_that_names_no_time_is_only_counted(status: int) -> None:
    """One poisonous payload answered 503 must not close an endpoint for the others."""
    verdict = verdict_on(answered(status, ("retry-after", "soon")))
    assert verdict.rest_s is None
    assert verdict.counts_for_breaker


def test_a_success_may_ask_for_a_rest_as_well() -> None:
    """Who says "thank you, enough for now" has the event, and is heard."""
    verdict = verdict_on(answered(200, ("retry-after", "5")))
    assert verdict == Verdict(kind=VerdictKind.DELIVERED, rest_s=5.0)


@pytest.mark.parametrize(
    ("values", "rest_s"),
    [
        pytest.param([], None, id="none"),
        pytest.param([""], None, id="empty"),
        pytest.param(["0"], None, id="zero"),
        pytest.param(["000"], None, id="zeros"),
        pytest.param(["120"], 120.0, id="seconds"),
        pytest.param([" 120\t"], 120.0, id="blanks around"),
        pytest.param(["007"], 7.0, id="leading zeros"),
        pytest.param(["-5"], None, id="negative"),
        pytest.param(["+5"], None, id="signed"),
        pytest.param(["1.5"], None, id="not a whole number"),
        pytest.param(["1e3"], None, id="exponent"),
        pytest.param(["NaN"], None, id="NaN"),
        pytest.param(["inf"], None, id="inf"),
        pytest.param(["\N{ARABIC-INDIC DIGIT FIVE}"], None, id="digits beyond ASCII"),
        pytest.param(["\N{SUPERSCRIPT TWO}"], None, id="superscript"),
        pytest.param(["86400"], DAY_S, id="a day"),
        pytest.param(["86401"], DAY_S, id="more than a day"),
        pytest.param(["1000000000"], DAY_S, id="thirty years"),
        pytest.param(["9" * 30_000], DAY_S, id="30,000 digits"),
        pytest.param(["0" * 30_000 + "3"], 3.0, id="30,000 zeros and a three"),
        pytest.param(["soon"], None, id="a word"),
        pytest.param(["120, 60"], None, id="a list"),
        pytest.param(["60", "120"], 120.0, id="two headers, the longer holds"),
        pytest.param(["120", "garbage"], 120.0, id="two headers, one unreadable"),
        pytest.param(["-1", "garbage"], None, id="two headers, both unreadable"),
        pytest.param(["Tue, 01 Jan 2030 12:02:00 GMT"], 120.0, id="a date"),
        pytest.param(["Tuesday, 01-Jan-30 12:02:00 GMT"], 120.0, id="a date as in RFC 850"),
        pytest.param(["Tue Jan  1 12:02:00 2030"], 120.0, id="a date as asctime() writes it"),
        pytest.param(["Tue, 01 Jan 2030 14:02:00 +0200"], 120.0, id="a date in another zone"),
        pytest.param(["Tue, 01 Jan 2030 11:59:59 GMT"], None, id="a date that is over"),
        pytest.param(["Tue, 01 Jan 2030 12:00:00 GMT"], None, id="now"),
        pytest.param(["Fri, 31 Dec 9999 23:59:59 GMT"], DAY_S, id="the end of time"),
        pytest.param(["Fri, 31 Dec 9999 23:59:59 -2359"], DAY_S, id="beyond the end of time"),
        pytest.param(["Tue, 99 Jan 2030 12:02:00 GMT"], None, id="a day that is none"),
        pytest.param(["Tue, 01 Jan 2030 12:02:00 +9999"], None, id="a zone that is none"),
        pytest.param(["01 Jan 2030 12:02:00 GMT"], None, id="a date without its weekday"),
        pytest.param(["Tue, 01 Jan 2030 12:02:00 GMT " + "x" * 64], None, id="a date with a tail"),
        pytest.param(["T" + "u" * 30_000], None, id="a header of 30 KB"),
    ],
)
@pytest.mark.shows("F50")
def test_retry_after_in_every_spelling(values: list[str], rest_s: float | None) -> None:
    """What cannot be read is as good as not sent; nobody silences us for more than a day."""
    assert retry_after_s(values, NOW) == rest_s


@given(st.lists(st.text(), max_size=3))
@example(["Tue, 01 Jan 2030 12:02:00 +99999999999999999999"])
@example(["Mon, 01 Jan 0001 00:00:00 +2359"])
def test_no_bytes_of_a_receiver_break_the_reading_of_retry_after(values: list[str]) -> None:
    """It is text from outside: total, whatever is in it."""
    rest_s = retry_after_s(values, NOW)
    assert rest_s is None or 0 < rest_s <= limits.RETRY_AFTER_S_MAX


@given(st.integers(min_value=1, max_value=86_400), st.integers(min_value=-23, max_value=23))
def test_a_date_means_the_same_as_its_seconds(seconds: int, hours: int) -> None:
    """A receiver may say it either way, from any time zone."""
    zone = timezone(timedelta(hours=hours))
    text = format_datetime((NOW + timedelta(seconds=seconds)).astimezone(zone))
    assert retry_after_s([text], NOW) == retry_after_s([str(seconds)], NOW) == seconds


@pytest.mark.parametrize("word", ["disable", " Disable ", "DISABLE"])
def test_a_receiver_may_disable_its_endpoint(word: str) -> None:
    verdict = verdict_on(answered(400, ("webhook-delivery", word)))
    assert verdict.kind is VerdictKind.GIVE_UP
    assert verdict.reason is Reason.HTTP_4XX
    assert verdict.disable is DisabledReason.RECEIVER
    assert not verdict.counts_for_breaker
    assert "send nothing more" in verdict.detail


def test_a_receiver_may_refuse_one_delivery_for_good() -> None:
    """It knows that this event can never be taken; ten attempts would tell it nothing new."""
    verdict = verdict_on(answered(422, ("webhook-delivery", "abort-message")))
    assert verdict.kind is VerdictKind.GIVE_UP
    assert verdict.disable is None
    assert not verdict.counts_for_breaker
    assert "not to send this delivery again" in verdict.detail


def test_a_success_that_disables_was_delivered_all_the_same() -> None:
    """The status line says what became of this event; the header is about those to come."""
    verdict = verdict_on(answered(200, ("webhook-delivery", "disable")))
    assert verdict.kind is VerdictKind.DELIVERED
    assert verdict.disable is DisabledReason.RECEIVER
    assert verdict_on(answered(200, ("webhook-delivery", "abort-message"))) == Verdict(
        kind=VerdictKind.DELIVERED
    )


def test_410_outranks_what_the_header_says() -> None:
    """Both disable; the reason that is kept must be the one a status shows everybody."""
    verdict = verdict_on(answered(410, ("webhook-delivery", "disable")))
    assert verdict.disable is DisabledReason.GONE


def test_an_unknown_word_in_the_header_changes_nothing() -> None:
    assert verdict_on(answered(500, ("webhook-delivery", "later"))).kind is VerdictKind.RETRY


@pytest.mark.parametrize(
    ("outcome", "detail"),
    [
        (answered(503), "Your server answered 503 Service Unavailable."),
        (answered(499), "Your server answered 499."),
        (
            answered(302),
            f"{REASON_SENTENCES[Reason.REDIRECT]} It answered 302 Found.",
        ),
        (
            answered(429, ("retry-after", "30")),
            (
                "Your server asked us to wait before sending more. "
                "It answered 429 Too Many Requests. It asked for a rest of 30 s."
            ),
        ),
        (answered(600), "Your server's answer was not valid HTTP. It answered 600."),
        (silent(Reason.DNS), "The name in the URL could not be resolved."),
    ],
)
def test_the_sentence_that_people_read(outcome: Outcome, detail: str) -> None:
    assert verdict_on(outcome).detail == detail


@given(
    st.integers(min_value=0, max_value=999),
    st.lists(
        st.tuples(
            st.sampled_from(["retry-after", "webhook-delivery", "x-other"]),
            st.one_of(st.sampled_from(["5", "disable", "abort-message", "-1"]), st.text()),
        ),
        max_size=4,
    ),
    st.booleans(),
)
def test_every_answer_has_exactly_one_verdict(
    status: int,
    headers: list[tuple[str, str]],
    gone_disables: bool,  # noqa: FBT001 - drawn
) -> None:
    """Whatever a receiver answers: delivered if and only if 2xx, never our fault."""
    verdict = verdict_on(answered(status, *headers), gone_disables=gone_disables)
    assert (verdict.kind is VerdictKind.DELIVERED) == (200 <= status <= 299)
    assert verdict.kind is not VerdictKind.OURS
    assert verdict.rest_s is None or 0 < verdict.rest_s <= limits.RETRY_AFTER_S_MAX
    if verdict.disable is not None:
        assert verdict.kind in {VerdictKind.DELIVERED, VerdictKind.GIVE_UP}


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"kind": VerdictKind.RETRY, "detail": "x"}, id="a retry for no reason"),
        pytest.param(
            {"kind": VerdictKind.RETRY, "reason": Reason.DNS}, id="a failure without a word"
        ),
        pytest.param({"kind": VerdictKind.DELIVERED, "rest_s": 0.0}, id="a rest of nothing"),
        pytest.param(
            {"kind": VerdictKind.DELIVERED, "counts_for_breaker": True}, id="a success that counts"
        ),
    ],
)
def test_a_verdict_that_contradicts_itself_is_a_bug(wrong: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        Verdict(**wrong)
