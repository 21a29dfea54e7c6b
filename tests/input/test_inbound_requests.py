"""What comes to connectors from providers themselves, and from who knows a little: over sockets.

Rows I5 to I10, I12 to I14, I16 and I17. Each also asks that nothing else was harmed: the log has no
error and no secret, and the next good request is heard.
"""

import asyncio
import base64
import gzip
import json
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import Random
from typing import Final

import pytest
from tests.connectors import signed_by_adyen
from tests.support.bad_input import read
from tests.support.cards import number_of
from tests.support.hearing_ground import (
    OWNGATEWAY,
    SPEAKERS,
    STRIPE,
    Hearing,
    Speaker,
    by_speaker,
    now_s,
)
from tests.support.inbound_load import forged, in_turn, signed
from tests.support.leaks import sqlite_bytes
from tests.support.providers import connector, payment, signature
from tests.support.receiving import until
from tests.support.server import Tenant

from payhooks.flow.receive import BODY_BYTES_MAX, UNVERIFIED_BURST, UNVERIFIED_PER_S

_LATE_S_MAX: Final = 5.0
_FLOOD: Final = 1_000
_GRACE_S: Final = 2

# --- I5 to I7: who knows something


@pytest.mark.shows("I5")
@by_speaker
def test_what_one_connector_accepts_means_nothing_to_another(on: Hearing, speaker: Speaker) -> None:
    """A merchant could sign for his neighbour; secrets are a connector's own."""
    name = f"{speaker.dialect}-beside"
    connector(on.tenant, speaker.dialect, name=name, secrets=[speaker.other_secret])
    neighbour = Tenant(on.ground.api, "Neighbour")
    connector(neighbour, speaker.dialect, name=speaker.dialect, secrets=[speaker.other_secret])
    body = speaker.body(number := on.number())
    headers = speaker.signed(body)
    with on.unharmed():
        assert on.say(speaker, body, headers).status == 200
        assert on.receipts(speaker.dialect)[0]["state"] == "processed"
        assert on.send(on.path(name), body, headers).status == 401
        theirs = f"/webhooks/{neighbour.id}/{speaker.dialect}"
        assert on.send(theirs, body, headers).status == 401
        assert on.say(speaker, body, headers).status == 200
    assert on.receipts(speaker.dialect)[0]["state"] == "duplicate"
    assert on.told(f"{speaker.about}{number}") == ["payment_succeeded"]
    assert list(neighbour.api.pages(f"{neighbour.path}/events")) == []


@pytest.mark.shows("I5")
def test_a_request_once_more_tells_nothing_and_is_refused_when_it_is_old(on: Hearing) -> None:
    """The same bytes: the provider's retry at first, and then somebody who has kept them."""
    body = payment(number := on.number())
    # A second is left at least, and two at most.
    headers = signature(body, at_s=now_s() - 298)
    assert on.send(on.path("owlpay"), body, headers).status == 200
    until(
        lambda: on.send(on.path("owlpay"), body, headers).status,
        lambda status: status == 401,
        s=_LATE_S_MAX,
    )
    states = [one["state"] for one in on.receipts("owlpay")]
    assert states[0] == "quarantined"
    assert on.told(f"pi_{number}") == ["payment_succeeded"]


@pytest.mark.shows("I6")
@pytest.mark.parametrize(
    "speaker", [pytest.param(each, id=each.dialect) for each in (OWNGATEWAY, STRIPE)]
)
def test_the_same_id_with_another_amount_is_for_a_person_to_decide(
    on: Hearing, speaker: Speaker
) -> None:
    """Told it would be booked, dropped it would be lost; one of the two amounts is wrong."""
    first = speaker.body(number := on.number())
    second = first.replace(b"1250", b"9900")
    alarmed = _alarms(on)
    for body in (first, second):
        assert on.say(speaker, body, speaker.signed(body)).status == 200
        on.receipts(speaker.dialect)
    conflicting, processed = on.receipts(speaker.dialect)[:2]
    assert (conflicting["state"], processed["state"]) == ("conflicting", "processed")
    assert conflicting["detail"]
    assert on.told(about := f"{speaker.about}{number}") == ["payment_succeeded"]
    assert _alarms(on) == alarmed + 1
    path = f"{on.tenant.path}/receipts/{conflicting['id']}"
    on.tenant.api.post(f"{path}/reprocess", {"despite_conflict": True})
    assert on.receipts(speaker.dialect)[0]["state"] == "processed"
    assert on.told(about) == ["payment_succeeded"] * 2


