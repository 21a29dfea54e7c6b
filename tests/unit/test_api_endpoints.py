"""Endpoints: what can be set, what is refused, and what an edit based on old news gets."""

import asyncio

import pytest
from tests.support.api_world import World

from payhooks.control.context import SYSTEM, audit_entry
from payhooks.control.deliveries import TESTS_PER_MINUTE_MAX
from payhooks.model.event_type import EventType, Provenance
from payhooks.ports.controlling import Change


@pytest.fixture
def world() -> World:
    """Return an empty installation."""
    return World()


_WRONG: list[tuple[dict[str, object], str, str]] = [
    ({"url": "ftp://example.com/"}, "/url", "scheme_not_allowed"),
    ({"url": "https://127.0.0.1/"}, "/url", ""),
    ({"url": "https://localhost/"}, "/url", ""),
    ({"url": "https://u:p@example.com/"}, "/url", ""),
    ({"url": "https://example.com:22/"}, "/url", ""),
    ({"url": "https://example.com/" + "x" * 2_048}, "/url", "too_long"),
    ({"label": " "}, "/label", "empty"),
    ({"label": "a\nb"}, "/label", "invalid_character"),
    ({"events": []}, "/events", ""),
    ({"events": ["a..b"]}, "/events/0", "invalid_pattern"),
    ({"events": ["*", "owlpay.received_order"]}, "/events/1", "alias"),
    ({"events": ["*"] * 101}, "/events", "too_many"),
    ({"dialect": "standart"}, "/dialect", "unknown_dialect"),
    ({"retry_policy": "often"}, "/retry_policy", "unknown_retry_policy"),
    ({"retry_policy": [5, -1]}, "/retry_policy/1", "out_of_range"),
    ({"rate_limit": 0}, "/rate_limit", "out_of_range"),
    ({"timeout_s": 60}, "/timeout_s", "out_of_range"),
    ({"headers": {"Host": "x"}}, "/headers/0", "header_not_allowed"),
    ({"headers": {"webhook-id": "x"}}, "/headers/0", "header_not_allowed"),
    ({"headers": {"Transfer-Encoding": "x"}}, "/headers/0", "header_not_allowed"),
    ({"headers": {"x-a": "b\r\nhost: c"}}, "/headers/0", "invalid_character"),
    ({"headers": {"x a": "b"}}, "/headers/0", "invalid_header_name"),
    ({"headers": {"x-a": "caf\u00e9"}}, "/headers/0", "invalid_character"),
    ({"headers": {f"x-{n}": "b" for n in range(21)}}, "/headers", "too_many"),
    ({"headers": {"x-a": "b" * 5_000}}, "/headers", "too_long"),
    (
        {"authentication": {"type": "basic", "username": "a:b", "password": "c"}},
        "/authentication/username",
        "invalid_character",
    ),
    (
        {"authentication": {"type": "header", "name": "Cookie", "value": "x"}},
        "/authentication/name",
        "header_not_allowed",
    ),
    ({"signature": {"type": "source_key"}}, "/signature/key_id", "required"),
    (
        {"signature": {"type": "source_key", "key_id": "key_00000000000000000000000000"}},
        "/signature/key_id",
        "unknown_key",
    ),
    ({"tenant_id": "x"}, "/tenant_id", "unknown_field"),
    ({"status": "active"}, "/status", "unknown_field"),
    ({"disabled_reason": "gone"}, "/disabled_reason", "unknown_field"),
    ({"number": 1}, "/number", "unknown_field"),
]


