"""Treezor signs the payload alone: what else of a message that was seen can be made of it."""

import itertools
import json
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import pytest
from tests.support.heard_histories import KEYS, NOW, event_of, request_of, words_of
from tests.support.inbound_world import InboundWorld

from payhooks.connectors.contract import Heard, Incoming, Keys
from payhooks.connectors.judging import judged
from payhooks.connectors.treezor import LEGACY, PAYINS, TREEZOR
from payhooks.connectors.words import identity_of
from payhooks.dialects import php_json
from payhooks.limits import KIB
from payhooks.model.receipt import Verdict

pytestmark = pytest.mark.shows("I5")

_REFUNDED: Final = "payinrefund.update"
_NAMES: Final = ("update", "cancel", "create")
_LARGE: Final = 17 * KIB
_SENT_AT: Final = int(NOW.timestamp()) * 10_000


def _message(name: str, **members: Any) -> Incoming:  # noqa: ANN401 - members of JSON
    """Return an example of the catalogue, signed, with members of its object written over."""
    event = event_of("treezor", name)
    data = json.loads(event.data)
    for item in next(iter(data.values())):
        item.update(members)
    return request_of("treezor", msgspec.structs.replace(event, data=json.dumps(data).encode()))


def _around(incoming: Incoming, **members: object) -> Incoming:
    """Return the request with members beside the payload written over; the payload as it stands."""
    body = incoming.body
    for name, value in members.items():
        told = json.loads(body)[name]
        old, new = (f'"{name}":{json.dumps(one)}'.encode() for one in (told, value))
        assert body.count(old) == 1
        body = body.replace(old, new)
    return incoming._replace(body=body)


def _verdict(incoming: Incoming, keys: Keys = KEYS) -> Verdict:
    return judged(TREEZOR, incoming, keys, NOW, {}).verdict


def _words(*incoming: Incoming, **options: str) -> list[str]:
    heards: dict[bytes, Heard] = {}
    for each in incoming:
        for one in TREEZOR.read(each, options):
            heards.setdefault(identity_of(one), one)
    return [word[0] for word in words_of(TREEZOR, options, list(heards.values()))]


# --- what a stranger can have computed


@pytest.mark.parametrize("unit", ["-0", "1.0", "1e9", '"\\u00e9"', '"é"'])
def test_what_no_secret_signed_is_not_spelled_as_php_does_where_that_takes_long(
    unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quarter of a megabyte of it held up everybody for 53 ms, 429 or not."""
    payload = f"[{','.join([unit] * (_LARGE // len(unit)))}]"
    body = f'{{"object_payload":{payload},"object_payload_signature":"x"}}'.encode()

    def spelled(_text: str) -> str:
        pytest.fail("it was spelled")

    monkeypatch.setattr(php_json, "encode", spelled)
    assert _verdict(Incoming("POST", "", {}, body)) is Verdict.UNVERIFIED


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"object_payload_signature":"x","a":' + b"[" * _LARGE, id="without end"),
        pytest.param(b'{"object_payload_signature":"\\ud800"}' + b" " * _LARGE, id="half a letter"),
        pytest.param(b'{"object_payload_signature":"\xff"}' + b" " * _LARGE, id="not UTF-8"),
        pytest.param(b'{"object_payload_signature":[]}' + b" " * _LARGE, id="no text"),
        pytest.param(b'["object_payload_signature"]' + b" " * _LARGE, id="no object"),
        pytest.param(b'"object_payload_signature' + b" " * _LARGE, id="no JSON"),
    ],
)
def test_large_garbage_is_not_verified_and_never_anything_else(body: bytes) -> None:
    """The first look is another parser's than the one that has the last word."""
    assert _verdict(Incoming("POST", "", {}, body)) is Verdict.UNVERIFIED


def test_what_is_signed_as_it_stands_is_verified_however_large() -> None:
    """Treezor's own encoder made the body: with many objects at once, too."""
    large = _message("payin.update", walletAlias="é/" * _LARGE)
    assert len(large.body) > _LARGE
    assert _verdict(large) is Verdict.VERIFIED
    both = Keys(("another-secret-of-theirs", *KEYS.secrets))
    assert _verdict(large, both) is Verdict.VERIFIED
    assert _verdict(large, Keys(("another-secret-of-theirs",))) is Verdict.UNVERIFIED
    assert _verdict(large, Keys(())) is Verdict.UNVERIFIED
    twice = large._replace(body=b'{"object_payload":{"payins":[]},' + large.body[1:])
    assert _verdict(twice) is Verdict.UNVERIFIED, "parsers could disagree which one counts"


@pytest.mark.parametrize("name", ["payin.update", "payin.cancel", "authorization.create"])
def test_what_a_proxy_has_spelled_anew_is_verified(name: str) -> None:
    """Indented, every sample is an eighth of what is spelled as PHP does, at most."""
    message = _message(name)
    anew = json.dumps(json.loads(message.body), indent=4, ensure_ascii=False).encode()
    assert anew != message.body
    assert len(anew) < 2.5 * KIB
    assert _verdict(message._replace(body=anew)) is Verdict.VERIFIED


# --- what can be made of a message that was seen


async def _told(order: Sequence[Incoming]) -> list[str]:
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "treezor", secrets=KEYS.secrets)
    for incoming in order:
        answer = await world.hears(merchant, "treezor", incoming.headers, incoming.body)
        assert answer.status == 200, "it is signed"
        await world.process()
    return [event.type for event in await world.events(merchant)]


