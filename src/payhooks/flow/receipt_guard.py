"""Card data in what providers send: masked before it is stored, whatever a merchant has chosen.

The verdict on a request was reached on its raw bytes; everything later reads the copy that is
made here. Nothing that is said of it has a number in it: findings name places.
"""

import json
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import partial
from typing import Final

import msgspec

from payhooks import limits
from payhooks.clock import Clock
from payhooks.errors import RateLimitedError
from payhooks.flow.allowances import Allowance, Allowances
from payhooks.ids import MERCHANT, RECEIPT, to_text
from payhooks.model.event import Finding
from payhooks.model.receipt import Receipt, Verdict
from payhooks.policy import card_numbers, card_text, json_leaves
from payhooks.policy.card_numbers import Kind, Place
from payhooks.policy.card_references import is_reference
from payhooks.policy.card_text import Hit
from payhooks.policy.credential_headers import opens_something
from payhooks.ports.telemetry import Telemetry

_WORDS: Final = {
    Kind.CARD_NUMBER: "a card number",
    Kind.SECURITY_CODE: "a card's security code",
    Kind.TRACK_DATA: "what a card's magnetic stripe says",
    Kind.PIN_BLOCK: "a PIN block",
}
# Nobody may keep these once a payment is authorized (PCI DSS 3.3), so no provider should send them.
_NEVER_SENT: Final = frozenset(
    f"{kind.value}_masked" for kind in (Kind.SECURITY_CODE, Kind.TRACK_DATA, Kind.PIN_BLOCK)
)
# Who sends one with a payment, sends one with each. Every receipt has its findings; this wakes.
_ALARMED: Final = Allowance("sensitive_card_data", per_s=1 / 600, burst=1)
_AT_MOST: Final = limits.EVENT_FINDINGS_MAX
_JSON: Final = re.compile(rb"[ \t\r\n]*[\[{]")
_OF_TEXT: Final = (b"%", b"\\", b"+", b"&")
_FORM: Final = "application/x-www-form-urlencoded"
_STRANGERS_BYTES_MAX: Final = 16 * limits.KIB
_DROPPED: Final = Finding(
    pointer="/body",
    code=f"{Kind.CARD_NUMBER.value}_masked",
    detail="There may be card data here; as the sender is not known, the body was not kept.",
)
# No character of a header's name or of its value.
_BETWEEN: Final = "\n"


