"""Whoever waits for the end of a request hears of it, whatever happens to others that end then."""

import asyncio
import time
from collections.abc import Callable

from tests.support.raw_server import Connection, open_transport, post, raw_server

from payhooks.model.attempt import Outcome, Silence
from payhooks.ports.transport import OutboundRequest
from payhooks.testing import QuietTelemetry

DEADLINE_S = 1.0  # long enough for every request to have arrived, on a busy machine too


class Hanging:
    """A receiver that answers nobody, and knows how many have asked."""

    def __init__(self) -> None:
        self._asked = asyncio.Semaphore(0)

    async def serve(self, connection: Connection) -> None:
        await connection.read_request()
        self._asked.release()
        await connection.wait_until_closed()

    async def asked(self, times: int) -> None:
        for _ in range(times):
            await asyncio.wait_for(self._asked.acquire(), 5)


def soon_over(port: int) -> OutboundRequest:
    return post(f"http://127.0.0.1:{port}/", deadline_s=DEADLINE_S)


def listener() -> tuple["asyncio.Future[Outcome]", Callable[[Outcome], None]]:
    heard: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    return heard, heard.set_result


def keep_the_loop_busy() -> None:
    """Keep it from its timers, so that all that are due by then are so in one turn."""
    until_s = time.monotonic() + 1.5 * DEADLINE_S
    while time.monotonic() < until_s:
        pass


async def heard_by_all(heard: list["asyncio.Future[Outcome]"]) -> bool:
    outcomes = await asyncio.wait_for(asyncio.gather(*heard), 5)
    return all(isinstance(outcome, Silence) for outcome in outcomes)


async def test_who_raises_when_told_keeps_no_end_from_others() -> None:
    """Their slots would be taken for ever, and a process that stops would wait for them."""

    def raises(_outcome: Outcome) -> None:
        raise ZeroDivisionError

    telemetry = QuietTelemetry()
    receiver = Hanging()
    async with (
        raw_server(receiver.serve) as server,
        open_transport(telemetry=telemetry) as transport,
    ):
        listeners = [listener() for _ in range(6)]
        for at, (_, tell) in enumerate(listeners):
            if at in (0, 3):
                transport.begin(soon_over(server.port), raises)
            transport.begin(soon_over(server.port), tell)
        await receiver.asked(times=8)
        keep_the_loop_busy()
        assert await heard_by_all([heard for heard, _ in listeners])
    assert [(where, type(error)) for where, error in telemetry.bugs] == [
        ("transport", ZeroDivisionError)
    ] * 2


async def test_a_task_that_is_cancelled_as_its_request_ends_is_no_bug() -> None:
    """A process that stops cancels whom it waits for while answers come in."""
    telemetry = QuietTelemetry()
    receiver = Hanging()
    async with (
        raw_server(receiver.serve) as server,
        open_transport(telemetry=telemetry) as transport,
    ):
        asking = asyncio.ensure_future(transport.send(soon_over(server.port)))
        await asyncio.sleep(0)
        listeners = [listener() for _ in range(5)]
        for _, tell in listeners:
            transport.begin(soon_over(server.port), tell)
        await receiver.asked(times=6)
        asyncio.get_running_loop().call_later(0, asking.cancel)
        keep_the_loop_busy()
        assert await heard_by_all([heard for heard, _ in listeners])
    assert asking.cancelled()
    assert telemetry.bugs == []


async def test_a_task_that_is_cancelled_as_its_request_ends_breaks_off_no_other() -> None:
    """By then another request may be on its way with what carried the first."""
    receiver = Hanging()
    async with raw_server(receiver.serve) as server, open_transport() as transport:
        asking = asyncio.ensure_future(transport.send(soon_over(server.port)))
        await receiver.asked(times=1)
        heard, tell = listener()
        loop = asyncio.get_running_loop()
        loop.call_later(0, asking.cancel)
        loop.call_later(1.2 * DEADLINE_S, transport.begin, soon_over(server.port), tell)
        keep_the_loop_busy()
        assert await heard_by_all([heard])
    assert asking.cancelled()
