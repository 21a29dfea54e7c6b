"""The values: what they derive, and what they refuse to be."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from random import Random

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payhooks.catalogue.object_state import Mark
from payhooks.ids import (
    ConnectorId,
    EndpointId,
    EventId,
    KeyId,
    MerchantId,
    ReceiptId,
    TimeOrderedIds,
    first_id_at,
)
from payhooks.model.attempt import REASON_SENTENCES, Reason
from payhooks.model.audit import GENESIS, AuditEntry, ChainedAuditEntry, chain
from payhooks.model.currencies import digits_of
from payhooks.model.endpoint import (
    AuthenticationType,
    DisabledReason,
    Endpoint,
    EndpointStatus,
    OnFailed,
    Ordering,
    Signature,
    SignatureType,
)
from payhooks.model.event import Event
from payhooks.model.event_type import Provenance
from payhooks.model.inbox import Heard
from payhooks.model.key import Scope
from payhooks.model.merchant import CardNumbers, Mode, TypeCheck
from payhooks.model.receipt import Receipt, Verdict
from payhooks.model.replay import Include, ReplayState
from payhooks.model.sandbox_run import RunState
from payhooks.model.secret import SecretPurpose
from payhooks.testing import ManualClock

NOW = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
MERCHANT = MerchantId(bytes(16))
EVENT = Event(
    id=EventId(TimeOrderedIds(ManualClock(NOW), Random(0)).new_event()),
    merchant_id=MERCHANT,
    type="order.success",
    family="foloosi",
    data=b'{"amount": 1.10}',
)
ENDPOINT = Endpoint(
    id=EndpointId(bytes(16)),
    merchant_id=MERCHANT,
    number=1,
    label="Ledger",
    url="https://merchant.example/hooks",
    events=("*",),
    status=EndpointStatus.ACTIVE,
    disabled_reason=None,
    version=1,
    created_at=NOW,
    updated_at=NOW,
)
ENTRY = AuditEntry(
    merchant_id=MERCHANT,
    at=NOW,
    actor="key:key_1",
    action="endpoint.created",
    target="ep_1",
    changes=b"{}",
    request_id="req_1",
    ip="192.0.2.1",
)


# --- reasons ---------------------------------------------------------------------------


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_plain_sentence(reason: Reason) -> None:
    """Whoever sees a failed delivery must be told what happened, in words."""
    sentence = REASON_SENTENCES[reason]
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    assert reason.value not in sentence.split()


# --- events ----------------------------------------------------------------------------


def test_an_event_was_created_when_its_id_was_made() -> None:
    """One time, kept once: it cannot differ from the order of the ids."""
    assert EVENT.created_at == NOW


@pytest.mark.parametrize(
    ("change", "order_of"),
    [
        pytest.param({}, None, id="nothing orders it"),
        pytest.param({"ordering_key": "k"}, "k", id="its ordering key"),
        pytest.param({"ordering_key": ""}, "", id="its ordering key, though empty"),
        pytest.param(
            {"object_type": "order", "object_id": "7"}, "order\x1f7", id="its object otherwise"
        ),
        pytest.param(
            {"object_type": "order", "object_id": "7", "ordering_key": "k"},
            "k",
            id="the key before the object",
        ),
    ],
)
def test_what_an_event_is_ordered_by(change: dict[str, str], order_of: str | None) -> None:
    assert msgspec.structs.replace(EVENT, **change).order_of == order_of


def test_two_objects_with_one_id_are_not_one_order() -> None:
    """A refund and a payment may both be number 7; neither waits for the other."""
    refund = msgspec.structs.replace(EVENT, object_type="refund", object_id="7")
    payment = msgspec.structs.replace(EVENT, object_type="payment", object_id="7")
    assert refund.order_of != payment.order_of


@pytest.mark.parametrize(
    "change",
    [
        {"object_type": "order"},
        {"object_id": "7"},
        {"occurred_at": datetime(2030, 1, 1)},  # noqa: DTZ001 - the naive time is what is refused
    ],
)
def test_an_event_that_cannot_be_is_a_bug(change: dict[str, object]) -> None:
    with pytest.raises(AssertionError):
        Event(**{**msgspec.structs.asdict(EVENT), **change})


def test_an_aware_time_of_occurrence_is_taken() -> None:
    happened = NOW - timedelta(days=1)
    assert msgspec.structs.replace(EVENT, occurred_at=happened).occurred_at == happened


# --- endpoints -------------------------------------------------------------------------


@pytest.mark.parametrize("ordering", Ordering)
@pytest.mark.parametrize("on_failed", OnFailed)
def test_only_an_endpoint_with_an_order_holds_objects_up(
    ordering: Ordering, on_failed: OnFailed
) -> None:
    """What has no order was accepted behind nothing."""
    endpoint = msgspec.structs.replace(ENDPOINT, ordering=ordering, on_failed=on_failed)
    assert endpoint.blocks == (ordering is not Ordering.NONE and on_failed is OnFailed.BLOCK)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"number": 0}, id="no number"),
        pytest.param({"status": EndpointStatus.DISABLED}, id="disabled for no reason"),
        pytest.param({"disabled_reason": DisabledReason.GONE}, id="a reason, not disabled"),
        pytest.param(
            {"retry_policy": "standard", "retry_delays_s": (1.0,)}, id="two retry policies"
        ),
    ],
)
def test_an_endpoint_that_cannot_be_is_a_bug(change: dict[str, object]) -> None:
    with pytest.raises(AssertionError):
        Endpoint(**{**msgspec.structs.asdict(ENDPOINT), **change})


@pytest.mark.parametrize(
    ("kind", "key_id"),
    [
        (SignatureType.SOURCE_KEY, None),
        (SignatureType.ENDPOINT_SECRET, KeyId(bytes(16))),
        (SignatureType.SIGNATURE_KEY, KeyId(bytes(16))),
        (SignatureType.NONE, KeyId(bytes(16))),
    ],
)
def test_only_a_source_key_is_named(kind: SignatureType, key_id: KeyId | None) -> None:
    """Signing with an unnamed source key, or naming one that is not used, is a mix-up."""
    with pytest.raises(AssertionError):
        Signature(type=kind, key_id=key_id)
    assert Signature(type=SignatureType.SOURCE_KEY, key_id=KeyId(bytes(16))).key_id is not None


# --- the audit log ---------------------------------------------------------------------


def chained(entries: list[AuditEntry]) -> list[ChainedAuditEntry]:
    links: list[ChainedAuditEntry] = []
    previous = GENESIS
    for number, entry in enumerate(entries, start=1):
        previous = chain(previous, number, entry)
        links.append(ChainedAuditEntry(number=number, entry=entry, hash=previous))
    return links


def first_broken(links: list[ChainedAuditEntry]) -> int | None:
    previous = GENESIS
    for place, link in enumerate(links, start=1):
        if link.number != place or chain(previous, place, link.entry) != link.hash:
            return place
        previous = link.hash
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One way to change an entry after the fact."""

    member: str
    value: object


