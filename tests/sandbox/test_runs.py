"""Runs: what the API says, and what a player publishes, in which order and when."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from tests.support.api_world import OWNER, World, finish

from payhooks.catalogue import CATALOGUE
from payhooks.errors import UnavailableError
from payhooks.flow.play import HELD_S, LOOK_EVERY_S, REPEATS_WAIT_S, Player
from payhooks.model.delivery import Trigger
from payhooks.sandbox.scenarios import AUTO_CAPTURE, shipped

SCENARIO = "card-payment-3ds"
EVENTS = [step.event for step in shipped().scenarios[SCENARIO].steps]
CAPTURED = next(
    one.name
    for one in shipped().scenarios.values()
    if any(step.condition == AUTO_CAPTURE for step in one.steps)
)
STEPS_MAX = 10_000
TICK_S = 0.001  # a step may ask to wait for less than a clock can tell


@pytest.fixture
def world() -> World:
    """Return an empty installation."""
    return World()


def _player(world: World, *, owner: int = OWNER) -> Player:
    services = world.services
    return Player(world.control, services.acceptor, services.directory, services.book, owner=owner)


async def _begin(world: World, merchant: str, **members: object) -> Any:  # noqa: ANN401 - JSON
    answer = await world.call("POST", f"/v1/merchants/{merchant}/sandbox/runs", members)
    assert answer.status == 202, answer.body
    return answer.json


async def _read(world: World, merchant: str, run: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    path = f"/v1/merchants/{merchant}/sandbox/runs/{run['id']}"
    return (await world.call("GET", path)).json


async def _published(world: World, merchant: str) -> list[dict[str, Any]]:
    """Return the events that the merchant has, oldest first."""
    answer = await world.call("GET", f"/v1/merchants/{merchant}/events?limit=100")
    found: list[dict[str, Any]] = answer.json["data"]
    return [each for each in reversed(found) if each["family"] != "payhooks"]


async def _play(world: World, player: Player, *, s: float = 0.0) -> None:
    """Let the player play until it waits for longer than *s* in all."""
    left_s = s
    for _ in range(STEPS_MAX):
        wait_s = await player.step()
        if wait_s > left_s:
            return
        wait_s = max(wait_s, TICK_S)
        left_s -= wait_s
        world.clock.advance(timedelta(seconds=wait_s))
    raise AssertionError("the run does not end")


@pytest.mark.shows("E16")
async def test_a_scenario_is_published_as_it_is_listed(world: World) -> None:
    """Each event once, in order, of one payment, and none of them in the future."""
    merchant = await world.merchant()
    run = await _begin(world, merchant, scenario=SCENARIO)
    assert (run["state"], run["published"]) == ("playing", 0)
    await _play(world, _player(world))
    told = await _read(world, merchant, run)
    assert (told["state"], told["published"], told["steps"]) == ("finished", *[len(EVENTS)] * 2)
    published = await _published(world, merchant)
    assert [each["type"] for each in published] == EVENTS
    assert [each["id"] for each in published] == [each["id"] for each in told["events"]]
    assert len({each["object"]["id"] for each in published}) == 1
    occurred = [each["occurred_at"] for each in published]
    assert occurred == sorted(set(occurred))
    assert occurred[-1] <= told["created_at"]
    await _play(world, _player(world, owner=8), s=HELD_S)
    assert len(await _published(world, merchant)) == len(EVENTS)


@pytest.mark.shows("E16")
async def test_every_scenario_can_be_played(world: World) -> None:
    merchant = await world.merchant()
    player = _player(world)
    names = (await world.call("GET", "/v1/sandbox/scenarios")).json["data"]
    assert [each["name"] for each in names] == list(shipped().scenarios)
    for each in names:
        run = await _begin(world, merchant, scenario=each["name"])
        await _play(world, player, s=2 * LOOK_EVERY_S)
        told = await _read(world, merchant, run)
        assert (told["state"], told["published"]) == ("finished", len(each["steps"])), each["name"]


@pytest.mark.shows("E16")
async def test_an_event_is_played_alone(world: World) -> None:
    """Members of data as they are given; of whose family it is, the merchant's families say."""
    merchant = await world.merchant(families=["owlpay"])
    await _begin(world, merchant, event="payment_intent.captured", set={"amount": 7, "a.b": None})
    await _play(world, _player(world))
    [event] = await _published(world, merchant)
    assert event["data"]["amount"] == 7
    assert event["data"]["a"] == {"b": None}
    assert event["object"]["type"] == "payment_intent"