@pytest.mark.shows("C15", "C18")
@pytest.mark.parametrize(("members", "pointer", "code"), _WRONG)
async def test_what_an_endpoint_may_not_be_is_refused_at_create_and_at_edit(
    world: World, members: dict[str, object], pointer: str, code: str
) -> None:
    """C15, C18, D: an edit must not be the way around a check."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    at = f"/v1/merchants/{merchant}/endpoints"
    said = {"label": "a", "url": "https://example.com/", "events": ["*"], **members}
    for answer in (
        await world.call("POST", at, said),
        await world.call("PATCH", f"{at}/{endpoint['id']}", members),
    ):
        assert answer.status == 422, answer.body
        found = [(error["pointer"], error["code"]) for error in answer.json["errors"]]
        assert [at for at, _ in found] == [pointer], found
        assert not code or found[0][1] == code
    read = await world.call("GET", f"{at}/{endpoint['id']}")
    assert read.json["version"] == 1


async def test_another_name_is_refused_where_it_is_one_for_the_merchant(world: World) -> None:
    """For a merchant of another family it is a word like any, under which it may publish."""
    word = "cardupdate.created"  # of merchant-console's cau.created
    said = {"label": "a", "url": "https://example.com/", "events": [word]}
    statuses = []
    for families in ([], ["merchant-console"], ["foloosi"]):
        merchant = await world.merchant(families=families)
        answer = await world.call("POST", f"/v1/merchants/{merchant}/endpoints", said)
        statuses.append(answer.status)
    assert statuses == [422, 422, 201]
    published = await world.publish(merchant, type=word, data={})
    assert (published.status, published.json["type"]) == (202, word)


async def test_a_name_that_a_nearer_family_has_for_its_own_can_be_selected(world: World) -> None:
    """An operator's type that was registered before its name was another name of ours."""
    own = EventType(
        family="shop", name="cardupdate.created", words="", provenance=Provenance.OPERATOR
    )
    entry = audit_entry(
        world.control, SYSTEM, merchant_id=None, action="event_type.created", target="shop/x"
    )
    await world.store.apply(Change(audit=entry, event_type=own))
    merchant = await world.merchant(families=["shop", "merchant-console"])
    await world.endpoint(merchant, events=["cardupdate.created"])
    published = await world.publish(merchant, type="cardupdate.created", data={})
    assert published.json["type"] == "cardupdate.created"


@pytest.mark.shows("C18")
async def test_a_header_is_not_written_twice(world: World) -> None:
    """C18: of two credentials the receiver reads one, and nobody knows which."""
    merchant = await world.merchant()
    plain = await world.endpoint(merchant, headers={"X-Api": "1"})
    said = {"type": "header", "name": "x-api", "value": "2"}
    secured = await world.endpoint(merchant, authentication=said)
    at = f"/v1/merchants/{merchant}/endpoints"
    both = {"label": "a", "url": "https://example.com/", "events": ["*"], "authentication": said}
    for answer in (
        await world.call("POST", at, {**both, "headers": {"X-Api": "1"}}),
        await world.call("PATCH", f"{at}/{plain['id']}", {"authentication": said}),
        await world.call("PATCH", f"{at}/{secured['id']}", {"headers": {"X-API": "1"}}),
    ):
        assert answer.status == 422, answer.body
        assert [error["pointer"] for error in answer.json["errors"]] == ["/headers"]


async def test_every_fault_is_named_at_once(world: World) -> None:
    """Who mends a form wants one round, not five."""
    merchant = await world.merchant()
    said = {"label": " ", "url": "ftp://x", "events": ["a..b"], "timeout_s": 0, "dialect": "x"}
    answer = await world.call("POST", f"/v1/merchants/{merchant}/endpoints", said)
    pointers = {error["pointer"] for error in answer.json["errors"]}
    assert pointers == {"/label", "/url", "/events/0", "/timeout_s", "/dialect"}


async def test_an_edit_based_on_an_old_version_changes_nothing(world: World) -> None:
    """C14: two people with the same form open must not undo each other."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    at = f"/v1/merchants/{merchant}/endpoints/{endpoint['id']}"
    etag = (await world.call("GET", at)).headers["etag"]
    first = await world.call("PATCH", at, {"label": "one"}, headers={"If-Match": etag})
    second = await world.call("PATCH", at, {"label": "two"}, headers={"If-Match": etag})
    gone = await world.call("DELETE", at, headers={"If-Match": etag})
    odd = await world.call("PATCH", at, {"label": "two"}, headers={"If-Match": '"abc"'})
    assert (first.status, second.status, gone.status, odd.status) == (200, 412, 412, 412)
    assert (await world.call("GET", at)).json["label"] == "one"


@pytest.mark.shows("S13")
async def test_secrets_are_in_no_list_no_audit_entry_and_no_announcement(world: World) -> None:
    """What is shown once must not be read elsewhere."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(
        merchant, authentication={"type": "basic", "username": "u", "password": "pass-phrase"}
    )
    at = f"/v1/merchants/{merchant}"
    hook = f"{at}/endpoints/{endpoint['id']}"
    await world.call("PATCH", hook, {"authentication": {"type": "bearer", "token": "tok-en"}})
    rotated = await world.call("POST", f"{hook}/rotate-secret", {"grace_s": 60})
    secrets = [endpoint["secret"], rotated.json["secret"], "pass-phrase", "tok-en"]
    announced = await world.store.announcements(limit=100)
    pages = [
        (await world.call("GET", target)).body
        for target in (hook, f"{at}/endpoints", f"{at}/audit-log", f"{at}/keys")
    ]
    for secret in secrets:
        assert not any(secret.encode() in page for page in pages)
        assert not any(secret.encode() in announcement.data for announcement in announced)
    assert [announcement.type for announcement in announced] == [
        "webhook.created",
        "webhook.updated",
        "webhook.renew.secret",
    ]


