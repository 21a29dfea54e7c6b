"""What an endpoint may choose of its dialect, and what publishing to one is told."""

import msgspec
import pytest
from tests.support.api_world import Answer, World
from tests.support.shipped import example_of

from payhooks.dialects.registry import DIALECTS
from payhooks.flow.publication import Publication


@pytest.fixture
def world() -> World:
    """Return an empty installation."""
    return World()


async def _asked_for(world: World, merchant: str, **members: object) -> Answer:
    said = {"label": "Hook", "url": "https://example.com/hook", "events": ["*"], **members}
    return await world.call("POST", f"/v1/merchants/{merchant}/endpoints", said)


@pytest.mark.shows("V31")
@pytest.mark.parametrize(
    ("name", "nearest"),
    [("treesor", "treezor"), ("own-gateway", "owngateway"), ("Stripe", "stripe"), ("", None)],
)
async def test_an_unknown_dialect_is_refused_with_the_nearest_name(
    world: World, name: str, nearest: str | None
) -> None:
    """A slip of the pen must not end in a webhook that nobody can read."""
    merchant = await world.merchant()
    answer = await _asked_for(world, merchant, dialect=name)
    assert answer.status == 422
    [fault] = answer.json["errors"]
    assert (fault["pointer"], fault["code"]) == ("/dialect", "unknown_dialect")
    assert nearest is None or f"Did you mean {nearest}?" in fault["detail"]


@pytest.mark.shows("V32")
async def test_what_a_dialect_cannot_carry_is_refused_where_the_check_is_strict(
    world: World,
) -> None:
    """Whoever publishes can mend it now; the merchant could only wonder."""
    merchant = await world.merchant(type_check="strict")
    await world.endpoint(merchant, dialect="treezor")
    target = f"/v1/merchants/{merchant}/events"
    example = example_of("treezor", "payin.create")
    good = {"type": "payin.create", "data": example}
    said = {**good, "data": {**example, "more": 1}}
    answer = await world.call("POST", target, said)
    assert answer.status == 422
    [fault] = answer.json["errors"]
    assert (fault["pointer"], fault["code"]) == ("/data", "not_carried")
    assert fault["detail"].startswith("treezor cannot carry this event: ")
    batch = await world.call("POST", f"{target}/batch", {"events": [said, good]})
    assert ["error" in result for result in batch.json["data"]] == [True, False]
    listed = await world.call("GET", target)
    assert len(listed.json["data"]) == 1, "nothing of what was refused was stored"


@pytest.mark.shows("V33")
@pytest.mark.parametrize("type_check", ["warn", "off"])
async def test_else_it_is_a_finding(world: World, type_check: str) -> None:
    """Other endpoints can carry it, and theirs must not be lost for one that cannot."""
    merchant = await world.merchant(type_check=type_check)
    await world.endpoint(merchant, dialect="treezor")
    await world.endpoint(merchant)
    said = {"type": "payment_succeeded", "data": example_of("owngateway", "payment_succeeded")}
    answer = await world.call("POST", f"/v1/merchants/{merchant}/events", said)
    assert (answer.status, answer.json["deliveries"]) == (202, 2)
    assert [finding["code"] for finding in answer.json["findings"]] == ["not_carried"]


async def test_an_endpoint_that_does_not_hear_the_event_refuses_nothing(world: World) -> None:
    """Its dialect is no business of other events."""
    merchant = await world.merchant(type_check="strict")
    await world.endpoint(merchant, dialect="treezor", events=["payin.*"])
    said = {"type": "payment_succeeded", "data": example_of("owngateway", "payment_succeeded")}
    answer = await world.call("POST", f"/v1/merchants/{merchant}/events", said)
    assert answer.status == 202
    assert "findings" not in answer.json


@pytest.mark.parametrize(
    ("dialect", "options"),
    [
        ("standard", {"time_zone": "Europe/Paris"}),
        ("merchant-console", {"time_zone": "Mars/Olympus"}),
        ("merchant-console", {"card_updater_prefix": "card"}),
        ("owngateway", {"event_ids": "never"}),
        ("custom", {"anything": "at all"}),
    ],
)
async def test_an_option_that_a_dialect_does_not_have_is_refused(
    world: World, dialect: str, options: dict[str, str]
) -> None:
    """A silent default would send what nobody asked for."""
    merchant = await world.merchant(
        custom_dialect={"signature_header": "X-Signed", "envelope": '{"data":"{data}"}'}
    )
    answer = await _asked_for(world, merchant, dialect=dialect, dialect_options=options)
    assert answer.status == 422
    [fault] = answer.json["errors"]
    assert fault["pointer"].startswith("/dialect_options")


async def test_options_are_kept_until_the_dialect_changes(world: World) -> None:
    """Those of another dialect mean nothing there."""
    merchant = await world.merchant()
    made = await world.endpoint(
        merchant, dialect="merchant-console", dialect_options={"time_zone": "Europe/Paris"}
    )
    hook = f"/v1/merchants/{merchant}/endpoints/{made['id']}"
    assert made["dialect_options"] == {"time_zone": "Europe/Paris"}
    renamed = await world.call("PATCH", hook, {"label": "Other"})
    assert renamed.json["dialect_options"] == {"time_zone": "Europe/Paris"}
    moved = await world.call("PATCH", hook, {"dialect": "owlpay"})
    assert (moved.status, moved.json["dialect_options"]) == (200, {})


@pytest.mark.parametrize(
    ("dialect", "signature"), [("foloosi", "none"), ("treezor", "endpoint_secret")]
)
async def test_who_does_not_choose_is_signed_as_the_original_is(
    world: World, dialect: str, signature: str
) -> None:
    """Foloosi signs nothing; a header that it never sent is asked for, not slipped in."""
    merchant = await world.merchant()
    made = await world.endpoint(merchant, dialect=dialect)
    assert made["signature"] == {"type": signature}


async def test_a_dialect_that_cannot_sign_with_the_secret_is_refused(world: World) -> None:
    """The endpoint would go on, with signatures that nobody could have made."""
    merchant = await world.merchant()
    made = await world.endpoint(merchant, dialect="owlpay")
    hook = f"/v1/merchants/{merchant}/endpoints/{made['id']}"
    answer = await world.call("PATCH", hook, {"dialect": "standard"})
    assert answer.status == 422
    assert answer.json["errors"][0]["code"] == "secret_does_not_fit"
    assert (await world.call("GET", hook)).json["dialect"] == "owlpay"


@pytest.mark.parametrize("dialect", sorted(set(DIALECTS) - {"custom"}))
async def test_the_test_event_is_one_that_the_dialect_carries(world: World, dialect: str) -> None:
    """A test that fails before the URL is called says nothing of the URL."""
    merchant = await world.merchant()
    made = await _asked_for(world, merchant, dialect=dialect)
    await world.call("POST", f"/v1/merchants/{merchant}/endpoints/{made.json['id']}/test")
    listed = await world.call("GET", f"/v1/merchants/{merchant}/events")
    [event] = [each for each in listed.json["data"] if each["type"] == "webhook.test"]
    data = msgspec.json.encode(event["data"])
    said = Publication(type="webhook.test", family="payhooks", data=data)
    assert DIALECTS[dialect].refusal(said) is None
    assert b"This is a test." in data
