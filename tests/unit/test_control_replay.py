"""Replays: what is sent again, in which order, how fast, and when it stops."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from tests.support.api_world import OWNER, World, finish

from payhooks.control.context import SYSTEM, audit_entry
from payhooks.control.replay import HELD_S, Replayer
from payhooks.model.attempt import Reason
from payhooks.model.delivery import Trigger
from payhooks.model.replay import ReplayState
from payhooks.ports.controlling import Change, Window


@pytest.fixture
def world() -> World:
    """Return an empty installation."""
    return World()


async def _statuses(world: World, merchant: str) -> list[str]:
    answer = await world.call("GET", f"/v1/merchants/{merchant}/deliveries?limit=100")
    return [delivery["status"] for delivery in answer.json["data"]]


async def _replay(world: World, merchant: str, **members: object) -> Any:  # noqa: ANN401 - JSON
    answer = await world.call("POST", f"/v1/merchants/{merchant}/replays", members)
    assert answer.status == 202, answer.body
    return answer.json


async def _run(world: World, replayer: Replayer, *, seconds: int = 50) -> None:
    for _ in range(seconds):
        await replayer.step()
        world.clock.advance(timedelta(seconds=1))


async def test_a_dry_run_counts_and_sends_nothing(world: World) -> None:
    """Bulk work begins with the question how much it is."""
    merchant = await world.merchant()
    await world.endpoint(merchant)
    for _ in range(3):
        await world.publish(merchant)
    await finish(world, Trigger.GIVE_UP)
    world.clock.advance(timedelta(seconds=1))
    counted = await _replay(world, merchant, include=["failed"], dry_run=True, rate_per_s=2)
    assert counted == {
        "dry_run": True, "matched": 3, "complete": True, "seconds_at_rate": 1.5,
    }  # fmt: skip
    assert await _statuses(world, merchant) == ["failed"] * 3


@pytest.mark.shows("F67")
async def test_a_replay_sends_what_failed_at_its_rate_and_ends(world: World) -> None:
    """Paced, or the receiver that has just come back goes down again."""
    merchant = await world.merchant()
    await world.endpoint(merchant)
    for _ in range(25):
        await world.publish(merchant)
    await finish(world, Trigger.GIVE_UP)
    await world.publish(merchant)
    await finish(world, Trigger.SUCCEED)
    world.clock.advance(timedelta(seconds=1))
    job = await _replay(world, merchant, include=["failed"], rate_per_s=10)
    replayer = Replayer(world.control, owner=OWNER)
    sent = []
    for _ in range(6):
        sent.append(await replayer.step())
        assert await finish(world, Trigger.SUCCEED) == sent[-1]
        world.clock.advance(timedelta(seconds=1))
    assert sent == [1, 10, 10, 4, 0, 0]
    read = await world.call("GET", f"/v1/merchants/{merchant}/replays/{job['id']}")
    assert (read.json["state"], read.json["matched"], read.json["queued"]) == ("done", 25, 25)
    assert await _statuses(world, merchant) == ["delivered"] * 26


async def test_a_slice_may_end_between_two_deliveries_of_an_event(world: World) -> None:
    """The next slice goes on exactly there: nothing is sent twice, nothing is left out."""
    merchant = await world.merchant()
    for _ in range(3):
        await world.endpoint(merchant)
    for _ in range(2):
        await world.publish(merchant)
    await finish(world, Trigger.GIVE_UP)
    world.clock.advance(timedelta(seconds=1))
    job = await _replay(world, merchant, include=["failed", "delivered"], rate_per_s=1)
    replayer = Replayer(world.control, owner=OWNER)
    sent = []
    for _ in range(8):
        sent.append(await replayer.step())
        await finish(world, Trigger.SUCCEED)
        world.clock.advance(timedelta(seconds=1))
    assert sent == [1, 1, 1, 1, 1, 1, 0, 0]
    read = await world.call("GET", f"/v1/merchants/{merchant}/replays/{job['id']}")
    assert (read.json["state"], read.json["queued"]) == ("done", 6)
    assert await _statuses(world, merchant) == ["delivered"] * 6


async def test_what_an_endpoint_missed_while_disabled_is_found_and_sent(world: World) -> None:
    """Missed is the loss that merchants notice last; only history can tell it."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, events=["payment_*"])
    hook = f"/v1/merchants/{merchant}/endpoints/{endpoint['id']}"
    await world.call("POST", f"{hook}/disable")
    missed = [(await world.publish(merchant)).json["id"] for _ in range(2)]
    await world.publish(merchant, type="refund_failed")
    await world.call("POST", f"{hook}/enable")
    await world.publish(merchant)
    await finish(world, Trigger.SUCCEED)
    world.clock.advance(timedelta(seconds=1))
    job = await _replay(world, merchant, include=["missed"], filter={"endpoint_id": endpoint["id"]})
    assert job["matched"] == 2
    await _run(world, Replayer(world.control, owner=OWNER), seconds=3)
    assert await finish(world, Trigger.SUCCEED) == 2
    for event in missed:
        listed = await world.call("GET", f"/v1/merchants/{merchant}/events/{event}/deliveries")
        assert [delivery["status"] for delivery in listed.json["data"]] == ["delivered"]


