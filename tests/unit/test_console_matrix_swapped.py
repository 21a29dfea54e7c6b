"""Everything that a merchant's owner does in the console, done again by the owner of another.

The walk goes through every page there is, with every form filled in; each request is recorded as
it was sent, and sent again with the other's cookies and the other's token. Nothing of the first
merchant may be told, and nothing of it changed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

import pyotp
import pytest
from tests.support.browsing import PASSWORD, Browser, ConsoleWorld, Seen
from tests.support.console_tenants import Rooms, Tenant, furnished, told_of, with_session
from tests.support.webhook_shop import GOOD

from payhooks import ids
from payhooks.console.app import pages
from payhooks.console.page import ROOT
from payhooks.control import invitations
from payhooks.control.context import SYSTEM
from payhooks.model.user import Role

_PARAMETER = re.compile(r"\\\{\w+\\\}")


@dataclass(frozen=True)
class Recorded:
    """One request as a browser sent it."""

    method: str
    target: str
    body: bytes
    headers: Mapping[str, str]

    @property
    def name(self) -> str:
        return f"{self.method} {self.target}"


class RecordedWorld(ConsoleWorld):
    """An installation that keeps what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.recorded: list[Recorded] = []

    async def request(
        self, method: str, target: str, body: bytes, headers: Mapping[str, str], address: str
    ) -> Seen:
        self.recorded.append(Recorded(method, target, body, headers))
        return await super().request(method, target, body, headers, address)


def declared_at(request: Recorded) -> set[str]:
    """Return which declared pages a request is for."""
    path = request.target.partition("?")[0].removeprefix(ROOT)
    found = set()
    for page in pages():
        pattern = _PARAMETER.sub("[^/]+", re.escape(page.path))
        if page.method == request.method and re.fullmatch(pattern, path):
            found.add(f"{page.method} {page.path}")
    return found


async def walk(world: RecordedWorld, tenant: Tenant) -> None:
    """Do as the owner whatever can be done, each form with fields that say something."""
    browser = await Browser(world).sign_in(tenant.owner)
    at = {name: text for name, text in tenant.ids.items() if name != "text"}
    for page in pages():
        if page.method == "GET" and "{text}" not in page.path:
            await browser.get(ROOT + page.path.format_map(at))
    for query in (
        "deliveries?status=failed&webhook={endpoint_id}",
        "deliveries?q={event_id}",
        "sandbox?scenario=card-sale",
    ):
        await browser.get(f"{ROOT}/{query.format_map(at)}")
    for tab in ("settings", "activity"):
        await browser.get(f"{ROOT}/settings/webhooks/{at['endpoint_id']}?tab={tab}")
    for view in ("response", "timing", "signature"):
        await browser.get(f"{ROOT}/deliveries/{at['delivery_id']}?view={view}")
    await browser.get(f"{ROOT}/replays/new?include=failed&webhook={at['endpoint_id']}&count=1")
    for step, fields in _forms(tenant):
        seen = await browser.post(f"{ROOT}{step.format_map(at)}", fields)
        assert seen.status in {200, 303, 409, 412, 422}, (step, seen.status, seen.heading)
    await _people(world, tenant, browser)


