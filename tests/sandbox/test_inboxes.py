"""Inboxes: what comes is kept and judged as its receiver would, and nobody else reads it."""

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest
from tests.support.api_world import Answer, World

from payhooks import ids
from payhooks.api import create_application
from payhooks.api.inbox import BODY_BYTES_MAX, PER_SECOND_MAX
from payhooks.control.context import UrlPolicy
from payhooks.control.inboxes import HEARD_KEPT_MAX, INBOXES_MAX
from payhooks.ids import InboxId, MerchantId
from payhooks.model.inbox import Heard
from payhooks.ports.controlling import Window
from payhooks.receiver.dialects import find

pytestmark = pytest.mark.shows("E20")

BODY = b'{"type": "payment_succeeded", "timestamp": "2026-11-20T12:00:00Z", "data": {"a": 1.0}}'
HIDDEN = "••••••••"
ALL = Window(limit=10)
NOTHING: Mapping[str, str] = MappingProxyType({})
HOST = "test.hooks.example"
URLS = UrlPolicy(
    own_hosts=frozenset({HOST, "hooks.example"}),
    inboxes=f"https://{HOST}/in/",
    inbox_host=HOST,
)


@pytest.fixture
def world() -> World:
    """Return an empty installation with two public names."""
    world = World()
    services = replace(world.services, control=replace(world.control, urls=URLS))
    world.app = create_application(services).app
    return world


async def _open(world: World, merchant: str) -> Any:  # noqa: ANN401 - JSON
    answer = await world.call("POST", f"/v1/merchants/{merchant}/sandbox/inboxes")
    assert answer.status == 201, answer.body
    return answer.json


def _path(inbox: dict[str, Any]) -> str:
    found: str = inbox["url"]
    return "/in/" + found.rpartition("/")[2]


async def _send(
    world: World,
    target: str,
    body: bytes = BODY,
    *,
    method: str = "POST",
    headers: Mapping[str, str] = NOTHING,
) -> Answer:
    return await world.call(method, target, raw=body, key=None, headers={"host": HOST, **headers})