async def test_a_filter_narrows_by_type_object_and_time(world: World) -> None:
    """A replay of too much is an incident of its own."""
    merchant = await world.merchant()
    await world.endpoint(merchant)
    await world.publish(merchant)
    world.clock.advance(timedelta(hours=1))
    at = world.clock.now().isoformat()
    await world.publish(merchant, object={"type": "payment", "id": "p1"})
    await world.publish(merchant, type="refund_failed", object={"type": "refund", "id": "r1"})
    await finish(world, Trigger.GIVE_UP)
    world.clock.advance(timedelta(seconds=1))
    for filter_, matched in (
        ({}, 3),
        ({"event_types": ["refund_*"]}, 1),
        ({"object_id": "p1"}, 1),
        ({"created_gte": at}, 2),
        ({"created_lt": at}, 1),
    ):
        counted = await _replay(world, merchant, include=["failed"], dry_run=True, filter=filter_)
        assert counted["matched"] == matched, filter_


async def test_what_failed_with_one_reason_is_sent_again_alone(world: World) -> None:
    """A certificate is renewed: what other servers refused is another day's work."""
    merchant = await world.merchant()
    await world.endpoint(merchant)
    failed = {}
    for why in (Reason.TLS, Reason.HTTP_5XX):
        failed[why] = (await world.publish(merchant)).json["id"]
        await finish(world, Trigger.GIVE_UP, why)
    world.clock.advance(timedelta(seconds=1))

    job = await _replay(world, merchant, include=["failed"], filter={"reason": "tls"})
    await _run(world, Replayer(world.control, owner=OWNER), seconds=3)

    assert (job["matched"], job["filter"]["reason"]) == (1, "tls")
    assert await finish(world, Trigger.SUCCEED) == 1
    for why, status in ((Reason.TLS, "delivered"), (Reason.HTTP_5XX, "failed")):
        read = await world.call("GET", f"/v1/merchants/{merchant}/events/{failed[why]}")
        assert read.json["status"] == status


async def test_a_cancelled_replay_takes_back_what_still_waits(world: World) -> None:
    """Who pressed the wrong button must be able to stop it."""
    merchant = await world.merchant()
    await world.endpoint(merchant)
    for _ in range(5):
        await world.publish(merchant)
    await finish(world, Trigger.GIVE_UP)
    world.clock.advance(timedelta(seconds=1))
    job = await _replay(world, merchant, include=["failed"], rate_per_s=2)
    replayer = Replayer(world.control, owner=OWNER)
    await _run(world, replayer, seconds=2)
    target = f"/v1/merchants/{merchant}/replays/{job['id']}/cancel"
    cancelled = await world.call("POST", target)
    assert (cancelled.status, cancelled.json["state"]) == (200, "cancelled")
    assert await _statuses(world, merchant) == ["failed"] * 5
    assert await replayer.step() == 0
    again = await world.call("POST", target)
    assert (again.status, again.json) == (200, cancelled.json)