def _alarms(on: Hearing) -> float:
    return on.metric('payhooks_alarms_total{kind="conflicting_receipt"}')


@pytest.mark.shows("I7")
def test_a_password_is_shown_or_nothing_is_heard(on: Hearing) -> None:
    """Where a request came from changes nothing: anybody may write a header that says so."""
    key, name = signed_by_adyen.KEY, "adyen-password"
    secret = {"secrets": [key], "credential": "hooks:pass:word"}
    connector(on.tenant, "adyen", name=name, **secret)
    item = {**signed_by_adyen.PAYMENT, "pspReference": str(10**15 + on.number())}
    sent = signed_by_adyen.batch(signed_by_adyen.signed(item, key))
    shown = {
        what: {"authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}
        for what, text in {
            "right": "hooks:pass:word",
            "another": "hooks:pass:words",
            "cut": "hooks:pass:wor",
            "the user alone": "hooks:",
            "in other letters": "Hooks:pass:word",
        }.items()
    }
    right = shown.pop("right")
    spoofed = {"x-forwarded-for": "127.0.0.1", "x-real-ip": "127.0.0.1", "forwarded": "for=_adyen"}
    wrong: dict[str, Mapping[str, str]] = {
        "missing": {},
        "empty": {"authorization": ""},
        "no scheme": {"authorization": right["authorization"].removeprefix("Basic ")},
        "another scheme": {"authorization": right["authorization"].replace("Basic", "Bearer")},
        "not encoded": {"authorization": "Basic hooks:pass:word"},
        **shown,
    }
    wrong |= {f"{what}, from elsewhere": {**said, **spoofed} for what, said in wrong.items()}
    with on.unharmed():
        answered = {
            what: on.send(on.path(name), sent.body, headers).status
            for what, headers in wrong.items()
        }
        assert answered == dict.fromkeys(wrong, 401)
        forged = sent.body.replace(b'"value": 1130', b'"value": 9900')
        assert forged != sent.body
        assert on.send(on.path(name), forged, right).status == 401, "nor is it enough by itself"
        for headers in (right, {**right, **spoofed}):
            reply = on.send(on.path(name), sent.body, headers)
            assert (reply.status, reply.body) == (200, b"[accepted]")
    assert on.told(item["pspReference"]) == ["payment_succeeded"]
    held = on.tenant.api.get(f"{on.tenant.path}/receipts/{on.receipts(name)[0]['id']}")
    assert "authorization" not in dict(held["headers"]), "what was shown is not kept"


# --- I8 and I9: what providers do besides


@pytest.mark.shows("I8")
@pytest.mark.parametrize(
    ("dialect", "secret"),
    [
        *[pytest.param(each.dialect, each.secret, id=each.dialect) for each in SPEAKERS],
        pytest.param("adyen", signed_by_adyen.KEY, id="adyen"),
    ],
)
def test_a_method_that_the_provider_does_not_use_is_refused(
    on: Hearing, dialect: str, secret: str
) -> None:
    """Where it says which there are, whoever sets a provider up wrongly finds it out."""
    name = f"{dialect}-methods"
    connector(on.tenant, dialect, name=name, secrets=[secret])
    methods = {"POST", "PUT"}  # none of these challenges with a GET
    others = {"GET", "HEAD", "PATCH", "DELETE", "OPTIONS"}
    with on.unharmed(stores=False):
        for method in sorted(others):
            reply = on.send(on.path(name), b"", method=method)
            assert reply.status == 405, method
            assert set(reply.headers["allow"].split(", ")) == methods
            if method != "HEAD":
                on.ground.judge(reply, {405})
    for method in methods:
        assert on.send(on.path(name), b"{}", method=method).status == 401


@pytest.mark.shows("I8")
def test_a_providers_test_is_answered_as_it_wants_and_tells_nothing(on: Hearing) -> None:
    """It is sent while somebody sets things up, and there is no payment behind it."""
    name = "adyen-test"
    connector(on.tenant, "adyen", name=name, secrets=[signed_by_adyen.KEY])
    reference = f"test_AUTHORISATION_{on.number()}"
    item = signed_by_adyen.signed({**signed_by_adyen.PAYMENT, "pspReference": reference})
    with on.unharmed():
        reply = on.send(on.path(name), signed_by_adyen.batch(item).body)
    assert (reply.status, reply.body) == (200, b"[accepted]")
    [receipt] = on.receipts(name)
    assert receipt["state"] == "processed"
    assert "a test" in receipt["detail"]
    assert on.told(reference) == []


_LAUGHS: Final = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY l0 "ha">%b]><a>&l9;</a>' % b"".join(
    b'<!ENTITY l%d "%b">' % (level, b"&l%d;" % (level - 1) * 100) for level in range(1, 10)
)
_FILE: Final = b'<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd">]><a>&f;</a>'
_MULTIPART: Final = b'--x\r\ncontent-disposition: form-data; name="payload"\r\n\r\n{}\r\n--x--\r\n'
# What nobody could read, and what it says that it is.
_UNREADABLE: Final[Mapping[str, tuple[str, bytes]]] = {
    "empty": ("application/json", b""),
    "as large as may be": ("application/json", b'{"a":"'.ljust(BODY_BYTES_MAX - 2, b"a") + b'"}'),
    "deep": ("application/json", b"[" * (BODY_BYTES_MAX - 1)),
    "not a number": ("application/json", b'{"uuid":NaN}'),
    "broken off": ("application/json", payment(1)[:-1]),
    "no text": ("application/json", b"\xff\xfe\x00{}"),
    "compressed, and it does not say so": ("application/json", gzip.compress(payment(1))),
    "entities that grow": ("application/xml", _LAUGHS),
    "entities from a file": ("text/xml", _FILE),
    "a form": ("application/x-www-form-urlencoded", b"payload=%7B%22uuid%22%3A1%7D"),
    "in parts": ("multipart/form-data; boundary=x", _MULTIPART),
    "of no type": ("", payment(1)[1:]),
}


