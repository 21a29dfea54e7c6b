"""Running ``payhooks dev``: server, worker and test receiver on one loop, and a first event.

The event is published over HTTP with the key that is printed, so that what the next command
does has been done once already, signature checked at the other end.
"""

import asyncio
import json
import os
import secrets
import shlex
import signal
import socket
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Final

import msgspec
import uvicorn
import uvloop

from payhooks import __version__, ids, serving
from payhooks.bootstrap import Process, open_process
from payhooks.catalogue import CATALOGUE
from payhooks.cli import demo as demos
from payhooks.cli.client import Api
from payhooks.cli.demo import Demo
from payhooks.cli.events import send
from payhooks.cli.exits import TimedOutError
from payhooks.cli.output import line, say
from payhooks.clock import SystemClock
from payhooks.errors import UnavailableError
from payhooks.sandbox.receiver import Receiver, Sight
from payhooks.sandbox.samples import Sample, sample_of
from payhooks.settings import PREFIX, Settings, load

HOST: Final = "127.0.0.1"
FIRST_TYPE: Final = "transaction.sale.success"
_FIRST_FAMILY: Final = "merchant-console"
LOG_NAME: Final = "server.log"
ARRIVES_WITHIN_S: Final = 30.0
DRAIN_GRACE_S: Final = 3  # Who presses Ctrl-C in a trial waits for nothing.
_TRIES_S: Final = (0.02,) * 100
_BODY_CHARS_SHOWN: Final = 160
# What may still be set; everything else is what `dev` decides.
_HEEDED: Final = frozenset({"PAYHOOKS_LOG_LEVEL", "PAYHOOKS_TRACES"})


