"""Bytes from callers: each parser ends in a result or in its one error, whatever came."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import pytest
from hypothesis import strategies as st
from tests.support.fuzzing import hunt, mutated, mutated_text

from payhooks import ids, limits
from payhooks.api import strict_json
from payhooks.api.media import demand_json
from payhooks.api.pagination import PageQuery
from payhooks.api.peers import Peers
from payhooks.api.problems import ProblemError
from payhooks.api.publication import decode_batch, decode_event, idempotency_key_of
from payhooks.api.routes.common import if_version
from payhooks.catalogue import CATALOGUE, validation
from payhooks.control import key_text
from payhooks.errors import InvalidError, StaleVersionError, TooLargeError
from payhooks.flow.routing import RoutingTable
from payhooks.ids import MerchantId
from payhooks.model.merchant import CardNumbers, Merchant, Mode, TypeCheck
from payhooks.policy.match import MatchTable, is_valid_event_type, is_valid_pattern, matches
from payhooks.ports.accepting import Routing

NOW: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)
_EVENTS: Final = [
    b'{"type":"payment_succeeded","data":{"amount":1}}',
    b'{"type":"a.b","data":{"a":[1,2.50,-0,1e2]},"object":{"type":"payment","id":"p1"}}',
    b'{"type":"a","data":{},"occurred_at":"2026-01-01T00:00:00.123456+02:00","family":"x"}',
    b'{"type":"a","data":{},"metadata":{"k":"v"},"ordering_key":"o","idempotency_key":"k"}',
    b'{"events":[{"type":"a","data":{}},{"type":"b","data":{}}]}',
    rb'{"type":"a","data":{"a":"\u00e9\ud83d\ude00\n\\\"\/"}}',
]
_JSON: Final = [
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b'"',
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\\udc00",
    b"null",
    b"true",
    b"NaN",
    b"Infinity",
    b"1e999",
    b"-",
    b"0",
    b"1" * 30,
    b"1" * 4_400,
    b"\xff",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\x00",
    b"\xc0\xaf",
    b"/**/",
    b'"a":1',
    b'"a":"::",',
    b"[" * 40,
    b'{"a":' * 40,
    b'"type":',
    b'"data":',
    b'"2026-06-30T23:59:60Z"',
    b'"9999-12-31T23:59:59-23:59"',
]
_MERCHANT: Final = Merchant(
    id=MerchantId(bytes(16)),
    name="Shop",
    mode=Mode.SANDBOX,
    reference=None,
    families=(),
    provider_ids=(),
    card_numbers=CardNumbers.REPORT,
    type_check=TypeCheck.WARN,
    account_id=None,
    version=1,
    created_at=NOW,
    updated_at=NOW,
)
_TABLE: Final = RoutingTable(
    Routing(merchant=_MERCHANT, version=1, endpoints=(), secrets=(), keys=()),
    lambda secret: secret.id.hex(),
)


def test_both_looks_at_a_body_say_the_same_and_what_passes_has_one_meaning() -> None:
    """The quick look is a count; were it wrong once, two parsers could be told two things."""

    def check(body: bytes) -> None:
        quick, slow = _refusal(strict_json.check, body), _refusal(strict_json.check_slowly, body)
        assert quick == slow
        if quick is None:
            once = json.loads(body, parse_int=str, parse_float=str)
            assert msgspec.json.decode(msgspec.json.encode(once)) == once

    hunt(check, mutated(_EVENTS, _JSON))


def test_an_event_is_read_or_its_faults_are_named() -> None:
    """And its data is a part of the body that came, to the byte."""

    def check(body: bytes, *, keyed: bool) -> None:
        if _refusal(strict_json.check, body) is not None:
            return
        try:
            publication = decode_event(body, _TABLE, CATALOGUE, None, keyed=keyed)
        except InvalidError as error:
            faults = error.faults
            assert all(len(fault.pointer) < 300 for fault in faults)
            return
        assert publication.data in body
        assert isinstance(json.loads(publication.data, parse_int=str), dict)
        assert is_valid_event_type(publication.type)
        assert publication.metadata is None or publication.metadata in body

    hunt(lambda body, keyed: check(body, keyed=keyed), mutated(_EVENTS, _JSON), st.booleans())


def test_any_json_satisfies_a_schema_or_its_faults_are_named() -> None:
    """Whatever stands where, the faults are few, short and in places that can be said."""

    def check(body: bytes, number: int) -> None:
        if _refusal(strict_json.check, body) is not None:
            return
        type_ = CATALOGUE.types[number % len(CATALOGUE.types)]
        for found in validation.faults(type_, body, at_most=limits.EVENT_FINDINGS_MAX):
            assert found.pointer.startswith("/data")
            assert len(found.pointer) < 300
            assert 0 < len(found.detail) <= limits.FINDING_CHARS_MAX

    examples = [type_.example for type_ in CATALOGUE.types if type_.example is not None]
    hunt(check, mutated([*_EVENTS, *examples], _JSON), st.integers(0, len(CATALOGUE.types)))


def test_any_json_is_a_schema_or_is_refused() -> None:
    """An operator's slip must be an answer, and never the end of the process."""

    def check(body: bytes) -> None:
        if _refusal(strict_json.check, body) is not None:
            return
        fault = validation.fault_of_schema(body)
        assert fault is None or fault.pointer.startswith("/schema")

    schemas = [type_.schema for type_ in CATALOGUE.types if type_.schema is not None]
    hunt(check, mutated(schemas, [*_JSON, b'"$ref":"#"', b'"type":"string"', b'"pattern":"("']))


