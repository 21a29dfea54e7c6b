"""A dispatcher that stops: nothing is begun, and nothing that was held is forgotten."""

import asyncio
from datetime import timedelta

from tests.support.room import ANSWERS, HANGS, TIMEOUT_S, Room

from payhooks.ids import EndpointId


async def test_draining_gives_back_what_waits_and_lets_what_is_under_way_end() -> None:
    room = Room(slots=2)
    room.offer(HANGS, count=3)
    await room.turn()
    draining = asyncio.create_task(room.dispatcher.drain(grace_s=60))
    await room.turn()
    assert len(room.given_back) == 2
    await room.end()
    await draining
    assert len(room.written) == 1
    assert not room.dispatcher.has_room(EndpointId(ANSWERS))
    assert room.dispatcher.room == 0


async def test_draining_breaks_off_what_does_not_end_in_time() -> None:
    room = Room(slots=2)
    room.offer(HANGS)
    await room.turn()
    room.clock.advance(timedelta(seconds=4))
    await room.dispatcher.drain(grace_s=0.01)
    assert room.written == room.given_back == []
    assert room.broken_off == room.under_way
    assert room.interrupted == [(leased, TIMEOUT_S - 4) for leased in room.under_way]
    assert room.dispatcher.in_flight == 0


async def test_draining_gives_back_what_was_taken_up_and_is_not_sent_yet() -> None:
    """Of a request that nobody made, none may be on record."""
    room = Room(slots=2)
    room.loads = True
    room.offer(ANSWERS)
    await room.turn()
    await room.dispatcher.drain(grace_s=0)
    assert room.broken_off == room.given_back == room.under_way
    assert room.interrupted == []


async def test_an_attempt_that_ends_as_the_grace_does_is_written_down() -> None:
    """A task that is cancelled before its first step does nothing, not even what it ends with."""
    room = Room(slots=2)
    room.offer(ANSWERS)
    await room.turn()
    [leased] = room.under_way
    draining = asyncio.create_task(room.dispatcher.drain(grace_s=0))
    while not draining.cancelling():  # noqa: ASYNC110 - nothing tells of the moment before it ends
        await asyncio.sleep(0)
    room.ends[leased.id]()
    await draining
    assert room.written == [leased]
    assert room.interrupted == []