@pytest.mark.shows("E16")
async def test_what_is_played_passes_the_door_like_any_event(world: World) -> None:
    """What a strict merchant's publisher is refused is not published by a play either."""
    wrong = {"status": 7}
    merchant = await world.merchant(families=["owlpay"])
    await _begin(world, merchant, event="payment_intent.captured", set=wrong)
    strict = await world.merchant(families=["owlpay"], type_check="strict")
    refused = await _begin(world, strict, event="payment_intent.captured", set=wrong)
    await _play(world, _player(world))
    [event] = await _published(world, merchant)
    path = f"/v1/merchants/{merchant}/events/{event['id']}"
    findings = (await world.call("GET", path)).json["findings"]
    assert {each["pointer"] for each in findings} == {"/data/status"}
    told = await _read(world, strict, refused)
    assert (told["state"], await _published(world, strict)) == ("failed", [])
    assert "/data/status" in told["reason"]


@pytest.mark.shows("E16")
async def test_an_event_is_played_by_its_other_name(world: World) -> None:
    """As it is taken at the door: for the type that it means."""
    alias, type_ = next((a, type_) for type_ in CATALOGUE.types for a in type_.aliases)
    merchant = await world.merchant()
    await _begin(world, merchant, event=alias)
    await _play(world, _player(world))
    [event] = await _published(world, merchant)
    assert (event["family"], event["type"]) == (type_.family, type_.name)


@pytest.mark.shows("E16")
async def test_a_type_of_the_operators_own_can_be_played(world: World) -> None:
    """It has no life cycle, and an example where its operator gave one."""
    said = {"family": "shop", "name": "basket.left", "words": "x", "example": {"basket": 1}}
    assert (await world.call("POST", "/v1/event-types", said)).status == 201
    merchant = await world.merchant()
    await _begin(world, merchant, event="basket.left")
    await _play(world, _player(world))
    [event] = await _published(world, merchant)
    assert (event["family"], event["data"]) == ("shop", {"basket": 1})


@pytest.mark.shows("E16")
@pytest.mark.parametrize(
    ("said", "words"),
    [
        pytest.param({"scenario": "card-payment"}, "card-payment-3ds", id="near a scenario"),
        pytest.param({"event": "payment_intent.capture"}, "payment_intent.captured", id="event"),
        pytest.param({"scenario": SCENARIO, "set": {"amuont": "1"}}, "amount", id="variable"),
        pytest.param({"scenario": SCENARIO, "set": {"amount": []}}, "text or a number", id="list"),
        pytest.param({"scenario": SCENARIO, "event": "x"}, "not both", id="both"),
        pytest.param({}, "not both", id="neither"),
        pytest.param({"scenario": SCENARIO, "family": "owlpay"}, "of its own", id="family"),
        pytest.param({"scenario": SCENARIO, "speed": "fast"}, "1d=1s", id="speed"),
        pytest.param({"scenario": SCENARIO, "speed": "1s=2s"}, "slower than life", id="slow"),
        pytest.param({"scenario": SCENARIO, "speed": "1d=0s"}, "Neither span is zero", id="zero"),
        pytest.param(
            {"event": "order.updated", "family": "shop"}, "these have: ", id="other families"
        ),
        pytest.param({"scenario": "auto-capture", "speed": "1s=1s"}, "at most 24", id="long"),
        pytest.param({"scenario": SCENARIO, "disorder": 101}, "0 and 100", id="disorder"),
        pytest.param({"scenario": SCENARIO, "duplicate": -1}, "0 and 100", id="duplicate"),
        pytest.param({"scenario": SCENARIO, "seed": -1}, "between 0", id="seed"),
        pytest.param({"event": "webhook.test"}, "ours to publish", id="ours"),
        pytest.param({"event": "a.b", "family": "payhooks"}, "ours to publish", id="our family"),
        pytest.param(
            {"event": "payment_succeeded", "set": {"a": "x" * 9_000}}, "8192 bytes", id="large"
        ),
    ],
)
async def test_what_cannot_be_played_is_refused_in_words(
    world: World, said: dict[str, object], words: str
) -> None:
    merchant = await world.merchant()
    answer = await world.call("POST", f"/v1/merchants/{merchant}/sandbox/runs", said)
    assert answer.status == 422
    assert words in answer.body.decode()