def test_a_batch_is_read_or_refused() -> None:
    """Its items are not looked at yet: a bad one must not refuse the others."""

    def check(body: bytes) -> None:
        if _refusal(strict_json.check, body) is not None:
            return
        try:
            batch = decode_batch(body)
        except (InvalidError, TooLargeError):
            return
        assert all(bytes(item) in body for item in batch.events)

    hunt(check, mutated(_EVENTS, _JSON))


def test_an_idempotency_key_is_one_or_is_refused() -> None:
    """Quoted or not it is the same key, and nothing is cut off it."""

    def check(raw: bytes) -> None:
        try:
            key = idempotency_key_of(raw)
        except InvalidError:
            return
        assert key.encode() in {raw, raw[1:-1]}
        assert 0 < len(key) <= limits.IDEMPOTENCY_KEY_CHARS_MAX
        assert idempotency_key_of(b'"' + key.encode() + b'"') == key

    hunt(check, mutated([b"order-1", b'"order-1"', b"k" * 255], [b'"', b"\x00", b"\t", b"\xe4"]))


def test_an_etag_is_one_of_ours_or_stale() -> None:
    """An edit that is based on nothing we gave changes nothing."""

    def check(text: str) -> None:
        try:
            version = if_version(text)
        except StaleVersionError:
            return
        assert version is None or str(version) in text or text.strip().strip('W/"').isdigit()

    hunt(check, mutated_text(['"1"', 'W/"12"', "*", "7"], ['"', "W/", ",", " ", "\u0663", "0"]))


def test_a_cursor_is_ours_or_refused() -> None:
    """One that was changed by a bit could begin anywhere."""
    request = _Request()
    page = PageQuery(request, limit=1)  # type: ignore[arg-type]  # as much of one as is asked
    members, _ = page.page([bytes(16), b"\x01" * 16], lambda item: None, id_of=lambda item: item)
    good = str(members["next"])

    def check(text: str) -> None:
        try:
            window = PageQuery(request, limit=1, after=text).window()  # type: ignore[arg-type]  # as above
        except InvalidError:
            assert text != good
            return
        assert window.after == bytes(16)

    hunt(check, mutated_text([good], ["A", "=", "-", "_", "/", "\u0661", "\n"]))