async def _heard(world: World, merchant: str, inbox: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    path = f"/v1/merchants/{merchant}/sandbox/inboxes/{inbox['id']}/requests?limit=100"
    return (await world.call("GET", path)).json["data"]


async def test_any_request_is_taken_and_kept_as_it_came(world: World) -> None:
    """Whatever a sender does wrong is what one wants to see."""
    merchant = await world.merchant()
    inbox = await _open(world, merchant)
    body = b'{"broken": \xff'
    answer = await _send(
        world, f"{_path(inbox)}?status=503", body, method="PUT", headers={"x-one": "1"}
    )
    assert (answer.status, answer.json) == (503, {"received": True})
    answer = await _send(world, _path(inbox), b"", method="GET")
    assert (answer.status, answer.json) == (200, {"received": True})
    got, put = await _heard(world, merchant, inbox)
    assert (got["method"], got["status"], got["query"], got["body"]) == ("GET", 200, "", "")
    assert (put["method"], put["status"], put["query"]) == ("PUT", 503, "status=503")
    assert b64decode(put["body_base64"]) == body
    assert ["x-one", "1"] in put["headers"]


async def test_a_list_has_the_beginning_of_each_body_and_one_request_has_all(world: World) -> None:
    """A hundred of the largest would be 60 MiB of JSON, while which nobody else is answered."""
    merchant = await world.merchant()
    inbox = await _open(world, merchant)
    body = b"\xc3\xa4" * (BODY_BYTES_MAX // 2)
    await _send(world, _path(inbox), body)
    await _send(world, _path(inbox), b"short")
    short, long = await _heard(world, merchant, inbox)
    assert (short["body"], short["body_bytes"]) == ("short", 5)
    assert b64decode(long["body_base64"]) == body[:4096]
    assert long["body_bytes"] == len(body)
    path = f"/v1/merchants/{merchant}/sandbox/inboxes/{inbox['id']}/requests"
    whole = (await world.call("GET", f"{path}/{long['id']}")).json
    assert b64decode(whole["body_base64"]) == body
    assert whole["body"] == body.decode()
    assert {**whole, "body": long["body"], "body_base64": long["body_base64"]} == long
    assert (await world.call("GET", f"{path}/hrd_{'0' * 26}")).status == 404
    other = await _open(world, merchant)
    elsewhere = path.replace(inbox["id"], other["id"])
    assert (await world.call("GET", f"{elsewhere}/{long['id']}")).status == 404


async def test_what_came_is_read_in_slices(world: World) -> None:
    """To decode a page of large bodies in one go keeps everybody else waiting."""
    merchant = await world.merchant()
    inbox = await _open(world, merchant)
    for number in range(20):
        await _send(world, _path(inbox), str(number).encode())
    asked: list[int] = []
    read = world.store.heard

    async def heard(merchant_id: MerchantId, inbox_id: InboxId, window: Window) -> list[Heard]:
        asked.append(window.limit)
        return await read(merchant_id, inbox_id, window)

    world.store.heard = heard  # type: ignore[method-assign] # To see what is asked of it.
    found = await _heard(world, merchant, inbox)
    assert [one["body"] for one in found] == [str(number) for number in range(20)][::-1]
    assert max(asked) <= 8


async def test_credentials_are_hidden_before_they_are_kept(world: World) -> None:
    """Nobody need see them to debug; kept, they would be there for whoever reads the store."""
    merchant = await world.merchant()
    inbox = await _open(world, merchant)
    headers = {"authorization": "Basic c2hvcDpjYW5hcnk=", "x-api-key": "canary", "cookie": "canary"}
    await _send(world, _path(inbox), headers=headers)
    [heard] = await _heard(world, merchant, inbox)
    shown = dict(heard["headers"])
    assert shown["authorization"] == shown["x-api-key"] == shown["cookie"] == HIDDEN
    raw = ids.from_text(ids.MERCHANT, merchant)
    assert raw is not None
    [found] = await world.store.inboxes(MerchantId(raw), ALL)
    kept = await world.store.heard(found.merchant_id, found.id, ALL)
    assert "canary" not in repr(kept)
    assert "c2hvcDpjYW5hcnk=" not in repr(kept)


@pytest.mark.parametrize(
    "name",
    ["x-gate", "x-shop", "x-auth-key", "api_key", "x-access-key", "x-passwd", "x-session-id"],
)
async def test_what_a_webhook_sends_of_its_own_stays_hidden(world: World, name: str) -> None:
    """Also when the webhook is gone: what was kept in clear would be there for good."""
    merchant = await world.merchant()
    inbox = await _open(world, merchant)
    endpoint = await world.endpoint(
        merchant,
        url=inbox["url"],
        authentication={"type": "header", "name": "X-Gate", "value": "canary"},
        headers={"X-Shop": "canary"},
    )
    await _send(world, _path(inbox), headers={name: "canary"})
    deleted = await world.call("DELETE", f"/v1/merchants/{merchant}/endpoints/{endpoint['id']}")
    assert deleted.status in {200, 204}
    [heard] = await _heard(world, merchant, inbox)
    assert dict(heard["headers"])[name] == HIDDEN


async def test_what_a_dialect_signs_with_is_never_hidden(world: World) -> None:
    """The verdict is found by it, whatever another webhook calls its password."""
    merchant = await world.merchant()
    inbox = await _open(world, merchant)
    gate = {"type": "header", "name": "X-Signature", "value": "canary"}
    await world.endpoint(merchant, authentication=gate)
    endpoint = await world.endpoint(merchant, url=inbox["url"])
    now = world.clock.now()
    signed = find("standard").way.sign(BODY, endpoint["secret"], message_id="msg_1", now=now)
    shown = {**signed.headers, "x-signature": "abc", "owlpay-signature": "t=1"}
    await _send(world, _path(inbox), headers=shown)
    [heard] = await _heard(world, merchant, inbox)
    assert heard["signature"]["verdict"] == "verified"
    assert HIDDEN not in dict(heard["headers"]).values()


async def test_a_signature_is_judged_with_the_secrets_of_the_webhook(world: World) -> None:
    """By the SDK that receivers use, and by its words where it is wrong."""
    merchant = await world.merchant()
    inbox = await _open(world, merchant)
    await _send(world, _path(inbox))
    endpoint = await world.endpoint(merchant, url=inbox["url"] + "?status=204")
    now = world.clock.now()
    signed = find("standard").way.sign(BODY, endpoint["secret"], message_id="msg_1", now=now)
    headers = signed.headers
    assert (await _send(world, f"{_path(inbox)}?status=204", headers=headers)).status == 204
    await _send(world, _path(inbox), BODY + b" ", headers=headers)
    world.clock.advance(timedelta(minutes=6))
    await _send(world, _path(inbox), headers=headers)
    late, changed, right, unsigned = await _heard(world, merchant, inbox)
    assert right["signature"] == {
        "verdict": "verified",
        "words": "The signature is right.",
        "endpoint_id": endpoint["id"],
    }
    assert (changed["signature"]["verdict"], unsigned["signature"]["verdict"]) == (
        "wrong",
        "unsigned",
    )
    assert "No signature matches" in changed["signature"]["words"]
    assert late["signature"]["verdict"] == "wrong"
    assert "signed 360 s ago" in late["signature"]["words"]


async def test_without_a_webhook_there_is_nothing_to_check_with(world: World) -> None:
    merchant, stranger = await world.merchant(), await world.merchant()
    inbox = await _open(world, merchant)
    await world.endpoint(stranger, url=inbox["url"])
    await _send(world, _path(inbox))
    [heard] = await _heard(world, merchant, inbox)
    assert heard["signature"]["verdict"] == "no endpoint"
    assert heard["signature"]["endpoint_id"] is None


async def test_the_newest_requests_are_kept(world: World) -> None:
    """And so many a second are taken: an inbox is for a look, not for a load."""
    merchant = await world.merchant()
    inbox = await _open(world, merchant)
    for number in range(HEARD_KEPT_MAX + 5):
        if number % PER_SECOND_MAX == 0:
            world.clock.advance(timedelta(seconds=1))
        assert (await _send(world, _path(inbox), b"%d" % number)).status == 200
    heard = await _heard(world, merchant, inbox)
    assert [each["body"] for each in heard] == [
        str(number) for number in range(HEARD_KEPT_MAX + 4, 4, -1)
    ]
    world.clock.advance(timedelta(seconds=1))
    answers = [(await _send(world, _path(inbox))).status for _ in range(PER_SECOND_MAX + 1)]
    assert answers == [*[200] * PER_SECOND_MAX, 429]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("status=999", 200),
        ("status=199", 200),
        ("status=2e2", 200),
        ("status=", 200),
        ("x=1", 200),
        ("laststatus=503", 200),
        ("x=1&status=503", 503),
        ("status=99&status=204", 204),
        ("/x", 200),
        ("?/y?", 200),
        ("&" * 2_000, 200),
    ],
)
async def test_any_query_is_kept_and_only_a_status_is_heeded(
    world: World, query: str, status: int
) -> None:
    """A sender that is tried out has a query of its own, and what it sent is what is asked."""
    merchant = await world.merchant()
    inbox = await _open(world, merchant)
    assert (await _send(world, f"{_path(inbox)}?{query}")).status == status
    [heard] = await _heard(world, merchant, inbox)
    assert (heard["path"], heard["query"], heard["status"]) == ("", query, status)