class HeardCardAlarm:
    """Counts what was found in what providers send, and wakes an operator now and then."""

    def __init__(self, *, clock: Clock, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._allowances = Allowances(clock)

    def found(self, receipt: Receipt) -> None:
        """Take note of what a receipt had in it."""
        codes = {finding.code for finding in receipt.findings}
        for code in codes:
            self._telemetry.card_data_found(code)
        if receipt.verdict is not Verdict.VERIFIED or _NEVER_SENT.isdisjoint(codes):
            return  # What is nobody's provider's wakes nobody: anybody may send it.
        with suppress(RateLimitedError):
            self._allowances.spend(receipt.connector_id, _ALARMED)
            whose = to_text(MERCHANT, receipt.merchant_id)
            self._telemetry.alarmed(
                "sensitive_card_data", f"{to_text(RECEIPT, receipt.id)} of {whose} had it"
            )


def kept_headers(headers: Mapping[str, str], own: Collection[str]) -> tuple[tuple[str, str], ...]:
    """Return the headers that may be kept: all but credentials; *own* are the provider's.

    What he reads by name is no credential, whatever a merchant's own format calls it: without it
    nothing could be verified again.
    """
    return tuple(
        (name, value) for name, value in headers.items() if name in own or not opens_something(name)
    )


def guarded(receipt: Receipt, *, own_ids: Collection[tuple[str | int, ...]] = ()) -> Receipt:
    """Return the receipt as it may be stored, with what was found; the same one, if nothing was.

    In its body ids stand at *own_ids* too, whatever these are called.
    """
    findings: list[Finding] = []
    said_type = next((value for name, value in receipt.headers if name == "content-type"), "")
    body = receipt.body
    if _is_dropped(receipt):
        body = b""
        findings.append(_DROPPED)
    else:
        body = _masked_body(body, said_type, findings, own_ids)
    query = receipt.query
    if not receipt.is_answer:  # Else it is our own: which object the provider was asked for.
        query = _masked_text(query, "/query", findings, is_form=True)
    headers = _masked_headers(receipt.headers, findings)
    # A sentence of whoever verified may quote what was wrong.
    reason = None if receipt.reason is None else card_numbers.masked_text(receipt.reason)
    if not findings and reason == receipt.reason:
        return receipt
    return msgspec.structs.replace(
        receipt,
        body=body,
        query=query,
        headers=headers,
        reason=reason,
        findings=(*receipt.findings, *findings[:_AT_MOST]),
    )


def _is_dropped(receipt: Receipt) -> bool:
    """Whether a stranger's large body is not worth a close look.

    What is masked cannot be verified later. So nothing but a glance at it is lost, and whoever
    knows a URL cannot have half a second of the server with each request.
    """
    if receipt.verdict is not Verdict.UNVERIFIED or len(receipt.body) <= _STRANGERS_BYTES_MAX:
        return False
    return card_text.is_suspect(receipt.body)


def _masked_body(
    body: bytes,
    said_type: str,
    findings: list[Finding],
    own_ids: Collection[tuple[str | int, ...]],
) -> bytes:
    if _JSON.match(body) is not None:
        is_suspect = card_numbers.is_suspect(body)
        if not is_suspect and not _may_be_text(body):
            return body
        if _is_json(body):
            if not is_suspect:
                return body
            is_kept = partial(is_reference, also=own_ids)
            masked = card_numbers.masked(body, "/body", at_most=_AT_MOST, is_kept=is_kept)
            findings += map(_finding_of_masked, masked.places)
            findings += map(_finding_of_kept, masked.kept)
            # Two names may be equal now. The message may mean something else then; the other
            # choice were to keep the number.
            return masked.raw
    masked_body, hits = card_text.masked(
        body, is_form=said_type.lower().startswith(_FORM), at_most=_AT_MOST
    )
    findings += [_finding_of("/body", hit) for hit in hits]
    return masked_body


def _may_be_text(body: bytes) -> bool:
    """Whether what begins like JSON may have card data if it is none: other escapes count then."""
    return any(sign in body for sign in _OF_TEXT) and card_text.is_suspect(body)


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body.decode(), parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return False
    return True


def _masked_text(text: str, root: str, findings: list[Finding], *, is_form: bool) -> str:
    if not text:
        return text
    masked, hits = card_text.masked(
        text.encode(errors="surrogatepass"), is_form=is_form, at_most=_AT_MOST
    )
    findings += [_finding_of(root, hit) for hit in hits]
    return masked.decode(errors="surrogatepass") if hits else text


def _masked_headers(
    headers: tuple[tuple[str, str], ...], findings: list[Finding]
) -> tuple[tuple[str, str], ...]:
    # Most requests have nothing in any header: they are looked at as one text.
    whole = _BETWEEN.join([f"{name}: {value}" for name, value in headers])
    found: list[Finding] = []
    masked = _masked_text(whole, "/headers", found, is_form=False)
    if not found:
        return headers
    findings += found
    return tuple(_parted(line) for line in masked.split(_BETWEEN))


def _parted(line: str) -> tuple[str, str]:
    name, _, value = line.partition(": ")
    return name, value


def _finding_of(root: str, hit: Hit) -> Finding:
    pointer = json_leaves.pointer(root, [hit.name] if hit.name else [])
    place = Place(pointer=pointer, kind=hit.kind)
    return _finding_of_kept(place) if hit.is_kept else _finding_of_masked(place)


def _finding_of_masked(place: Place) -> Finding:
    detail = f"There was {_WORDS[place.kind]} here; it was masked before it was stored."
    return Finding(pointer=place.pointer, code=f"{place.kind.value}_masked", detail=detail)


def _finding_of_kept(place: Place) -> Finding:
    detail = "A reference here looks like a card number; it was stored as it came."
    return Finding(pointer=place.pointer, code=place.kind.value, detail=detail)
