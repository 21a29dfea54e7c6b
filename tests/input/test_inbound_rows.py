"""What forgers and strangers send to connectors, byte for byte, against a real process.

Rows I1 to I4 and I15. Whatever it is, it tells nobody anything: not the merchant, and not who sent
it. That comparisons take the same time for all is for the source rules to see: on a shared machine
a clock shows less than it hides.
"""

import base64
import json
from collections.abc import Callable, Mapping
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Any, Final

import pytest
from tests.support.bad_input import Reply
from tests.support.hearing_ground import (
    LIVE_HOST,
    SANDBOX_HOST,
    STANDARD,
    Hearing,
    Speaker,
    by_speaker,
    by_timed_speaker,
    now_s,
    within_one_second,
)
from tests.support.inbound_load import signed
from tests.support.providers import connector
from tests.support.server import Tenant

_LATE_S_MAX: Final = 5.0
_LETTERS: Final = f"{ascii_uppercase}{ascii_lowercase}{digits}+/"  # of base64
_OF_EACH: Final = frozenset({"date", "x-request-id"})  # headers that no two answers share


def _statuses(
    on: Hearing, speaker: Speaker, requests: Mapping[str, tuple[bytes, Mapping[str, str]]]
) -> dict[str, int | None]:
    """Return what each was answered; those refused with the same answer, to the byte."""
    replies = {name: on.say(speaker, *request) for name, request in requests.items()}
    assert len({_said(reply) for reply in replies.values() if reply.status == 401}) < 2
    return {name: reply.status for name, reply in replies.items()}


def _said(reply: Reply) -> tuple[object, ...]:
    """Return all of an answer that two of them can have in common."""
    body = reply.body
    if body and reply.headers.get("content-type") == "application/problem+json":
        body = json.dumps({**reply.json, "request_id": ""}).encode()
    shared = sorted(item for item in reply.headers.items() if item[0] not in _OF_EACH)
    return reply.status, tuple(shared), body


def _demand_heard(on: Hearing, speaker: Speaker) -> None:
    """Ask whether the good request of this very provider is heard, and told."""
    number = on.number()
    body = speaker.body(number)
    assert on.say(speaker, body, speaker.signed(body)).status == 200
    assert on.receipts(speaker.dialect)[0]["state"] == "processed"
    assert on.told(f"{speaker.about}{number}") == ["payment_succeeded"]


# --- I1: who guesses


@pytest.mark.shows("I1")
@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "HEAD", "DELETE"])
def test_whatever_was_guessed_wrong_the_answer_is_one(on: Hearing, method: str) -> None:
    """A 404 that differs by a byte is a list of our customers, or of whom they work with."""
    api, name = on.ground.api, f"till-{method.lower()}"
    live = Tenant(api, "Live", mode="live")
    connector(live, name=name)
    for gone in ("disabled", "deleted"):
        connector(on.tenant, name=f"{name}-{gone}")
    api.post(f"{on.tenant.path}/connectors/{name}-disabled/disable")
    api.call("DELETE", f"{on.tenant.path}/connectors/{name}-deleted")
    body, headers = signed(on.number())
    guesses = {
        "no such merchant": (f"/webhooks/mer_{'0' * 26}/{name}", SANDBOX_HOST),
        "no such reference": (f"/webhooks/nobody/{name}", SANDBOX_HOST),
        "no such connector": (on.path("nobody"), SANDBOX_HOST),
        "disabled": (on.path(f"{name}-disabled"), SANDBOX_HOST),
        "deleted": (on.path(f"{name}-deleted"), SANDBOX_HOST),
        "sandbox under the name of live": (on.path("owlpay"), LIVE_HOST),
        "live under the name of sandbox": (f"/webhooks/{live.id}/{name}", SANDBOX_HOST),
        "live under no name of ours": (f"/webhooks/{live.id}/{name}", "other.example"),
    }
    with on.unharmed(stores=False):
        replies = {
            guess: on.send(target, body, headers, method=method, host=host)
            for guess, (target, host) in guesses.items()
        }
    assert {guess: reply.status for guess, reply in replies.items()} == dict.fromkeys(guesses, 404)
    assert len({_said(reply) for reply in replies.values()}) == 1
    if method == "POST":
        told = on.send(f"/webhooks/{live.id}/{name}", body, headers, host=LIVE_HOST)
        assert told.status == 200, "where it is at home it is heard"