@pytest.mark.parametrize("order", list(itertools.permutations(_NAMES)), ids="-".join)
async def test_one_refund_is_told_once_whatever_it_is_named(order: Sequence[str]) -> None:
    """The name of an event is not signed: three of them made two refunds of one."""
    message = _message(_REFUNDED)
    named = [_around(message, webhook=f"payinrefund.{name}") for name in order]
    assert await _told(named) == ["refund_succeeded"]
    later = [
        _around(each, webhook_created_at=_SENT_AT + 10_000 * place)
        for place, each in enumerate(named, start=1)
    ]
    assert await _told([message, *later]) == ["refund_succeeded"]


@pytest.mark.parametrize("member", ["object", "webhook_id"])
async def test_one_refund_is_told_once_whatever_stands_beside_it(member: str) -> None:
    """Under a name of its own for the object it had a history of its own."""
    message = _message(_REFUNDED)
    other = _around(message, **{member: "something"})
    assert await _told([message, other]) == ["refund_succeeded"]
    assert identity_of(TREEZOR.read(message, {})[0]) == identity_of(TREEZOR.read(other, {})[0])


async def test_a_hold_is_not_told_again_in_another_spelling_and_at_another_time() -> None:
    """A space more verifies as well: all of it was another message, which came back later."""
    held, used = (
        _message("authorization.create"),
        _message("authorization.update", authorizationStatus="VALIDATED", codeStatus="150118"),
    )
    spaced = held._replace(body=held.body.replace(b'"object_payload":{', b'"object_payload":{ '))
    again = _around(spaced, webhook_created_at=_SENT_AT + 10_000)
    assert await _told([held, used, again]) == ["payment_authorized"]


@pytest.mark.parametrize(
    ("name", "renamed"),
    [
        pytest.param("authorization.update", "authorization.create", id="a release is no hold"),
        pytest.param("authorization.update", "authorization.cancel", id="nor done yet"),
        pytest.param("authorization.cancel", "authorization.create", id="what is free is not held"),
        pytest.param("authorization.create", "authorization.cancel", id="what is held is not free"),
        pytest.param("payin.create", "payin.cancel", id="begun is not refused"),
        pytest.param("payinrefund.create", "payinrefund.cancel", id="nor is a refund"),
        pytest.param("payin.cancel", "payin.create", id="refused is not begun"),
        pytest.param("payinrefund.cancel", "payinrefund.create", id="failed is not asked for"),
    ],
)
def test_a_name_that_the_payload_belies_is_an_update(name: str, renamed: str) -> None:
    """What was never said must not be told, nor what was said be told twice."""
    message = _message(name)
    false = _around(message, webhook=renamed)
    [heard] = TREEZOR.read(false, {})
    kind = name.rpartition(".")[0]
    assert (heard.word, heard.type) == (f"{kind}.update", f"{kind}.update")
    told = _words(message)
    assert set(_words(false)) <= set(told)
    assert _words(message, false) == told


def test_what_was_called_off_is_told_so_whatever_came_of_it_before() -> None:
    """An update of the same payload means nothing: it must not stand in for what does."""
    for kind, told in (("payin", "payment_failed"), ("payinrefund", "refund_failed")):
        message = _message(f"{kind}.cancel")
        update = _around(message, webhook=f"{kind}.update")
        assert _words(update) == []
        assert _words(update, message) == _words(message, update) == [told]


def test_of_legacy_a_cancel_that_its_status_belies_is_no_success() -> None:
    """There all that is not cancelled was accepted, and goods leave."""
    pending = _message("payin.create")
    cancel = _around(pending, webhook="payin.cancel")
    legacy = {PAYINS: LEGACY}
    assert _words(pending, **legacy) == ["payment_succeeded"]
    assert _words(cancel, **legacy) == []
    assert _words(pending, cancel, **legacy) == ["payment_succeeded"]


def test_each_of_a_list_is_judged_by_its_own_status() -> None:
    """Only one of two refunds was called off."""
    event = event_of("treezor", "payinrefund.cancel")
    [item] = json.loads(event.data)["payinrefunds"]
    other = item | {"payinrefundId": "another", "payinrefundStatus": "VALIDATED"}
    data = json.dumps({"payinrefunds": [item, other]}).encode()
    heards = TREEZOR.read(request_of("treezor", msgspec.structs.replace(event, data=data)), {})
    assert [one.type for one in heards] == ["payinrefund.cancel", "payinrefund.update"]
    assert len({identity_of(one) for one in heards}) == 2