def develop(
    directory: Path, *, port: int, receiver_port: int, started_s: float, as_json: bool
) -> None:
    """Run everything until SIGINT or SIGTERM; data stays in *directory*.

    Raises:
        WrongStateError: It runs there already, or the key to the data is gone.

    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    (directory / ".gitignore").write_text("*\n", encoding="utf-8")
    # Bound before anything else: only so the ports that are printed are surely ours.
    with _bound(port) as api, _bound(receiver_port) as receiver:
        run = _Run(directory, api=api, receiver=receiver, started_s=started_s, as_json=as_json)
        uvloop.run(run.run())


class _Run:
    """One start of everything."""

    def __init__(
        self,
        directory: Path,
        *,
        api: socket.socket,
        receiver: socket.socket,
        started_s: float,
        as_json: bool,
    ) -> None:
        self._directory = directory
        self._api_socket = api
        self._receiver_socket = receiver
        self._url = _url(api)
        self._receiver_url = _url(receiver)
        self._started_s = started_s
        self._as_json = as_json
        self._arrived: set[str] = set()  # printed ids of events, until the first is there
        self._news = asyncio.Event()
        self._ready = False

    async def run(self) -> None:
        """See develop."""
        demo = demos.load(self._directory)
        demos.save(self._directory, demo)  # Before data exists that only its key opens.
        with (self._directory / LOG_NAME).open("ab", buffering=0) as log:
            process = await open_process(self._settings(demo), log_to=log)
            serving.prepare_process()
            receiver, receiving = self._start_receiver(process)
            serving_ = asyncio.create_task(serving.serve(process, self._api_socket))
            try:
                demo = await demos.prepare(
                    process.services.control, demo, receiver_url=f"{self._receiver_url}/ok"
                )
                demo = replace(demo, url=self._url)
                demos.save(self._directory, demo)
                await self._first_event(demo, serving_)
                self._print_start(demo)
                await serving_
            finally:
                if not serving_.done():
                    os.kill(os.getpid(), signal.SIGTERM)
                    await serving_
                receiver.should_exit = True
                await receiving
        say(f"Stopped. Data stays in {self._directory}; delete it to start again.")

    def _settings(self, demo: Demo) -> Settings:
        environment = {name: os.environ[name] for name in _HEEDED if name in os.environ}
        given = {name for name in os.environ if name.startswith(PREFIX)}
        ignored = sorted(name for name in given - _HEEDED if not name.startswith(f"{PREFIX}API_"))
        if ignored:
            say(f"payhooks dev has its own settings and does not read {', '.join(ignored)}.")
        return load(
            {
                **environment,
                "PAYHOOKS_DATABASE_URL": f"sqlite:///{self._directory / demos.STORE_NAME}",
                "PAYHOOKS_SECRET_KEY": demo.secret_key,
                "PAYHOOKS_OPERATOR_KEY": demo.operator_key,
                "PAYHOOKS_LISTEN": self._url.removeprefix("http://"),
                "PAYHOOKS_EGRESS_ALLOW": f"{HOST}/32",
                "PAYHOOKS_DRAIN_GRACE_S": str(DRAIN_GRACE_S),
            }
        )

    def _start_receiver(self, process: Process) -> tuple[uvicorn.Server, asyncio.Task[None]]:
        control = process.services.control
        application = Receiver(
            secrets=lambda: demos.signing_secrets(control),
            saw=self._saw,
            clock=SystemClock(),
            random=Random(secrets.randbits(64)),  # noqa: S311 - decides which requests fail
        )
        server = _Quiet(
            uvicorn.Config(
                application,
                http="httptools",
                loop="none",
                lifespan="off",
                ws="none",
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=1,  # /hang would never end
            )
        )
        return server, asyncio.create_task(server.serve(sockets=[self._receiver_socket]))

    async def _first_event(self, demo: Demo, serving_: asyncio.Task[None]) -> None:
        api = Api(url=self._url, key=demo.api_key, merchant=demo.merchant_id)
        for wait_s in _TRIES_S:
            try:
                await asyncio.to_thread(api.call, "GET", "/healthz")
                break
            except UnavailableError:
                await asyncio.sleep(wait_s)
        accepted = await asyncio.to_thread(_publish_first, api)
        wanted = str(accepted["id"])
        deadline_s = time.monotonic() + ARRIVES_WITHIN_S
        while wanted not in self._arrived and not serving_.done():
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise TimedOutError(
                    f"{wanted} did not arrive in {ARRIVES_WITHIN_S:.0f} s; look into"
                    f" {self._directory / LOG_NAME}"
                )
            try:
                await asyncio.wait_for(self._news.wait(), left_s)
            except TimeoutError:
                continue
            self._news.clear()
        self._ready = True

    def _saw(self, sight: Sight) -> None:
        if not self._ready and sight.verified:
            delivery = ids.from_text(ids.DELIVERY, sight.message_id)
            if delivery is not None:
                event = ids.event_id_of(ids.DeliveryId(delivery))
                self._arrived.add(ids.to_text(ids.EVENT, event))
            self._news.set()
        self._print_sight(sight)

    def _print_start(self, demo: Demo) -> None:
        took_s = time.monotonic() - self._started_s
        command = curl_command(demo)
        if self._as_json:
            facts = {
                "url": self._url,
                "merchant_id": demo.merchant_id,
                "api_key": demo.api_key,
                "receiver": self._receiver_url,
                "seconds_to_first_delivery": round(took_s, 3),
                "console": f"{self._url}/console",
                "username": demos.USERNAME,
                "password": demo.password,
                "code": demos.code_now(demo),
                "totp_seed": demo.totp_seed,
                "next": command,
            }
            line(json.dumps(facts))
            return
        line("")
        line(f"payhooks {__version__}  sandbox  (data in {self._directory})")
        line(f"  API        {self._url}/v1   merchant {demo.merchant_id}")
        line(f"  Key        {demo.api_key}")
        line(f"  Console    {self._url}/console   user {demos.USERNAME}   password {demo.password}")
        line(f"  Code       {demos.code_now(demo)}   another every 30 s; the key for an app is"
             f" {demo.totp_seed}")  # fmt: skip
        line(f"  Receiver   {self._receiver_url}/ok   also /503 /slow /hang /flaky?p=30 /gone"
             " /retry-after?s=5")  # fmt: skip
        line(f"  Log        {self._directory / LOG_NAME}")
        line(f"  From start to first delivered event: {took_s:.1f} s")
        line("")
        line("Next, in another terminal:")
        line("")
        line(command)
        line("")
        line("Below is what the receiver gets; Ctrl-C stops everything.")
        line("")

    def _print_sight(self, sight: Sight) -> None:
        if self._as_json:
            facts = {
                "at": sight.at.isoformat(),
                "path": sight.path,
                "message_id": sight.message_id,
                "event_type": sight.event_type,
                "attempt": sight.attempt,
                "status": sight.status,
                "verified": sight.verified,
                "words": sight.words,
            }
            line(json.dumps(facts))
            return
        at = sight.at.astimezone().strftime("%H:%M:%S")
        answer = "no answer" if sight.status is None else str(sight.status)
        mark = "✓" if sight.verified else "✗"
        name = sight.event_type or sight.message_id or "a request"
        attempt = f"  attempt {sight.attempt}" if sight.attempt not in {"", "1"} else ""
        line(f"{at}  {mark} {sight.words}  {name}  {sight.path} → {answer}{attempt}")
        text = " ".join(sight.body[: 2 * _BODY_CHARS_SHOWN].decode("utf-8", "replace").split())
        shown = text[:_BODY_CHARS_SHOWN]
        line(f"          {shown}{'…' if len(text) > len(shown) else ''}")


class _Quiet(uvicorn.Server):
    """uvicorn without its own signal handling: ``serving`` decides what stops everything."""

    @contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]  # noqa: ANN202 - uvicorn's own
        """Leave signals alone."""
        yield


def curl_command(demo: Demo) -> str:
    """Return a command that publishes an event, with everything in it."""
    sample = _first_sample("1001")
    body = {
        "type": FIRST_TYPE,
        "object": {"type": sample.object_type, "id": sample.object_id},
        "data": sample.data,
    }
    return " \\\n  ".join(
        [
            f"curl {demo.url}/v1/merchants/{demo.merchant_id}/events",
            f"-H 'Authorization: Bearer {demo.api_key}'",
            "-H 'Content-Type: application/json'",
            # Another key at every call, so that every call is another event.
            '-H "Idempotency-Key: sale-$(date +%s%N)"',
            f"-d {shlex.quote(json.dumps(body))}",
        ]
    )


def _publish_first(api: Api) -> dict[str, object]:
    sample = _first_sample(secrets.token_hex(6))
    plain = {"object": {"type": sample.object_type, "id": sample.object_id}}
    return send(api, FIRST_TYPE, {"data": json.dumps(sample.data).encode()}, plain)


def _first_sample(suffix: str) -> Sample:
    """Return the catalogue's example as of a new sale: it fits its schema, also with ``strict``."""
    type_ = CATALOGUE.find(_FIRST_FAMILY, FIRST_TYPE)
    assert type_ is not None
    assert type_.example is not None
    sample = sample_of(FIRST_TYPE, example=msgspec.json.decode(type_.example), suffix=suffix)
    sample.data["key"] = sample.object_id
    return sample


def _bound(port: int) -> socket.socket:
    try:
        return serving.bind(HOST, port, shared=False)
    except OSError:
        free = serving.bind(HOST, 0, shared=False)
        say(f"Port {port} is taken; {free.getsockname()[1]} it is.")
        return free


def _url(bound: socket.socket) -> str:
    return f"http://{HOST}:{bound.getsockname()[1]}"