def _forms(tenant: Tenant) -> list[tuple[str, dict[str, str]]]:
    """Return every form with an id in it or about it, in an order in which each can be sent."""
    at = tenant.ids
    webhook = {**GOOD, "label": "heron another", "url": "https://heron.example/another"}
    edited = {**webhook, "version": "1", "reset": "1"}
    one = "/settings/webhooks/{endpoint_id}"
    team, keys = "/settings/team", "/settings/keys"
    provider = "/settings/connectors/{connector_id}"
    heard = {"provider": "owlpay", "name": "heron-more", "secret": "whs_heron"}
    return [
        ("/settings/connectors", heard),
        (f"{provider}/edit", {"version": "1", "events": "heron.*"}),
        (f"{provider}/rotate", {"secret": "whs_heron2", "grace": "3600"}),
        (f"{provider}/credential", {"credential": "heron:secret"}),
        (f"{provider}/read-again", {}),
        ("/receipts/{receipt_id}/read-again", {}),
        (f"{provider}/move", {"to": "disable"}),
        (f"{provider}/delete", {}),
        ("/settings/webhooks", webhook),
        ("/settings/webhooks", {**webhook, "signature": "source_key", "key_id": at["key_id"]}),
        (f"{one}/reset", edited),
        (f"{one}/close", edited),
        (f"{one}/edit", edited),
        (f"{one}/secret", {}),
        (f"{one}/rotate", {"grace": "3600"}),
        (f"{one}/test", {}),
        (f"{one}/move", {"to": "pause"}),
        ("/deliveries/replay", {"delivery": at["delivery_id"]}),
        ("/deliveries/{delivery_id}/replay", {}),
        ("/deliveries/{delivery_id}/cancel", {}),
        ("/events/{event_id}/resend", {"webhook": at["endpoint_id"]}),
        ("/event-types/{family}/{type_name}/send", {"webhook": at["endpoint_id"]}),
        ("/replays", {"include": "failed", "webhook": at["endpoint_id"]}),
        ("/replays/{replay_id}/cancel", {}),
        ("/events/{event_id}/expunge", {}),
        ("/sandbox/runs", {"scenario": "card-sale", "seed": "7"}),
        ("/sandbox/runs/{run_id}/again", {}),
        ("/sandbox/runs/{run_id}/stop", {}),
        ("/sandbox/inboxes", {}),
        ("/sandbox/inboxes/{inbox_id}/webhook", {}),
        ("/sandbox/inboxes/{inbox_id}/remove", {}),
        (f"{one}/delete", {}),
        (keys, {"label": "heron reader", "scopes": "events:read", "expires_in": "30"}),
        (f"{keys}/signature-key/reveal", {}),
        (f"{keys}/signature-key/rotate", {"grace": "0"}),
        (f"{keys}/{{key_id}}/revoke", {}),
        (f"{team}/invitations", {"email": "heron-new2@example.com", "role": "viewer"}),
        (f"{team}/invitations/{{invitation_id}}/revoke", {}),
        (f"{team}/{{user_id}}/role", {"role": "viewer"}),
        (f"{team}/{{user_id}}/remove", {}),
        ("/merchant", {"merchant": tenant.id}),
        ("/account/sessions/{session_id}/end", {}),
        ("/account/sessions/end-others", {}),
        ("/account/password", {"current_password": PASSWORD, "new_password": PASSWORD + "s"}),
        ("/account/two-factor/codes", {}),
        ("/theme", {"theme": "dark", "next": "/console/account"}),
        ("/shortcuts", {"next": "/console/account"}),
    ]


async def _people(world: RecordedWorld, tenant: Tenant, browser: Browser) -> None:
    """Come into the team in both ways, give a second factor, turn it off, go."""
    guest, joining = await _link(world, tenant, "heron-a"), await _link(world, tenant, "heron-b")
    newcomer = Browser(world)
    await newcomer.get(guest)
    fields = {"username": "heronling", "password": PASSWORD, "password_again": PASSWORD}
    assert (await newcomer.post(guest, fields)).status == 303
    await newcomer.get(f"{ROOT}/account/two-factor")
    shown = await newcomer.post(f"{ROOT}/account/two-factor")
    seed = re.search(r">([A-Z2-7]{32})<", shown.text)
    assert seed is not None
    code = pyotp.TOTP(seed[1]).at(world.clock.now())
    await newcomer.post(f"{ROOT}/account/two-factor/confirm", {"code": code})
    colleague = await world.person(await world.tenant("elsewhere"))
    theirs = await Browser(world).sign_in(colleague)
    await theirs.get(f"{joining}/join")
    assert (await theirs.post(f"{joining}/join")).status == 303
    code = await world.code(tenant.owner)
    await browser.post(f"{ROOT}/factor", {"second_factor": code, "next": "/console/account"})
    await browser.post(f"{ROOT}/account/two-factor/off", {})
    await browser.post(f"{ROOT}/sign-out", {})