EDITS = [
    Edit(member="merchant_id", value=None),
    Edit(member="merchant_id", value=MerchantId(b"\x01" * 16)),
    Edit(member="at", value=NOW + timedelta(microseconds=1)),
    Edit(member="actor", value="operator"),
    Edit(member="action", value="endpoint.updated"),
    Edit(member="target", value="ep_2"),
    Edit(member="changes", value=b'{"url":["a","b"]}'),
    Edit(member="request_id", value=None),
    Edit(member="ip", value=None),
]


def test_every_member_is_under_the_seal() -> None:
    """A member added to the entry and forgotten in the hash could be edited unseen."""
    assert {edit.member for edit in EDITS} == set(AuditEntry.__struct_fields__)


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: f"{edit.member}={edit.value!r}")
def test_an_edited_entry_breaks_the_chain_where_it_is(edit: Edit) -> None:
    """`payhooks audit-log verify` must name the first entry that is not as it was."""
    links = chained([ENTRY] * 5)
    assert first_broken(links) is None
    forged = msgspec.structs.replace(links[2].entry, **{edit.member: edit.value})
    links[2] = msgspec.structs.replace(links[2], entry=forged)
    assert first_broken(links) == 3


def test_an_entry_that_was_taken_out_shows() -> None:
    """Deleting is the simplest forgery."""
    links = chained([ENTRY] * 5)
    del links[1]
    assert first_broken(links) == 2


def test_entries_that_changed_places_show() -> None:
    links = chained([msgspec.structs.replace(ENTRY, target=f"ep_{n}") for n in range(5)])
    links[1], links[2] = links[2], links[1]
    assert first_broken(links) == 2