@pytest.mark.shows("I9")
def test_a_body_that_nobody_can_read_is_kept_and_called_so(on: Hearing) -> None:
    """The provider signed it, and stops if he is refused; what is forged is refused unread."""
    connector(on.tenant, name="odd")
    with on.unharmed():
        for name, (said, body) in _UNREADABLE.items():
            headers = {"content-type": said, **signature(body, at_s=now_s())}
            assert on.send(on.path("odd"), body, headers).status == 200, name
            assert on.send(on.path("odd"), body, {"content-type": said}).status == 401, name
        states = [one["state"] for one in on.receipts("odd")]
    assert sorted(states) == ["quarantined"] * len(_UNREADABLE) + ["undecodable"] * len(_UNREADABLE)
    assert all(one["detail"] for one in on.receipts("odd") if one["state"] == "undecodable")


@pytest.mark.shows("I9")
def test_a_body_that_is_too_large_or_packed_is_not_read(on: Hearing) -> None:
    """What is allowed holds hundreds of payments; what is unpacked may be a million times that."""
    large = b'{"a":"'.ljust(BODY_BYTES_MAX - 1, b"a") + b'"}'
    body, headers = signed(on.number())
    with on.unharmed(stores=False):
        reply = on.send(on.path("owlpay"), large, signature(large, at_s=now_s()))
        on.ground.judge(reply, {413})
        chunks = b"10000\r\n%b\r\n" % (b"a" * 65_536) * 17 + b"0\r\n\r\n"
        head = f"POST {on.path('owlpay')} HTTP/1.1\r\nhost: 127.0.0.1\r\n"
        unsaid = f"{head}transfer-encoding: chunked\r\n\r\n".encode()
        on.ground.judge(on.ground.raw(unsaid, chunks), {413})
        for coding in ("gzip", "deflate", "br", "gzip, gzip"):
            packed = {**headers, "content-encoding": coding}
            on.ground.judge(on.send(on.path("owlpay"), gzip.compress(body), packed), {415})
    assert on.send(on.path("owlpay"), body, headers).status == 200