async def _link(world: ConsoleWorld, tenant: Tenant, name: str) -> str:
    made = await invitations.invite(
        world.control,
        SYSTEM,
        tenant.merchant,
        email=f"{name}@example.com",
        role=Role.VIEWER,
        base_url="",
    )
    return made.url


def _sent_by(request: Recorded, browser: Browser, merchant: str) -> tuple[bytes, dict[str, str]]:
    """Return body and headers as the other's browser sends them, with its own token."""
    named = {"form_token": browser.token, "form_merchant": merchant}
    pairs = parse_qsl(request.body.decode(), keep_blank_values=True)
    body = urlencode([(name, named.get(name, text)) for name, text in pairs]).encode()
    headers = {name: text for name, text in request.headers.items() if name != "cookie"}
    return body, headers


@pytest.mark.shows("W12", "K04")
async def test_what_one_merchant_did_tells_and_changes_nothing_for_another() -> None:
    """Every id in every path, query and form at once, as a real browser sent it."""
    world = RecordedWorld()
    tenant, other = await furnished(world, "heron"), await furnished(world, "kestrel")
    tenant = await with_session(world, tenant, tenant.owner)
    world.recorded.clear()
    await walk(world, tenant)
    walked = list(world.recorded)
    reached = {name for request in walked for name in declared_at(request)}
    assert reached == {f"{page.method} {page.path}" for page in pages()}
    browser = await Browser(world).sign_in(other.owner)
    await browser.get(f"{ROOT}/account")
    rooms = Rooms(world)
    kept, cookies, token = rooms.kept(), dict(browser.cookies), browser.token
    before = rooms.of(tenant)
    assert len(before) > 20
    for request in walked:
        body, headers = _sent_by(request, browser, other.id)
        seen = await browser.send(request.method, request.target, body, headers)
        told = told_of(tenant, seen, request.target, _typed(request))
        assert not told, (request.name, told)
        assert rooms.of(tenant) == before, request.name
        rooms.put_back(kept)
        before = rooms.of(tenant)
        browser.cookies, browser.token = dict(cookies), token
    assert not world.bugs
    # None of it was refused for a reason that has nothing to do with whose it is.
    listed = await browser.get(f"{ROOT}/settings/webhooks")
    assert listed.status == 200
    assert "kestrel ledger" in listed.text


def _typed(request: Recorded) -> str:
    """Return what a form itself says, which its page may say back."""
    return " ".join(text for _name, text in parse_qsl(request.body.decode()))


@pytest.mark.shows("W12")
async def test_the_rooms_of_a_merchant_are_seen_to_change() -> None:
    """A comparison that sees nothing would find nothing either."""
    world = RecordedWorld()
    tenant = await furnished(world, "heron")
    rooms = Rooms(world)
    before = rooms.of(tenant)
    at = f"/v1/merchants/{tenant.id}"
    for method, place, body in (
        ("PATCH", f"/endpoints/{tenant.ids['endpoint_id']}", {"label": "other"}),
        ("POST", f"/deliveries/{tenant.ids['delivery_id']}/retry", None),
        ("DELETE", f"/invitations/{tenant.ids['invitation_id']}", None),
        ("DELETE", f"/keys/{tenant.ids['key_id']}", None),
    ):
        kept = rooms.kept()
        answer = await world.call(method, f"{at}{place}", body)
        assert answer.status < 300, (place, answer.body)
        assert rooms.of(tenant) != before, place
        rooms.put_back(kept)
        assert ids.from_text(ids.MERCHANT, tenant.id) == tenant.merchant.id