async def _stopped_half_way(world: World) -> tuple[str, dict[str, Any]]:
    """Return a merchant and its job: whoever cancelled it died before anything was taken back."""
    merchant = await world.merchant()
    await world.endpoint(merchant)
    for _ in range(2):
        await world.publish(merchant)
    await finish(world, Trigger.GIVE_UP)
    world.clock.advance(timedelta(seconds=1))
    made = await _replay(world, merchant, include=["failed"], rate_per_s=2)
    await Replayer(world.control, owner=OWNER).step()
    store = world.control.store
    [tenant] = await store.merchants(Window(limit=1))
    [job] = await store.replays(tenant.id, Window(limit=1))
    stopped = msgspec.structs.replace(
        job, state=ReplayState.CANCELLED, finished_at=world.clock.now()
    )
    entry = audit_entry(
        world.control, SYSTEM, merchant_id=tenant.id, action="replay.cancelled", target=made["id"]
    )
    await store.apply(Change(audit=entry, replay=stopped))
    assert await _statuses(world, merchant) == ["failed", "scheduled"]
    return merchant, made


async def test_a_cancel_that_broke_off_half_way_can_be_repeated(world: World) -> None:
    """The job had stopped when the connection broke; what it had put on its way still waited."""
    merchant, made = await _stopped_half_way(world)
    target = f"/v1/merchants/{merchant}/replays/{made['id']}/cancel"
    assert (await world.call("POST", target)).status == 200
    assert await _statuses(world, merchant) == ["failed", "failed"]


async def test_a_cancel_that_broke_off_half_way_is_finished_by_a_worker(world: World) -> None:
    """The job reads as cancelled, so nobody would; and its endpoint is resumed some day."""
    merchant, made = await _stopped_half_way(world)
    world.clock.advance(timedelta(seconds=HELD_S))
    replayer = Replayer(world.control, owner=OWNER)
    assert await replayer.step() == 0
    assert await _statuses(world, merchant) == ["failed", "failed"]
    job = await world.call("GET", f"/v1/merchants/{merchant}/replays/{made['id']}")
    assert (job.json["state"], job.json["queued"]) == ("cancelled", 1)


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"include": []}, 422),
        ({"include": ["pending"]}, 422),
        ({"include": ["failed"], "rate_per_s": 0}, 422),
        ({"include": ["failed"], "filter": {"event_types": ["a..b"]}}, 422),
        ({"include": ["failed"], "filter": {"endpoint_id": "ep_x"}}, 422),
        ({"include": ["failed"], "filter": {"endpoint_id": "ep_00000000000000000000000000"}}, 404),
        (
            {
                "include": ["failed"],
                "filter": {
                    "created_gte": "2026-02-01T00:00:00Z",
                    "created_lt": "2026-01-01T00:00:00Z",
                },
            },
            422,
        ),
        ({"include": ["failed", "missed"], "filter": {"reason": "tls"}}, 422),
        ({"include": ["failed"], "filter": {"reason": "bad luck"}}, 422),
    ],
)
async def test_a_replay_that_makes_no_sense_is_refused(
    world: World, members: dict[str, object], status: int
) -> None:
    """C12: nothing is sent for a filter that was not understood."""
    merchant = await world.merchant()
    answer = await world.call("POST", f"/v1/merchants/{merchant}/replays", members)
    assert answer.status == status
    assert (await world.call("GET", f"/v1/merchants/{merchant}/replays")).json["data"] == []