@pytest.mark.shows("E16")
async def test_nothing_is_played_for_a_live_merchant(world: World) -> None:
    """Its receivers would take a play for money."""
    merchant = await world.merchant(mode="live")
    path = f"/v1/merchants/{merchant}/sandbox/runs"
    answer = await world.call("POST", path, {"scenario": SCENARIO})
    assert (answer.status, answer.json["type"]) == (409, "/problems/state")


@pytest.mark.shows("E16")
async def test_runs_are_their_merchants_alone(world: World) -> None:
    """And need the permission to publish."""
    merchant, stranger = await world.merchant(), await world.merchant()
    run = await _begin(world, merchant, scenario=SCENARIO)
    for method, rest in (("GET", ""), ("POST", "/stop")):
        path = f"/v1/merchants/{stranger}/sandbox/runs/{run['id']}{rest}"
        assert (await world.call(method, path)).status == 404
    reader = await world.key(merchant, "events:read")
    path = f"/v1/merchants/{merchant}/sandbox/runs"
    assert (await world.call("GET", path, key=reader)).status == 200
    refused = await world.call("POST", path, {"scenario": SCENARIO}, key=reader)
    assert refused.status == 403


@pytest.mark.shows("E17")
async def test_auto_capture_is_the_operators_to_switch_off(world: World) -> None:
    """And the run says what it left out."""
    merchant = await world.merchant()
    key = await world.key(merchant, "merchant:write", "events:write")
    path, off = f"/v1/merchants/{merchant}", {"sandbox_auto_capture": False}
    assert (await world.call("PATCH", path, off, key=key)).status == 403
    assert (await world.call("GET", path)).json["sandbox_auto_capture"] is True
    whole = await _begin(world, merchant, scenario=CAPTURED)
    assert (await world.call("PATCH", path, off)).json["sandbox_auto_capture"] is False
    run = await _begin(world, merchant, scenario=CAPTURED)
    assert (whole["left_out"], whole["auto_capture"]) == (0, True)
    assert run["auto_capture"] is False
    assert run["left_out"] > 0
    assert run["steps"] == whole["steps"] - run["left_out"]


@pytest.mark.shows("E16")
async def test_a_life_is_told_at_its_speed(world: World) -> None:
    """What takes a day takes a second; nothing comes early."""
    merchant = await world.merchant()
    run = await _begin(world, merchant, scenario="auto-capture", speed="1d=10s")
    player = _player(world)
    begun = world.clock.now()
    await _play(world, player, s=100)
    told = await _read(world, merchant, run)
    assert told["state"] == "finished"
    assert world.clock.now() - begun >= timedelta(seconds=10)
    for event in told["events"]:
        assert event["occurred_at"] <= event["published_at"]
    last = told["events"][-1]
    assert last["occurred_at"][:19] == last["published_at"][:19]


@pytest.mark.shows("E16")
async def test_disorder_is_of_publication_alone(world: World) -> None:
    """When it happened stays true: that is what receivers can put it in order by."""
    merchant = await world.merchant()
    run = await _begin(world, merchant, scenario=SCENARIO, disorder=100, seed=3)
    await _play(world, _player(world))
    published = await _published(world, merchant)
    types = [each["type"] for each in published]
    assert types != EVENTS
    by_time = sorted(published, key=lambda each: str(each["occurred_at"]))
    assert [each["type"] for each in by_time] == EVENTS
    told = await _read(world, merchant, run)
    assert [each["type"] for each in told["events"]] == EVENTS


@pytest.mark.shows("E16")
async def test_a_seed_tells_of_the_same_payment(world: World) -> None:
    merchant = await world.merchant()
    runs = [await _begin(world, merchant, scenario=SCENARIO, seed=seed) for seed in (5, 5, 6)]
    objects = [{each["object"]["id"] for each in run["events"]} for run in runs]
    assert objects[0] == objects[1] != objects[2]


@pytest.mark.shows("E16")
async def test_duplicates_are_the_same_delivery_again(world: World) -> None:
    """No second event: the receiver has to notice by the message id, as in production."""
    merchant = await world.merchant()
    await world.endpoint(merchant, events=["payment_intent.*"])
    run = await _begin(world, merchant, scenario=SCENARIO, duplicate=100)
    player = _player(world)
    await _play(world, player)
    assert (await _read(world, merchant, run))["state"] == "playing"
    assert await finish(world, Trigger.SUCCEED) == len(EVENTS)
    await _play(world, player, s=1)
    told = await _read(world, merchant, run)
    assert (told["state"], told["sent_again"]) == ("finished", len(EVENTS))
    assert await finish(world, Trigger.SUCCEED) == len(EVENTS)
    assert len(await _published(world, merchant)) == len(EVENTS)
    assert (await world.audit_actions(merchant)).count("event.resent") == len(EVENTS)