@pytest.mark.parametrize(
    "path", ["/", "/a/b.php", "//x/../y/", "/%2Fa%20%C3%A9", "/in/x", "/" + "0" * 32]
)
async def test_any_path_behind_the_word_is_kept_as_it_was_written(world: World, path: str) -> None:
    """Senders append paths of their own; what they append is often what is wrong."""
    merchant = await world.merchant()
    inbox = await _open(world, merchant)
    endpoint = await world.endpoint(merchant, url=f"{inbox['url']}/hooks")
    for query in ("", "?a=/b?c"):
        assert (await _send(world, _path(inbox) + path + query)).status == 200
    with_query, without = await _heard(world, merchant, inbox)
    assert (with_query["path"], with_query["query"]) == (path, "a=/b?c")
    assert (without["path"], without["query"]) == (path, "")
    assert without["signature"]["verdict"] == "unsigned", endpoint


async def test_of_a_very_long_path_the_beginning_is_kept(world: World) -> None:
    """What is longer than any URL is refused before anybody looks whose it is."""
    merchant = await world.merchant()
    inbox = await _open(world, merchant)
    assert (await _send(world, f"{_path(inbox)}/{'x' * 8_000}")).status == 200
    assert (await _send(world, f"{_path(inbox)}/{'x' * 9_000}")).status == 414
    [heard] = await _heard(world, merchant, inbox)
    assert heard["path"] == "/" + "x" * 2_047


