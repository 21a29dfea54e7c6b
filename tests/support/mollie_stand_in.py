"""A stand-in for Mollie's API on loopback: says of each payment what a test wants said."""

import json
import threading
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from tests.connectors.answered_by_mollie import PAID
from tests.support.bad_input import Reply
from tests.support.hearing_ground import Hearing
from tests.support.providers import connector

_FORM: Final = "application/x-www-form-urlencoded"
_PLACE: Final = "/v2/payments/"
_NOT_THERE: Final = 404
HANGS_UP: Final = 0  # instead of a status
HOLDS: Final = -1  # says nothing until it is told to hang up
_HELD_S_MAX: Final = 15.0
KEY: Final = "test_dHar4XY7LxsDOtmnkVtjNVWXLSlXsM"
# Payments about which it has no answer at first, with what it says instead.
SILENT: Final[Mapping[str, int]] = MappingProxyType(
    {"tr_hung": HANGS_UP, "tr_broken": 500, "tr_busy": 429}
)

Said = tuple[int, Mapping[str, Any]]


class StandIn:
    """What it says, and what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        # By payment, one after the other; the last is said for good.
        self.answers: dict[str, deque[Said]] = {}
        self.let_go = threading.Event()
        self.asked: dict[str, list[tuple[str, str | None]]] = defaultdict(list)

    def says(self, payment: str, *answers: Said) -> None:
        """Say this of a payment from now on."""
        self.answers[payment] = deque(answers)

    def answer(self, payment: str) -> Said:
        """Return what is said of a payment now."""
        left = self.answers.get(payment)
        if left is None:
            return _NOT_THERE, {"status": _NOT_THERE, "title": "Not Found"}
        return left.popleft() if len(left) > 1 else left[0]


@contextmanager
def standing_in() -> Iterator[StandIn]:
    """Yield a stand-in on a free port of loopback."""
    stand_in = StandIn()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            payment = urlsplit(self.path).path.removeprefix(_PLACE)
            stand_in.asked[payment].append((self.path, self.headers["authorization"]))
            status, said = stand_in.answer(payment)
            if status == HOLDS:
                stand_in.let_go.wait(_HELD_S_MAX)
            self.close_connection = status in {HOLDS, HANGS_UP}
            if self.close_connection:
                return
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("content-type", "application/hal+json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - theirs
            """Say nothing."""

    class Listener(ThreadingHTTPServer):
        daemon_threads = True

    with Listener(("127.0.0.1", 0), Handler) as server:
        stand_in.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield stand_in
        finally:
            stand_in.let_go.set()
            server.shutdown()
            thread.join(10)


@dataclass(frozen=True, slots=True)
class Mollie:
    """A connector of Mollie's, and who stands in for its API."""

    on: Hearing
    api: StandIn

    def calls(self, form: bytes) -> Reply:
        """Call as Mollie calls."""
        return self.on.send(self.on.path("mollie"), form, {"content-type": _FORM})

    def says(self, payment: str, *answers: Mapping[str, Any]) -> None:
        """Say this of a payment, one after the other."""
        self.api.says(payment, *[(200, {**said, "id": payment}) for said in answers])


@contextmanager
def mollie_at(on: Hearing) -> Iterator[Mollie]:
    """Yield a connector that has been called for the payments of which nothing is said yet."""
    with standing_in() as api:
        settings = {"secrets": [], "credential": KEY, "options": {"api_url": api.url}}
        connector(on.tenant, "mollie", **settings)
        found = Mollie(on, api)
        for payment, status in SILENT.items():
            api.says(payment, (status, {}), (200, {**PAID, "id": payment}))
            assert found.calls(f"id={payment}".encode()).status == 200
        yield found