@given(st.text(), st.text(), st.text(), st.text())
@example("a", "bc", "ab", "c")
@example('a","', "b", "a", '","b')
def test_no_two_entries_run_together_into_the_same_bytes(
    actor: str, action: str, other_actor: str, other_action: str
) -> None:
    """Otherwise text could be moved from one member to the next without a trace."""
    one = msgspec.structs.replace(ENTRY, actor=actor, action=action)
    other = msgspec.structs.replace(ENTRY, actor=other_actor, action=other_action)
    same = (actor, action) == (other_actor, other_action)
    assert (chain(GENESIS, 1, one) == chain(GENESIS, 1, other)) == same


def test_the_seal_is_fixed() -> None:
    """Chains are years old when they are verified; the bytes under the hash cannot change."""
    sealed = (
        b'[1,"00000000000000000000000000000000","2030-01-01T12:00:00+00:00","key:key_1",'
        b'"endpoint.created","ep_1","{}","req_1","192.0.2.1"]'
    )
    assert chain(GENESIS, 1, ENTRY) == sha256(bytes(32) + sealed).digest()
    digest = "709a71289b435ff86f8bc72769970f5974bde929c2bfe2666530c7fb087c7752"
    assert chain(GENESIS, 1, ENTRY).hex() == digest


# --- words that are stored, sent and written into other people's programs ---------------


@pytest.mark.parametrize(
    ("enum", "words"),
    [
        (EndpointStatus, "active paused disabled deleted"),
        (DisabledReason, "gone failing operator receiver"),
        (Ordering, "none object strict"),
        (OnFailed, "skip block"),
        (AuthenticationType, "none basic bearer header"),
        (SignatureType, "none endpoint_secret signature_key source_key"),
        (Provenance, "sample reference designed operator"),
        (Mode, "sandbox live"),
        (CardNumbers, "report mask reject"),
        (TypeCheck, "strict warn off"),
        (Include, "failed cancelled delivered missed"),
        (ReplayState, "running done cancelled"),
        (RunState, "playing finished stopped failed"),
        (Mark, "superseded correction irregular repeated"),
        (
            SecretPurpose,
            (
                "endpoint signature_key source_key authentication inbox connector "
                "connector_credential totp"
            ),
        ),
        (
            Scope,
            (
                "events:write events:read endpoints:read endpoints:write secrets:read "
                "deliveries:read deliveries:write connectors:read connectors:write "
                "keys:read keys:write audit:read "
                "merchant:read merchant:write team:read team:write operator"
            ),
        ),
        (
            Reason,
            (
                "http_4xx http_5xx redirect gone rate_limited timeout dns connect tls protocol "
                "blocked_address too_large not_carried abandoned poison internal"
            ),
        ),
    ],
)
def test_the_published_words(enum: type[StrEnum], words: str) -> None:
    """Renaming one breaks rows already stored and programs already written."""
    assert [member.value for member in enum] == words.split()


@pytest.mark.parametrize(
    ("currency", "digits"), [("EUR", 2), ("jpy", 0), ("KWD", 3), ("UYI", 0), ("???", 2)]
)
def test_amounts_have_their_currencys_digits(currency: str, digits: int) -> None:
    """A hundred yen for one, or ten dinars for one, is other people's money."""
    assert digits_of(currency) == digits


def test_a_request_to_an_inbox_came_when_its_id_was_made() -> None:
    """The time is not kept twice."""
    heard = Heard(
        id=first_id_at(datetime(2026, 11, 21, 9, 30, tzinfo=UTC)),
        method="POST",
        query="",
        headers=(),
        body=b"",
        status=200,
    )
    assert heard.at == datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def test_a_receipt_knows_from_its_id_when_it_came() -> None:
    """It needs no column, and no clock can disagree with the order of the ids."""
    at = datetime(2026, 11, 21, 12, 30, 0, 250_000, tzinfo=UTC)
    receipt = Receipt(
        id=ReceiptId(first_id_at(at)),
        merchant_id=MerchantId(bytes(16)),
        connector_id=ConnectorId(bytes(16)),
        method="POST",
        query="",
        headers=(),
        body=b"{}",
        body_sha256=bytes(32),
        verdict=Verdict.VERIFIED,
        answered=200,
    )
    assert receipt.received_at == receipt.tried_since == at
    put_back = at + timedelta(days=3)
    assert msgspec.structs.replace(receipt, put_back_at=put_back).tried_since == put_back