@pytest.mark.shows("I15")
def test_a_path_is_what_it_says_and_is_not_tidied_up(on: Hearing) -> None:
    """What two programs may read as two paths must not be a way around the one in front."""
    mine, (body, headers) = on.tenant.id, signed(on.number())
    tails = (
        f"{mine}/../{mine}/owlpay", f"{mine}/./owlpay", f"./{mine}/owlpay", f"{mine}/owlpay/.",
        f"{mine}/owlpay/", f"{mine}//owlpay", f"/{mine}/owlpay", f"{mine}/owlpay/..", f"{mine}/..",
        f"{mine}%2fowlpay", f"{mine}/%2e%2e/{mine}/owlpay", f"{mine}/%6fwlpay", f"{mine}/owlpay%20",
        f"{mine}/owlpay%0a", f"{mine.lower()}/owlpay", f"{mine.upper()}/owlpay",
        f"{mine}/OwlPay", f"{mine}/owlpay;x", f"{mine}/owlpay,", f"{mine}\\owlpay",
        f"{mine}/%c3%b8wlpay", f"{mine}/%c0%af", f"{mine}/%ff",
        f"{mine}/" + "o" * 1_024, "m" * 1_024 + "/owlpay", f"{mine}/%{'25' * 60}6fwlpay",
        mine, "", "/", "owlpay", f"{mine}/connector", f"mer_{mine[4:]}x/owlpay",
    )  # fmt: skip
    targets = [f"/webhooks/{tail}" for tail in tails]
    targets += [f"/Webhooks/{mine}/owlpay", f"//webhooks/{mine}/owlpay", "/webhooks"]
    with on.unharmed(stores=False):
        answered = {target: on.send(target, body, headers).status for target in targets}
        bare = on.send(f"/webhooks/{mine}/\xc3\xb8wlpay", body, headers).status
    assert answered == dict.fromkeys(targets, 404)
    assert bare == 400, "outside of ASCII it is no HTTP, whoever is asked for"


# --- I2 to I4: who forges