async def test_what_is_too_large_is_not_kept(world: World) -> None:
    merchant = await world.merchant()
    inbox = await _open(world, merchant)
    assert (await _send(world, _path(inbox), b"x" * (BODY_BYTES_MAX + 1))).status == 413
    assert await _heard(world, merchant, inbox) == []


@pytest.mark.parametrize("word", ["", "0" * 32, "x", "../v1", "0" * 33, "0" * 32 + "/x", "%2F/x"])
async def test_an_unknown_word_opens_nothing(world: World, word: str) -> None:
    """And is not repeated in the answer: it may be nearly right."""
    answer = await _send(world, f"/in/{word}")
    assert answer.status == 404
    assert answer.json["instance"] == "/in/"


async def test_a_closed_inbox_is_gone(world: World) -> None:
    """Its URL may have been pasted somewhere; what came is forgotten with it."""
    merchant = await world.merchant()
    inbox = await _open(world, merchant)
    await _send(world, _path(inbox))
    path = f"/v1/merchants/{merchant}/sandbox/inboxes/{inbox['id']}"
    assert (await world.call("GET", path)).json == inbox
    assert (await world.call("DELETE", path)).status == 204
    assert (await _send(world, _path(inbox))).status == 404
    assert (await world.call("GET", path)).status == 404
    assert (await world.call("GET", f"{path}/requests")).status == 404
    actions = await world.audit_actions(merchant)
    assert actions[-2:] == ["inbox.opened", "inbox.closed"]


async def test_a_merchant_has_so_many_inboxes_and_a_live_one_none(world: World) -> None:
    merchant = await world.merchant()
    opened = [await _open(world, merchant) for _ in range(INBOXES_MAX)]
    path = f"/v1/merchants/{merchant}/sandbox/inboxes"
    assert (await world.call("POST", path)).status == 409
    listed = (await world.call("GET", f"{path}?limit=100")).json["data"]
    assert listed == opened[::-1]
    live = await world.merchant(mode="live")
    assert (await world.call("POST", f"/v1/merchants/{live}/sandbox/inboxes")).status == 409


async def test_an_inbox_is_found_under_the_sandbox_name_alone(world: World) -> None:
    """And a webhook may point there, though it is a name of ours."""
    merchant, live = await world.merchant(), await world.merchant(mode="live")
    inbox = await _open(world, merchant)
    assert inbox["url"].startswith(URLS.inboxes)
    for host, status in ((HOST, 200), (f"{HOST.upper()}:443", 200), ("hooks.example", 404)):
        assert (await _send(world, _path(inbox), headers={"host": host})).status == status
    await world.endpoint(merchant, url=inbox["url"])
    for whose, url in ((live, inbox["url"]), (merchant, f"https://{HOST}/v1/")):
        said = {"label": "Hook", "url": url, "events": ["*"]}
        refused = await world.call("POST", f"/v1/merchants/{whose}/endpoints", said)
        assert refused.json["errors"][0]["code"] == "own_host"