@pytest.mark.shows("E16")
async def test_duplicates_go_while_a_life_is_still_told(world: World) -> None:
    """The last event too, whose turn comes when those before it were looked at just now."""
    merchant = await world.merchant()
    await world.endpoint(merchant, events=["payment_intent.*"])
    options = {"speed": "1d=2s", "duplicate": 100}
    run = await _begin(world, merchant, scenario="auto-capture", **options)
    player = _player(world)
    sent = 0
    for _ in range(60):
        await _play(world, player, s=0.1)
        sent += await finish(world, Trigger.SUCCEED)
        world.clock.advance(timedelta(seconds=0.05))
    told = await _read(world, merchant, run)
    assert (told["state"], told["sent_again"]) == ("finished", told["steps"])
    assert sent == 2 * told["steps"]


@pytest.mark.shows("E16")
async def test_what_was_not_delivered_is_not_sent_twice(world: World) -> None:
    """And an endpoint that fails for hours does not keep a run from its end."""
    merchant = await world.merchant()
    await world.endpoint(merchant, events=["payment_intent.*"])
    run = await _begin(world, merchant, scenario=SCENARIO, duplicate=100)
    await _play(world, _player(world), s=REPEATS_WAIT_S + 1)
    told = await _read(world, merchant, run)
    assert (told["state"], told["sent_again"]) == ("finished", 0)


@pytest.mark.shows("E16")
async def test_a_run_that_is_stopped_publishes_no_more(world: World) -> None:
    """Not one event, however soon the next was due."""
    merchant = await world.merchant()
    run = await _begin(world, merchant, scenario="auto-capture", speed="1d=20s")
    player = _player(world)
    await _play(world, player, s=1)
    path = f"/v1/merchants/{merchant}/sandbox/runs/{run['id']}/stop"
    stopped = await world.call("POST", path)
    assert (stopped.status, stopped.json["state"]) == (200, "stopped")
    count = stopped.json["published"]
    assert 0 < count < stopped.json["steps"]
    await _play(world, player, s=60)
    assert len(await _published(world, merchant)) == count
    assert (await world.call("POST", path)).status == 200
    actions = await world.audit_actions(merchant)
    assert actions.count("sandbox_run.created") == actions.count("sandbox_run.stopped") == 1


@pytest.mark.shows("E16")
async def test_a_run_that_is_over_is_not_stopped(world: World) -> None:
    merchant = await world.merchant()
    run = await _begin(world, merchant, scenario=SCENARIO)
    await _play(world, _player(world))
    path = f"/v1/merchants/{merchant}/sandbox/runs/{run['id']}/stop"
    assert (await world.call("POST", path)).status == 409


@pytest.mark.shows("E18")
async def test_who_takes_a_run_over_publishes_nothing_twice(world: World) -> None:
    """Its player died between the publication and the note of it."""
    merchant = await world.merchant()
    run = await _begin(world, merchant, scenario=SCENARIO)
    write, lost = world.store.write_run, []

    async def dies(*said: object, **more: object) -> bool:
        lost.append((said, more))
        raise UnavailableError("gone")

    world.break_store("write_run", dies)
    await _player(world).step()
    assert len(lost) == 1
    assert [each["type"] for each in await _published(world, merchant)] == EVENTS
    world.break_store("write_run", write)
    world.clock.advance(timedelta(seconds=HELD_S + 1))
    await _play(world, _player(world, owner=8))
    told = await _read(world, merchant, run)
    assert told["state"] == "finished"
    published = await _published(world, merchant)
    assert [each["id"] for each in published] == [each["id"] for each in told["events"]]


@pytest.mark.shows("E16")
async def test_a_run_of_another_version_ends_and_says_why(world: World) -> None:
    """Half of one story and half of another would be a payment that never was."""
    merchant = await world.merchant()
    run = await _begin(world, merchant, scenario=SCENARIO)
    [stored] = await world.store.claim_runs(owner=1, limit=1, for_s=0)
    other = msgspec.structs.replace(stored, fingerprint=b"other" * 3 + b"x", revision=2)
    assert await world.store.write_run(other)
    await _play(world, _player(world))
    told = await _read(world, merchant, run)
    assert told["state"] == "failed"
    assert "begin it anew" in told["reason"]