@pytest.mark.shows("S10")
async def test_rotation_is_bounded_and_without_grace_is_immediate(world: World) -> None:
    """Every live secret is one more signature in every request."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    hook = f"/v1/merchants/{merchant}/endpoints/{endpoint['id']}"
    statuses = [
        (await world.call("POST", f"{hook}/rotate-secret", {"grace_s": 60})).status
        for _ in range(5)
    ]
    assert statuses == [200] * 4 + [409]
    last = await world.call("POST", f"{hook}/rotate-secret", {"grace_s": 0})
    revealed = await world.call("GET", f"{hook}/secret")
    assert [found["secret"] for found in revealed.json["data"]] == [last.json["secret"]]


async def test_a_source_key_that_signs_cannot_be_revoked(world: World) -> None:
    """Its deliveries could not be signed any more, and nobody would know why."""
    merchant = await world.merchant()
    await world.key(merchant, "events:read", signing=True)
    at = f"/v1/merchants/{merchant}"
    [key] = (await world.call("GET", f"{at}/keys")).json["data"]
    endpoint = await world.endpoint(merchant, signature={"type": "source_key", "key_id": key["id"]})
    refused = await world.call("DELETE", f"{at}/keys/{key['id']}")
    hook = f"{at}/endpoints/{endpoint['id']}"
    await world.call("PATCH", hook, {"signature": {"type": "signature_key"}})
    revoked = await world.call("DELETE", f"{at}/keys/{key['id']}")
    assert (refused.status, revoked.status) == (409, 200)


async def test_a_source_key_that_was_revoked_is_not_chosen_again(world: World) -> None:
    """It was revoked because somebody else may have it."""
    merchant = await world.merchant()
    at = f"/v1/merchants/{merchant}"
    await world.key(merchant, "events:read", signing=True)
    await world.key(merchant, "events:read")
    plain, source = (await world.call("GET", f"{at}/keys")).json["data"]
    await world.call("DELETE", f"{at}/keys/{source['id']}")
    said = {"label": "a", "url": "https://example.com/", "events": ["*"]}
    for key in (source, plain):
        chosen = {"type": "source_key", "key_id": key["id"]}
        refused = await world.call("POST", f"{at}/endpoints", {**said, "signature": chosen})
        assert (refused.status, refused.json["errors"][0]["code"]) == (422, "unknown_key")


async def test_a_key_is_found_however_many_are_newer(world: World) -> None:
    """What cannot be found cannot be revoked."""
    merchant = await world.merchant()
    at = f"/v1/merchants/{merchant}/keys"
    texts = [await world.key(merchant, "events:read") for _ in range(3)]
    for key in (await world.call("GET", at)).json["data"]:
        assert (await world.call("DELETE", f"{at}/{key['id']}")).status == 200
    for text in texts:
        target = f"/v1/merchants/{merchant}/events"
        assert (await world.call("GET", target, key=text)).status == 401
    absent = await world.call("DELETE", f"{at}/key_00000000000000000000000000")
    assert absent.status == 404


async def test_a_list_is_read_to_its_end_and_a_cursor_fits_no_other_list(world: World) -> None:
    """C9: a cursor is sealed, so nobody can ask with it for what is not theirs."""
    merchant, other = await world.merchant(), await world.merchant()
    for n in range(5):
        await world.publish(merchant, metadata={"n": n})
        await world.publish(other)
    at = f"/v1/merchants/{merchant}/events"
    seen: list[str] = []
    target = f"{at}?limit=2"
    for _ in range(3):
        page = (await world.call("GET", target)).json
        seen += [event["id"] for event in page["data"]]
        target = f"{at}?limit=2&after={page['next']}"
    assert len(set(seen)) == 5
    assert seen == sorted(seen, reverse=True)
    assert page["has_more"] is False
    cursor = (await world.call("GET", f"{at}?limit=2")).json["next"]
    for wrong in (
        f"/v1/merchants/{other}/events?after={cursor}",
        f"{at}?status=pending&after={cursor}",
        f"{at}?after={cursor[:-2]}AA",
        f"{at}?after=x",
    ):
        refused = await world.call("GET", wrong)
        assert (refused.status, refused.json["errors"][0]["code"]) == (422, "invalid_cursor")


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=-1", "limit=1000000000", "limit=1e3", "limit=abc", "statuss=failed",
        "status=lost", "type=a..b", "created[gte]=yesterday", "created[gte]=5",
        "created[gte]=2026-02-01T00:00:00Z&created[lt]=2026-01-01T00:00:00Z",
    ],
)  # fmt: skip
async def test_a_filter_that_is_not_understood_is_refused(world: World, query: str) -> None:
    """C9, C13: a filter that is ignored selects more than was asked for."""
    merchant = await world.merchant()
    answer = await world.call("GET", f"/v1/merchants/{merchant}/events?{query}")
    assert (answer.status, answer.json["type"]) == (422, "/problems/validation")


async def test_a_feed_shows_each_event_as_it_is_read_by_itself(world: World) -> None:
    """Also one whose payload was removed: its null is not what was published."""
    merchant = await world.merchant()
    endpoint = (await world.endpoint(merchant))["id"]
    event = (await world.publish(merchant, data={"amount": 5})).json["id"]
    await world.call("POST", f"/v1/merchants/{merchant}/events/{event}/expunge")
    read = (await world.call("GET", f"/v1/merchants/{merchant}/events/{event}")).json
    feed = await world.call("GET", f"/v1/merchants/{merchant}/endpoints/{endpoint}/feed")
    [entry] = feed.json["data"]
    assert entry["event"]["expunged"] is True
    assert entry["event"].items() <= read.items()


async def test_a_reference_is_taken_wherever_an_id_is_and_stays(world: World) -> None:
    """Operators speak of merchants by their own ids."""
    merchant = await world.merchant(reference="shop_1")
    assert (await world.call("GET", "/v1/merchants/shop_1")).json["id"] == merchant
    taken = await world.call(
        "POST", "/v1/merchants", {"name": "x", "mode": "live", "reference": "shop_1"}
    )
    moved = await world.call("PATCH", "/v1/merchants/shop_1", {"reference": "shop_2"})
    assert (taken.status, moved.status) == (409, 409)


@pytest.mark.shows("S33")
async def test_an_endpoint_is_tested_a_few_times_a_minute(world: World) -> None:
    """C20: testing a URL that somebody just typed must not make a tool for hitting it."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    at = f"/v1/merchants/{merchant}/endpoints/{endpoint['id']}/test"
    statuses = [(await world.call("POST", at)).status for _ in range(6)]
    refused = await world.call("POST", at)
    assert statuses == [202, 202, 202, 202, 202, 429]
    assert refused.headers["retry-after"] == "60"


async def test_many_who_test_at_once_get_no_more_between_them(world: World) -> None:
    """A script does not wait for the answer before it asks again; a minute later it may."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    at = f"/v1/merchants/{merchant}/endpoints/{endpoint['id']}/test"
    answers = await asyncio.gather(*(world.call("POST", at) for _ in range(20)))
    sent = [one for one in answers if one.status < 300]
    assert len(sent) == TESTS_PER_MINUTE_MAX
    assert {one.status for one in answers if one not in sent} == {429}
    listed = await world.call("GET", f"/v1/merchants/{merchant}/events")
    assert len(listed.json["data"]) == TESTS_PER_MINUTE_MAX
    world.advance(61)
    assert (await world.call("POST", at)).status < 300