# --- I10 and I12: all at once


@pytest.mark.shows("I10")
async def test_a_flood_of_forgeries_is_bounded_and_costs_nobody_else_an_answer(
    on: Hearing,
) -> None:
    """A row for each would fill the disk of all of them; a 429 to the provider would lose money."""
    random, began_s = Random(10), now_s()
    for name in ("flooded", "beside"):
        connector(on.tenant, name=name)
    floods = iter([forged(number, random) for number in range(_FLOOD)])
    good = [signed(f"amid{number}") for number in range(40)]
    run = partial(in_turn, on.ground.server.port)
    with on.unharmed():
        flood, same, other = await asyncio.gather(
            run(on.path("flooded"), floods, lines=8),
            run(on.path("flooded"), iter(good[::2]), lines=1),
            run(on.path("beside"), iter(good[1::2]), lines=1),
        )
        with ThreadPoolExecutor(8) as pool:
            late = list(pool.map(lambda _: on.send(on.path("flooded"), b"{}"), range(8)))
    statuses = flood.statuses + Counter(reply.status for reply in late)
    [refused, *_] = [reply for reply in late if reply.status == 429]
    on.ground.judge(refused, {429})
    assert int(refused.headers["retry-after"]) >= 1
    assert (same.statuses, other.statuses) == ({200: 20}, {200: 20})
    held = [one for one in on.receipts("flooded") if one["state"] == "quarantined"]
    assert set(statuses) == {401, 429}
    assert statuses[401] == len(held), "what is answered 401 is there to be looked at"
    took_s = now_s() + 1 - began_s
    assert UNVERIFIED_BURST <= len(held) <= UNVERIFIED_BURST + UNVERIFIED_PER_S * took_s
    amid = [on.told(f"pi_amid{number}") for number in range(40)]
    assert amid == [["payment_succeeded"]] * 40


@pytest.mark.shows("I12")
def test_the_same_request_five_times_at_once_is_one_piece_of_news(on: Hearing) -> None:
    """Providers that wait for no answer send again beside themselves."""
    body, headers = signed(number := on.number())
    connector(on.tenant, name="crowd")
    with on.unharmed(), ThreadPoolExecutor(5) as pool:
        replies = [pool.submit(on.send, on.path("crowd"), body, headers) for _ in range(5)]
        assert [reply.result().status for reply in replies] == [200] * 5
    # Whoever finds that another tells the same just now ends as if it had told it.
    assert {one["state"] for one in on.receipts("crowd")} <= {"processed", "duplicate"}
    assert len(on.receipts("crowd")) == 5
    assert on.told(f"pi_{number}") == ["payment_succeeded"]


# --- I13, I14, I16, I17: what is good, and looks odd


@pytest.mark.shows("I13")
def test_an_event_that_nobody_knows_is_acknowledged_and_kept(on: Hearing) -> None:
    """Refused it would be sent again, and then all would be: the provider switches us off."""
    number, name = on.number(), "news"
    connector(on.tenant, name=name)
    body = payment(number, "payment_intent.levitated")
    with on.unharmed():
        assert on.send(on.path(name), body, signature(body, at_s=now_s())).status == 200
        [receipt] = on.receipts(name)
    assert (receipt["state"], receipt["event"]) == ("unmapped", "payment_intent.levitated")
    listed = f"{on.tenant.path}/receipts?state=unmapped"
    assert receipt["id"] in [one["id"] for one in on.tenant.api.pages(listed)]
    assert on.told(f"pi_{number}") == []
    said = {"states": ["unmapped"]}
    again = on.tenant.api.post(f"{on.tenant.path}/connectors/{name}/reprocess", said)
    assert (again["reprocessed"], again["unverified"]) == (1, 0)
    assert [one["state"] for one in on.receipts(name)] == ["unmapped"], "nobody knows it yet"


