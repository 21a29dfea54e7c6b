"""Bytes from receivers, merchants and operators: each parser is total, and agrees with itself."""

import contextlib
import ipaddress
import json
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import pytest
from hypothesis import strategies as st
from tests.support.fuzzing import hunt, mutated, mutated_text

from payhooks import limits
from payhooks.dialects.standard import STANDARD
from payhooks.errors import InvalidError, SignatureError
from payhooks.model.attempt import Answer, Timing
from payhooks.policy.address_guard import AllowList, host_verdict, is_address, verdict
from payhooks.policy.classify import VerdictKind, classify, retry_after_s
from payhooks.policy.hook_url import UrlRules, read_hook_url
from payhooks.receiver import VerificationError, Verifier
from payhooks.receiver.__main__ import parse_headers
from payhooks.receiver.secrets import parse_secret
from payhooks.settings import load
from payhooks.transport.exchange import header_lines

NOW: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECRET: Final = STANDARD.new_secret(bytes(range(32)))
_BODY: Final = b'{"type":"a.b","timestamp":"2026-11-20T12:00:00Z","data":{"a":1}}'
_URLS: Final = [
    "https://example.com/hooks?a=1",
    "https://b\xfccher.example:8443/",
    "https://[2606:4700::1111]/",
    "https://1.1.1.1/",
    "http://xn--bcher-kva.example/",
]
_IN_URLS: Final = [
    "@", "#", "?", "\\", "%2e", "%2f", "..", "/", ":", "[", "]", "127.0.0.1", "0x7f", "::1", "。",
    "①", "\uff11", "xn--", "localhost", "\t", "\r\n", " ", "ß", "\u200d", "_", "-", "65536", "٨٠",
]  # fmt: skip


@pytest.mark.parametrize("allow_http", [False, True], ids=["live", "sandbox"])
def test_a_stored_url_is_read_the_same_by_everybody(*, allow_http: bool) -> None:
    """Its host is asked of DNS by one program and dialled by another."""
    rules = UrlRules(allow_http=allow_http, own_hosts=frozenset({"hooks.payhooks.example"}))

    def check(text: str) -> None:
        try:
            found = read_hook_url(text, pointer="/url", rules=rules)
        except InvalidError as error:
            faults = error.faults
            assert [fault.pointer for fault in faults] == ["/url"]
            return
        assert read_hook_url(found.url, pointer="/url", rules=rules).url == found.url
        assert found.url.isascii()
        assert len(found.url) <= limits.URL_CHARS_MAX
        parts = urlsplit(found.url)
        assert (parts.scheme, parts.hostname) == (found.scheme, found.host)
        assert (parts.port or {"https": 443, "http": 80}[parts.scheme]) == found.port
        assert host_verdict(found.host) is None
        assert parts.username is None

    hunt(check, mutated_text(_URLS, _IN_URLS))


def test_an_address_is_allowed_only_in_its_one_spelling() -> None:
    """What some resolver takes for an address and we do not is how one is got around."""

    def check(text: str) -> None:
        assert is_address(text) or verdict(text) is not None
        if verdict(text) is None:
            parsed = ipaddress.ip_address(text)
            assert str(parsed) == text
            assert parsed.is_global
        with contextlib.suppress(InvalidError):
            allowed = AllowList.of([text])
            assert allowed.networks or allowed.names

    corpus = ["127.0.0.1", "2606:4700::1111", "::ffff:7f00:1", "10.0.0.0/8", "db.internal"]
    hunt(
        check,
        mutated_text(corpus, [".", ":", "::", "/", "%", "0x", "0", "255", "\u0661", "fe80", "-"]),
    )


def test_a_wait_is_seconds_within_a_day() -> None:
    """A receiver may ask for rest, in any spelling, and not silence us for ever."""

    def check(values: list[str]) -> None:
        wait_s = retry_after_s(values, NOW)
        assert wait_s is None or 0 < wait_s <= limits.RETRY_AFTER_S_MAX

    corpus = [
        "120", "Fri, 20 Nov 2026 12:05:00 GMT", "Friday, 20-Nov-26 12:05:00 GMT",
        "Fri Nov 20 12:05:00 2026", "1e3", "-5", "99999999999999999999",
    ]  # fmt: skip
    tokens = ["GMT", "+0000", "-2359", "9999", "0000", "60", "Feb 30", ",", "-", "٣", "\x00", "."]
    hunt(check, st.lists(mutated_text(corpus, tokens), max_size=3))