def test_an_id_is_spelt_in_one_way() -> None:
    """Two spellings of one id would be two keys in somebody's database."""
    known = [ids.to_text(ids.EVENT, bytes(range(16))), ids.to_text(ids.ENDPOINT, b"\xff" * 16)]

    def check(text: str) -> None:
        for prefix in (ids.EVENT, ids.ENDPOINT, ids.DELIVERY, ids.MERCHANT):
            value = ids.from_text(prefix, text)
            assert value is None or ids.to_text(prefix, value) == text

    hunt(check, mutated_text(known, ["evt_", "ep_", "O", "I", "z", "_", "\uff10", "8"]))


def test_a_key_looks_like_one_only_as_it_was_made() -> None:
    """A slip of the pen is found without asking the store."""
    made = key_text.new_key(key_text.KeyKind.LIVE, bytes)

    def check(text: str) -> None:
        kind = key_text.kind_of(text)
        assert len(key_text.digest(text)) == 32
        if key_text.looks_like(text):
            assert text.isascii()
            assert text.startswith(f"phk_{kind}_")

    hunt(check, mutated_text([made], ["phk_", "live", "sandbox", "_", "\u0661", "0", "l"]))


@pytest.mark.parametrize("trusted", [(), ("127.0.0.0/8", "::1/128")], ids=["none", "a proxy"])
def test_the_callers_address_is_an_address(trusted: tuple[str, ...]) -> None:
    """It is in the audit log: X-Forwarded-For is what anybody may write."""
    peers = Peers(trusted)

    def check(raw: bytes) -> None:
        scope = {"client": ("127.0.0.1", 1), "headers": [(b"x-forwarded-for", raw)]}
        found = peers.address_of(scope)
        assert found is not None
        assert len(found) <= 45
        assert not set(found) - set("0123456789abcdef.:")

    corpus = [b"192.0.2.1, 127.0.0.1", b"2001:db8::1, ::ffff:127.0.0.1", b"unknown"]
    hunt(check, mutated(corpus, [b",", b" ", b"127.0.0.1", b"%lo", b"[::1]", b":80", b"::"]))


def test_a_content_type_is_json_or_refused() -> None:
    """What a form of another site can claim is never JSON."""

    def check(raw: bytes) -> None:
        try:
            demand_json({"headers": [(b"content-type", raw)]})
        except ProblemError:
            return
        essence = raw.lower().partition(b";")[0].strip()
        assert essence.startswith(b"application/")
        assert essence.endswith(b"json")

    corpus = [b"application/json", b'application/json; charset="UTF-8"', b"application/a.b+json"]
    hunt(check, mutated(corpus, [b";", b"charset=", b"utf-16", b"text/plain", b"/", b"+json"]))


def test_the_table_of_patterns_selects_what_each_pattern_would() -> None:
    """Whatever types and patterns pass, the quick table and the plain rule agree."""

    def check(pattern: str, event_type: str) -> None:
        valid = is_valid_pattern(pattern), is_valid_event_type(event_type)
        if all(valid):
            table = MatchTable([(0, [pattern])])
            assert (table.select(event_type) == (0,)) == matches(pattern, event_type)

    words = mutated_text(["payment.paid", "payment_*", "a.b.c", "*"], [".", "*", "_", "-", "\n"])
    hunt(check, words, words)


class _Url:
    path = "/v1/merchants/m/events"


class _Query:
    @staticmethod
    def multi_items() -> list[tuple[str, str]]:
        return [("limit", "1")]


class _State:
    class services:  # noqa: N801 - an attribute of the application
        cursor_key = bytes(32)


class _Request:
    """As much of a request as a cursor asks for."""

    url = _Url
    query_params = _Query

    class app:  # noqa: N801 - an attribute too
        state = _State


def _refusal(check: Any, body: bytes) -> Mapping[str, Any] | str | None:  # noqa: ANN401 - either look
    try:
        check(body)
    except ProblemError as error:
        [fault] = error.problem.faults
        code: str = fault.code
        return code
    return None
