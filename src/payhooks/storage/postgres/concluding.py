"""What became of receipts, as parameters; and how texts of others become keys of rows."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from payhooks.model.receipt import Receipt, ReceiptState
from payhooks.ports.accepting import Arrival
from payhooks.ports.receiving import EXPECTATION_CLAIM_S_MAX, Conclusion, Link
from payhooks.storage import documents
from payhooks.storage.receipts import Fate

# As the table spells states.
STATES: Final = (
    ReceiptState.RECEIVED,
    ReceiptState.PROCESSED,
    ReceiptState.DUPLICATE,
    ReceiptState.CONFLICTING,
    ReceiptState.IGNORED,
    ReceiptState.UNMAPPED,
    ReceiptState.UNDECODABLE,
    ReceiptState.REFUSED,
    ReceiptState.QUARANTINED,
)
CODES: Final = {state: code for code, state in enumerate(STATES)}
# An entry of an index has up to three such texts, and may have 2,704 bytes.
_KEY_BYTES_MAX: Final = 800
_SAID: Final = msgspec.json.Decoder(tuple[str, ...])


class _Fate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is written beside the state. As JSON: what others say may hold any character."""

    detail: str | None = None
    word: str | None = None
    object_type: str | None = None
    object_id: str | None = None


def key(text: str) -> str:
    """Return *text* as it stands in an index: of one that fits into none, what is as good.

    Providers choose it; whatever they say must not keep a receipt from being concluded.
    """
    spelled = text.encode()
    if len(spelled) <= _KEY_BYTES_MAX and "\0" not in text:
        return text
    return f"sha256:{hashlib.sha256(spelled).hexdigest()}"


def fate(of: Receipt | Conclusion) -> str | None:
    """Return what goes with the state as its column holds it: nothing where there is nothing."""
    text = documents.encode(
        _Fate(detail=of.detail, word=of.word, object_type=of.object_type, object_id=of.object_id)
    )
    return None if text == b"{}" else text.decode()


def fate_of(code: int, text: str | None) -> Fate:
    """Return what became of the receipt whose columns these are."""
    stored = _Fate() if text is None else documents.decode(_Fate, text)
    return Fate(
        state=STATES[code],
        detail=stored.detail,
        word=stored.word,
        object_type=stored.object_type,
        object_id=stored.object_id,
    )


def said(text: str | None) -> tuple[str, ...]:
    """Return the words that a link's column holds."""
    return () if text is None else _SAID.decode(text)


def parameters(conclusions: Iterable[Conclusion]) -> list[Sequence[object]]:
    """Return the parameters of conclude_v2."""
    # Sorted: the order in which the statement locks.
    each = sorted(conclusions, key=lambda one: (one.merchant_id, one.receipt_id))
    links = [(at, link) for at, one in enumerate(each, start=1) for link in _distinct(one.links)]
    references = [(at, name) for at, one in enumerate(each, start=1) for name in one.references]
    moved = [(at, place) for at, one in enumerate(each, start=1) for place in one.moved]
    waits = [(at, wait) for at, one in enumerate(each, start=1) for wait in one.waits]
    # Of what moved the statement writes nothing but that.
    expected = [
        *((at, one.object_type, one.object_id) for at, one in moved),
        *((at, one.expectation.object_type, one.expectation.object_id) for at, one in waits),
    ]
    nothing = [None] * len(moved)
    looks = [(at, seen) for at, one in enumerate(each, start=1) for seen in one.seen]
    return [
        [one.merchant_id for one in each],
        [one.receipt_id for one in each],
        [one.connector_id for one in each],
        [CODES[one.state] for one in each],
        [fate(one) for one in each],
        [at for at, _ in links],
        [key(link.object_type) for _, link in links],
        [key(link.object_id) for _, link in links],
        [msgspec.json.encode(link.said).decode() if link.said else None for _, link in links],
        [at for at, _ in references],
        [key(name.reference) for _, name in references],
        [key(name.object_type) for _, name in references],
        [key(name.object_id) for _, name in references],
        [at for at, _, _ in expected],
        [key(object_type) for _, object_type, _ in expected],
        [key(object_id) for _, _, object_id in expected],
        [*nothing, *(wait.expectation.id for _, wait in waits)],
        [*nothing, *(wait.expectation.connector_id for _, wait in waits)],
        [*(EXPECTATION_CLAIM_S_MAX for _ in moved), *(wait.due_in_s for _, wait in waits)],
        [*nothing, *(wait.expectation.overdue for _, wait in waits)],
        [*nothing, *(documents.encode(wait.expectation).decode() for _, wait in waits)],
        [at for at, _ in looks],
        [key(seen.object_type) for _, seen in looks],
        [key(seen.object_id) for _, seen in looks],
        [seen.since for _, seen in looks],
        [seen.count for _, seen in looks],
    ]


def parameters_of(arrivals: Sequence[Arrival]) -> list[Sequence[object]]:
    """Return what accept_heard_v2 takes after the parameters of accept_v2."""
    told = [
        (at, arrival.conclusion)
        for at, arrival in enumerate(arrivals, start=1)
        if arrival.conclusion is not None
    ]
    told.sort(key=lambda one: (one[1].merchant_id, one[1].receipt_id))
    return [[at for at, _ in told], *parameters([conclusion for _, conclusion in told])]


def _distinct(links: Iterable[Link]) -> Iterable[Link]:
    return {(link.object_type, link.object_id): link for link in links}.values()