def test_an_answer_always_has_one_verdict() -> None:
    """Whatever status and headers a receiver makes up."""

    def check(status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        answer = Answer(
            status=status,
            headers=tuple(headers),
            body=body,
            body_truncated=False,
            timing=Timing(),
            peer=None,
        )
        found = classify(answer, gone_disables=True, now=NOW)
        assert (found.kind is VerdictKind.DELIVERED) == (200 <= status <= 299)
        assert (found.reason is None) == (200 <= status <= 299)
        assert found.rest_s is None or 0 < found.rest_s <= limits.RETRY_AFTER_S_MAX
        assert found.detail or found.reason is None

    value = mutated_text(["120", "abort-message", "disable-endpoint"], [",", ";", "\x00", "\t"])
    names = st.sampled_from(["retry-after", "webhook-delivery", "x-a", ""])
    hunt(check, st.integers(100, 999), st.lists(st.tuples(names, value), max_size=4), st.binary())


def test_headers_become_lines_of_their_own_or_none_at_all() -> None:
    """A line end in a value would be a header of its own at the receiver."""

    def check(headers: list[tuple[str, str]]) -> None:
        lines = header_lines(tuple(headers))
        if lines is None:
            return
        assert all(line.isascii() and line.isprintable() for line in lines)
        for name, value in headers:
            assert f"{name}: {value}" in lines or (not value and f"{name};" in lines)

    name = mutated_text(["x-api", "Content-Type", "Host"], [":", "\r\n", " ", "\x00", "-"])
    hunt(check, st.lists(st.tuples(name, mutated_text(["b"], ["\r\n", "\x00", ";"])), max_size=4))


def _signed() -> list[dict[str, str]]:
    secret = STANDARD.signing_secret(SECRET)
    return [
        dict(STANDARD.sign(message_id="del_1", body=_BODY, secrets=[secret], now=NOW).headers),
        dict(STANDARD.sign(message_id="del_1", body=_BODY, secrets=[secret] * 3, now=NOW).headers),
    ]


def test_a_request_is_verified_or_refused_and_both_verifiers_agree() -> None:
    """Only what was signed passes, and nothing but the one error is raised."""
    good = _signed()
    verifier = Verifier(SECRET)
    secrets = [STANDARD.verifying_secret(SECRET)]

    def check(values: list[str], body: bytes, names: list[str], late_s: int) -> None:
        headers = dict(zip(names, values, strict=False))
        now = NOW + timedelta(seconds=late_s)
        genuine = body == _BODY and headers.get("webhook-id") == "del_1"
        try:
            verifier.verify(body, headers, now=now)
            passed = True
        except VerificationError:
            passed = False
        assert genuine or not passed
        try:
            STANDARD.verify(headers, body, secrets, now)
            signed = True
        except SignatureError:
            signed = False
        assert signed or not passed
        with contextlib.suppress(InvalidError):
            STANDARD.read(headers, body)

    words = [word for headers in good for word in headers.values()]
    value = st.sampled_from(words) | mutated_text(words, ["v1,", "v1a,", ",", " ", ".", "٣", "="])
    names = st.permutations(["webhook-id", "webhook-timestamp", "webhook-signature"])
    in_order = st.just(list(good[0].values())) | st.just(list(good[1].values()))
    body = st.just(_BODY) | mutated([_BODY], [b"NaN", b"[" * 3_000, b'"9999-12-31T23:59:59-23:59"'])
    plain = st.just(["webhook-id", "webhook-timestamp", "webhook-signature"])
    hunt(
        check,
        in_order | st.lists(value, max_size=3),
        body,
        plain | names,
        st.sampled_from([0, 0, 299, 301, -301, 10**9]),
    )


def test_what_a_genuine_signature_is_over_is_read_or_refused() -> None:
    """A sender that we trust can still be wrong: that is no crash of the receiver."""
    secret = STANDARD.signing_secret(SECRET)
    verifier = Verifier(SECRET)

    def check(body: bytes) -> None:
        headers = dict(
            STANDARD.sign(message_id="del_1", body=body, secrets=[secret], now=NOW).headers
        )
        try:
            event = verifier.verify(body, headers, now=NOW)
        except VerificationError:
            return
        assert (event.id, event.raw) == ("del_1", body)
        assert event.timestamp is not None
        assert event.timestamp.tzinfo is UTC
        assert json.loads(body)["type"] == event.type

    tokens = [
        b"NaN",
        b"null",
        b"[" * 3_000,
        b'"9999-12-31T23:59:59-23:59"',
        b'"0001-01-01T00:00:00+01:00"',
        b'"2026-11-20"',
        b"\xff",
        b"1" * 5_000,
        b'"type":1,',
        b"-0",
        b"1e999",
        b"\\ud800",
    ]
    hunt(check, mutated([_BODY], tokens))


def test_a_secret_is_one_or_is_refused_by_sender_and_receiver_alike() -> None:
    """What the receiver takes and the sender does not would never verify."""

    def check(text: str) -> None:
        with contextlib.suppress(VerificationError):
            assert parse_secret(text).scheme in {"v1", "v1a"}
        for read in (STANDARD.signing_secret, STANDARD.verifying_secret):
            with contextlib.suppress(InvalidError):
                read(text)

    corpus = [SECRET, "whpk_" + SECRET[6:], "whsk_" + SECRET[6:], "phk_live_" + "a" * 49]
    hunt(check, mutated_text(corpus, ["whsec_", "whpk_", "=", "-", "_", "\n", "\u0661", "/"]))


def test_headers_in_a_file_are_read_or_refused() -> None:
    """What somebody copied out of a log or a browser."""

    def check(text: str) -> None:
        try:
            headers = parse_headers(text)
        except ValueError:
            return
        assert all(isinstance(value, str) for _, value in headers)

    corpus = ["POST / HTTP/1.1\nwebhook-id: a\n", '{"webhook-id":"a","x":"y"}', "a: b\r\nc: d"]
    hunt(
        check, mutated_text(corpus, ["{", "}", ":", "\n", "1", "[" * 2_000, "null", "\x00", "\x85"])
    )


_SETTINGS: Final = {
    "DATABASE_URL": "postgresql://user:pass@127.0.0.1:5432/db",
    "LISTEN": "127.0.0.1:8420",
    "SECRET_KEY": SECRET[6:],
    "EGRESS_ALLOW": "10.0.0.0/8,db.internal",
    "EGRESS_PROXY": "http://proxy.example.com:3128",
    "PUBLIC_URL_LIVE": "https://hooks.example.com",
    "SMTP_URL": "smtps://user:pass@mail.example.com:465?from=hooks%40example.com",
    "TRUSTED_PROXIES": "10.0.0.0/8,::1",
    "RETENTION_DAYS": "30",
}


def test_a_setting_is_understood_or_named() -> None:
    """A process that does not start must say which word of which setting it could not read."""
    always = {name: _SETTINGS[name] for name in ("DATABASE_URL", "SECRET_KEY")}

    def check(name: str, text: str) -> None:
        given = {**always, name: text.replace("\x00", "")}  # no environment has that
        try:
            settings = load({f"PAYHOOKS_{each}": value for each, value in given.items()})
        except InvalidError as error:
            faults = error.faults
            assert all(fault.pointer.startswith("PAYHOOKS_") for fault in faults)
            return
        assert settings.host_and_port[1] <= 65_535
        assert all(host == host.lower() for host in settings.public_hosts)
        assert settings.retention >= timedelta(0)

    tokens = ["://", "@", ":", "/", "#", "?", "[", "]", "%", ",", " ", "-1", "1e3", "localhost"]
    words = mutated_text(list(_SETTINGS.values()), tokens)
    hunt(check, st.sampled_from(sorted(_SETTINGS)), words)