@pytest.mark.shows("I14")
def test_card_data_is_masked_before_it_is_stored_wherever_it_stands(on: Hearing) -> None:
    """The payment is told all the same, and what is told of the number is where it stood."""
    card, code, name = number_of("4", 16, Random("I14")), "7371", "cards"
    connector(on.tenant, name=name)
    body = payment(number := on.number(), card={"number": card, "cvv": code})
    headers = {**signature(body, at_s=now_s()), "x-note": f"card {card}"}
    with on.unharmed(alarm="sensitive_card_data"):
        target = f"{on.path(name)}?pan={card}&cvc={code}"
        assert on.send(target, body, headers).status == 200
        [summary] = on.receipts(name)
    kept = on.tenant.api.get(f"{on.tenant.path}/receipts/{summary['id']}")
    assert {(one["pointer"], one["code"]) for one in kept["findings"]} == {
        ("/body/data/payment_intent/card/number", "card_number_masked"),
        ("/body/data/payment_intent/card/cvv", "security_code_masked"),
        ("/query/pan", "card_number_masked"),
        ("/query/cvc", "security_code_masked"),
        ("/headers", "card_number_masked"),
    }
    assert kept["masked"] is True
    assert on.told(f"pi_{number}") == ["payment_succeeded"]
    for seen in (json.dumps(kept).encode(), sqlite_bytes(on.ground.server.sqlite_path)):
        assert card.encode() not in seen
        assert f'"cvv":"{code}"'.encode() not in seen.replace(b" ", b"")


@pytest.mark.shows("I16")
def test_two_secrets_verify_until_the_grace_ends_then_the_new_one_alone(on: Hearing) -> None:
    """Providers change over when they like: whoever forgets the old at once loses what is sent."""
    old, new, name = "whs_the_old_one_0123456789", "whs_the_new_one_0123456789", "turning"
    connector(on.tenant, name=name, secrets=[old])

    def say(secret: str) -> int | None:
        body = payment(on.number())
        return on.send(on.path(name), body, signature(body, at_s=now_s(), secret=secret)).status

    with on.unharmed():
        assert (say(old), say(new)) == (200, 401)
        path = f"{on.tenant.path}/connectors/{name}/rotate-secret"
        on.tenant.api.post(path, {"secret": new, "grace_s": _GRACE_S})
        used = 'payhooks_receipts_by_older_secret_total{dialect="owlpay"}'
        before = on.metric(used)
        assert (say(old), say(new)) == (200, 200)
        assert on.metric(used) == before + 1, "that the provider has not changed over is seen"
        until(lambda: say(old), lambda status: status == 401, s=_LATE_S_MAX)
        assert (say(old), say(new)) == (401, 200)


@pytest.mark.shows("I17")
@pytest.mark.parametrize("framed", ["by length", "in chunks"])
def test_a_body_that_comes_a_byte_at_a_time_is_heard(on: Hearing, framed: str) -> None:
    """A slow line is no reason to lose a payment; how slow it may be A13 shows."""
    body, headers = signed(number := on.number())
    length = (
        "transfer-encoding: chunked" if framed == "in chunks" else f"content-length: {len(body)}"
    )
    lines = [f"POST {on.path('owlpay')} HTTP/1.1", "host: 127.0.0.1", length]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    pieces = [body[at : at + 1] for at in range(len(body))]
    if framed == "in chunks":
        pieces = [b"1\r\n%b\r\n" % piece for piece in pieces] + [b"0\r\n\r\n"]
    with on.unharmed(), on.ground.connect() as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        for piece in pieces:
            connection.sendall(piece)
        assert read(connection).status == 200
    on.receipts("owlpay")
    assert on.told(f"pi_{number}") == ["payment_succeeded"]
