"""A serving process that kills itself at a named point: the product itself has no such hooks.

    PAYHOOKS_TEST_KILL=settle.before@3 python -m tests.support.failing_server

wraps store and transport of a composed process, and dies by SIGKILL when the point is reached
the third time; with PAYHOOKS_TEST_ARMED only what happens while that file is there counts, so
that a test may furnish the process first. The points are where a write or a request is about to
happen or has just happened; nothing between them changes anything that outlives the process.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

import uvloop

from payhooks import serving
from payhooks.api import Application, Services
from payhooks.api.asgi import App, Message, Receive, Scope, Send
from payhooks.bootstrap import Process, open_process
from payhooks.catalogue.registry import PAYHOOKS
from payhooks.model.attempt import Outcome
from payhooks.ports.accepting import Acceptance, Arrival
from payhooks.ports.transport import OutboundRequest, UnderWay
from payhooks.settings import load

Given = ParamSpec("Given")
Result = TypeVar("Result")

KILL_VARIABLE: Final = "PAYHOOKS_TEST_KILL"
ARMED_VARIABLE: Final = "PAYHOOKS_TEST_ARMED"
# A body with this in it reaches send.poisoned, before it is sent.
POISON: Final = b"poison of this process"
POINTS: Final = (
    "accept.before",
    "accept.after",
    "answer.half",
    "send.poisoned",
    "send.before",
    "send.after",
    "settle.before",
    "settle.after",
    "receive.before",
    "receive.after",
)


class Killer:
    """Counts how often its point was reached."""

    def __init__(self, words: str, armed: Path | None) -> None:
        self.point, _, times = words.partition("@")
        self._armed = armed
        self._left = int(times or 1)
        assert self.point in POINTS, f"{self.point} is none of {POINTS}"

    def reach(self, point: str) -> None:
        """Die, if this is the time."""
        if point != self.point or not (self._armed is None or self._armed.exists()):
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(
        self, name: str, call: Callable[Given, Awaitable[Result]]
    ) -> Callable[Given, Awaitable[Result]]:
        """Return *call* with a point on each side."""

        async def wrapped(*args: Given.args, **named: Given.kwargs) -> Result:
            self.reach(f"{name}.before")
            result = await call(*args, **named)
            self.reach(f"{name}.after")
            return result

        return wrapped


def arm(process: Process, killer: Killer) -> None:
    """Put the points around what the process writes and sends."""
    # On the instances, because everybody who uses them has them already.
    store = process.store
    assert process.sending is not None
    for name in ("settle", "receive"):
        setattr(store, name, killer.around(name, getattr(store, name)))
    accept = store.accept
    deadly = killer.around("accept", accept)

    def accept_wrapped(arrivals: Sequence[Arrival], *, owner: int) -> Awaitable[list[Acceptance]]:
        # What is announced of changes may be published once more at any time: nobody waits for it.
        ours = all(arrival.event.family == PAYHOOKS for arrival in arrivals)
        return (accept if ours else deadly)(arrivals, owner=owner)

    setattr(store, "accept", accept_wrapped)  # noqa: B010 - see above
    transport = process.transport
    begin = transport.begin

    def begin_wrapped(request: OutboundRequest, done: Callable[[Outcome], None]) -> UnderWay | None:
        def ended(outcome: Outcome) -> None:
            killer.reach("send.after")
            done(outcome)

        if POISON in request.body:
            killer.reach("send.poisoned")
        killer.reach("send.before")
        return begin(request, ended)

    setattr(transport, "begin", begin_wrapped)  # noqa: B010 - see above


def half_answers(app: App, killer: Killer) -> App:
    """Return *app*, dying after the head of an answer 202 has left."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.start" and message["status"] == 202:
                # The head is on its way; let the loop write it.
                for _ in range(3):
                    await asyncio.sleep(0)
                killer.reach("answer.half")

        await app(scope, receive, sending)

    return wrapped


async def _serve() -> None:
    armed = os.environ.get(ARMED_VARIABLE)
    killer = Killer(os.environ[KILL_VARIABLE], None if armed is None else Path(armed))
    settings = load(os.environ)
    process = await open_process(settings)
    arm(process, killer)
    make = getattr(serving, "create_application")  # noqa: B009 - it is there, but not to export

    def make_killing(services: Services) -> Application:
        # Nothing goes past the application: what does is answered in one piece.
        return Application(app=half_answers(make(services).app, killer), plain=None)

    # The one seam between server and application.
    setattr(  # noqa: B010 - a module is no class to be replaced by another
        serving, "create_application", make_killing
    )
    host, port = settings.host_and_port
    with serving.bind(host, port, shared=True) as listener:
        await serving.serve(process, listener)


if __name__ == "__main__":
    serving.prepare_process()
    uvloop.run(_serve())