# What stands before the signature itself, the signature, what stands between two: a header's value.
_BROKEN: Final[Mapping[str, Callable[[str, str, str], str]]] = {
    "empty": lambda lead, made, between: "",
    "nothing behind the version": lambda lead, made, between: lead,
    "one short": lambda lead, made, between: lead + made[:-1],
    "one more": lambda lead, made, between: f"{lead}{made}0",
    "half": lambda lead, made, between: lead + made[: len(made) // 2],
    "in other letters": lambda lead, made, between: lead + made.swapcase(),
    "another version": lambda lead, made, between: (
        lead.replace("v1", "v2") if lead else "sha256="
    ) + made,
    "encoded otherwise": lambda lead, made, between: lead + _encoded_otherwise(made),
    "another": lambda lead, made, between: lead + _other(made),
    "the last of eleven": lambda lead, made, between: _many(10, lead, made, between),
    "the last of a hundred": lambda lead, made, between: _many(99, lead, made, between),
}  # fmt: skip


def _other(made: str) -> str:
    """Return a signature that is wrong in its last bits."""
    at = -2 if made.endswith("=") else -1
    return made[:at] + ("0" if made[at] != "0" else "1") + made[len(made) + at + 1 :]


def _encoded_otherwise(made: str) -> str:
    """Return the same bytes in base64 where they are hexadecimal, and the other way round."""
    if made.endswith("="):
        return base64.b64decode(made).hex()
    return base64.b64encode(bytes.fromhex(made)).decode()


def _many(wrong: int, lead: str, made: str, between: str) -> str:
    """Return the good signature behind so many others."""
    first, version = lead.rpartition(between or ",")[::2]
    head = f"{first}{between}" if first else ""
    others = [f"{version}{_other(made)}"] * wrong
    return head + (between or ",").join([*others, version + made])


@pytest.mark.shows("I2")
@by_speaker
def test_a_signature_is_the_exact_one_or_none(on: Hearing, speaker: Speaker) -> None:
    """Who forges learns nothing but that: neither how near he came, nor what was looked at."""
    body = speaker.body(on.number())
    headers = speaker.signed(body)
    value = headers[speaker.header]
    lead, made = value[: -speaker.digits], value[-speaker.digits :]
    without = {name: text for name, text in headers.items() if name != speaker.header}
    requests: dict[str, tuple[bytes, Mapping[str, str]]] = {"missing": (body, without)}
    for name, broken in _BROKEN.items():
        changed = {**headers, speaker.header: broken(lead, made, speaker.between)}
        requests[name] = (body, changed)
    requests["somebody else's"] = (
        body,
        speaker.sign(body, str(now_s()), speaker.other_secret),
    )
    with on.unharmed():
        answered = _statuses(on, speaker, requests)
    assert answered == dict.fromkeys(requests, 401)
    kept = on.receipts(speaker.dialect)[: len(requests)]
    assert {(one["state"], one["verdict"], one["answered"]) for one in kept} == {
        ("quarantined", "unverified", 401)
    }
    assert all(one["reason"] for one in kept), "the merchant is told why"
    _demand_heard(on, speaker)


@pytest.mark.shows("I2")
@by_timed_speaker
def test_the_exact_one_may_be_the_last_of_ten(on: Hearing, speaker: Speaker) -> None:
    """Who rotates sends several, and the one that we know need not be the first."""
    body = speaker.body(number := on.number())
    headers = speaker.signed(body)
    value = headers[speaker.header]
    lead, made = value[: -speaker.digits], value[-speaker.digits :]
    ten = {**headers, speaker.header: _many(9, lead, made, speaker.between)}
    assert on.say(speaker, body, ten).status == 200
    on.receipts(speaker.dialect)
    assert on.told(f"{speaker.about}{number}") == ["payment_succeeded"]


@pytest.mark.shows("I2")
def test_base64_that_means_the_same_is_not_the_same(on: Hearing) -> None:
    """One signature with several spellings is several requests to whoever keeps them apart."""
    while True:
        body = STANDARD.body(on.number())
        headers = STANDARD.signed(body)
        made = headers["webhook-signature"].removeprefix("v1,")
        if "+" in made or "/" in made:
            break
    spellings = {
        "for URLs": made.replace("+", "-").replace("/", "_"),
        "without its end": made.rstrip("="),
        "with more of it": made + "=",
        # They differ in bits that nobody decodes.
        "with other last bits": f"{made[:-2]}{_LETTERS[_LETTERS.index(made[-2]) + 1]}=",
    }
    requests = {
        name: (body, {**headers, "webhook-signature": f"v1,{spelt}"})
        for name, spelt in spellings.items()
    }
    with on.unharmed():
        assert _statuses(on, STANDARD, requests) == dict.fromkeys(requests, 401)
        assert on.say(STANDARD, body, headers).status == 200


@pytest.mark.shows("I3")
@by_speaker
def test_a_body_that_was_written_again_is_another(on: Hearing, speaker: Speaker) -> None:
    """What is verified is what came: whoever reads it first verifies what he has read."""
    body = speaker.body(on.number())
    said: dict[str, Any] = json.loads(body)
    again = {
        "a space behind": body + b" ",
        "a space before": b" " + body,
        "a line end behind": body + b"\n",
        "other line ends": body.replace(b"\n", b"\r\n"),
        "without spaces": json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode(),
        "another order": json.dumps(
            dict(reversed(said.items())), ensure_ascii=False, indent=1
        ).encode(),
        "letters escaped": json.dumps(said, indent=1).encode(),
        "UTF-16": body.decode().encode("utf-16"),
        "Latin-1": body.decode().encode("latin-1"),
        "a byte order mark": b"\xef\xbb\xbf" + body,
        "a member twice": body.replace(b"{", b'{"amount":1,', 1),
        "nothing": b"",
    }
    assert body not in again.values()
    headers = speaker.signed(body)
    with on.unharmed():
        answered = _statuses(on, speaker, {name: (one, headers) for name, one in again.items()})
    assert answered == dict.fromkeys(again, 401)
    assert on.say(speaker, body, headers).status == 200


@pytest.mark.shows("I4")
@by_timed_speaker
def test_a_signed_time_that_is_none_is_refused_however_it_is_signed(
    on: Hearing, speaker: Speaker
) -> None:
    """A secret that leaked once, or a sender without a clock, must not make a request eternal."""
    times = ("", "abc", "-1", "0", "1e9", "1" + "0" * 19, "\xd9\xa1" * 10, f"{now_s()}.0")
    body = speaker.body(on.number())
    requests = {ascii(at): (body, speaker.sign(body, at, speaker.secret)) for at in times}
    missing = speaker.signed(body)
    if speaker.time_header:
        del missing[speaker.time_header]
    else:
        missing[speaker.header] = missing[speaker.header].partition(",")[2]
    requests["missing"] = (body, missing)
    with on.unharmed():
        assert _statuses(on, speaker, requests) == dict.fromkeys(requests, 401)


@pytest.mark.shows("I4")
@by_timed_speaker
@pytest.mark.parametrize(
    ("off_s", "status"),
    [
        # Of a second that has begun, a time 299 s before it is up to 300 s old.
        pytest.param(-299, 200, id="as old as may be"),
        pytest.param(-301, 401, id="too old"),
        pytest.param(300, 200, id="as far ahead as may be"),
        pytest.param(301, 401, id="too far ahead"),
    ],
)
def test_five_minutes_are_the_edge_both_ways(
    on: Hearing, speaker: Speaker, off_s: int, status: int
) -> None:
    """Clocks differ, and providers try again; what is older may be somebody's who listened."""
    body = speaker.body(on.number())
    reply = within_one_second(
        lambda at_s: on.say(speaker, body, speaker.signed(body, at_s + off_s))
    )
    assert reply.status == status
