"""A merchant with a day behind it: two webhooks, a server of its own, and an outage of the ledger.

Deliveries go out through a proxy of ours that answers in the place of every host, so that the
merchant has the URLs that merchants have. The day is lived before anybody signs in: the process
believes what a file says about the time, and the file says it is yesterday.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Final

from tests.support.certificates import make_authority, server_context
from tests.support.receiving import until
from tests.support.server import Api, Server, sqlite_url
from tests.support.skewed_server import CLOCK_VARIABLE, COMMAND

HOST: Final = "harbour.example"
ORDERS: Final = "/orders"
LEDGER: Final = "/ledger"
STOCK: Final = "/stock"
SALE: Final = "transaction.sale.success"
_HOUR_S: Final = 3_600
# Sales in each hour up to this one: quiet at night, most at noon.
_SALES: Final = (1, 1, 1, 0, 1, 1, 2, 3, 4, 3, 3, 4, 5, 4, 2, 2, 2, 3, 3, 4, 2, 2)
_OUTAGE_S: Final = 1_500  # ago
# One more try, so that both fail for good before the breaker lets the webhook rest.
_RETRIES_S: Final = [60]
_RETRIED_S: Final = 80  # after the first try, at the latest
_LOST: Final = 2
_WAIT_S: Final = 20.0


class Shop(ThreadingHTTPServer):
    """The merchant's server, behind a proxy that reaches nothing else."""

    daemon_threads = True
    ledger_is_down = False

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context
        super().__init__(("127.0.0.1", 0), _Tunnel)


class _Tunnel(BaseHTTPRequestHandler):
    server: Shop
    protocol_version = "HTTP/1.1"

    def do_CONNECT(self) -> None:
        """Be the host that was asked for."""
        self.send_response_only(200)
        self.end_headers()
        self.request = self.server.context.wrap_socket(self.request, server_side=True)
        self.setup()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        down = self.server.ledger_is_down and self.path == LEDGER
        body = b'{"error": "the ledger is closed for maintenance"}' if down else b'{"stored": true}'
        self.send_response(503 if down else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def finish(self) -> None:
        """Close what the tunnel was put into as well."""
        super().finish()
        self.request.close()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""


class Cafe:
    """The served installation, seen by the merchant's own systems."""

    def __init__(self, server: Server, shop: Shop, clock: Path) -> None:
        self.shop = shop
        self.url = f"http://127.0.0.1:{server.port}"
        self._clock = clock
        self._api = Api(server.port)
        self._sold = 0
        said = {
            "name": "Harbour Coffee",
            "mode": "sandbox",
            "families": ["merchant-console"],
            "provider_ids": {"merch_key": "7qwnw4j2kmqvrb3"},
        }
        self._path = f"/v1/merchants/{self._api.post('/v1/merchants', said)['id']}"

    def invite(self, email: str, role: str) -> str:
        """Return the link that somebody was sent."""
        said = {"email": email, "role": role}
        link: str = self._api.post(f"{self._path}/invitations", said)["url"]
        return link

    def live_a_day(self) -> None:
        """Sell, hour by hour, and lose the ledger shortly before now."""
        self._webhook("Web orders", ORDERS, ["transaction.*"])
        self._webhook("Ledger", LEDGER, ["transaction.sale.*"], retry_policy=_RETRIES_S)
        for hours_ago, sales in zip(range(len(_SALES), 0, -1), _SALES, strict=True):
            self._clock_is(-hours_ago * _HOUR_S)
            for _ in range(sales):
                self._sell()
            self._until_there_are(0, "scheduled")
            self._until_there_are(0, "sending")
        self.shop.ledger_is_down = True
        self._clock_is(-_OUTAGE_S)
        for _ in range(_LOST):
            self._sell()
        self._until_there_are(_LOST, "scheduled", attempts=1)
        self._clock_is(_RETRIED_S - _OUTAGE_S)
        self._until_there_are(_LOST, "failed", attempts=2)
        self._clock_is(0)

    def relabel(self, label: str, to: str) -> None:
        """Change a webhook behind the back of whoever edits it."""
        found = self._api.get(f"{self._path}/endpoints")["data"]
        [place] = [f"{self._path}/endpoints/{one['id']}" for one in found if one["label"] == label]
        self._api.call("PATCH", place, {"label": to})

    def _sell(self) -> None:
        self._sold += 1
        key = f"{4_711 + self._sold}nftvzx7xtcg"
        amount = f"{self._sold % 9 + 3}.40"
        data = {
            "type": "transaction",
            "key": key,
            "amount_detail": {"amount": amount},
            "authcode": "538228",
        }
        body = {
            "type": SALE,
            "data": data,
            "object": {"type": "transaction", "id": key},
        }
        self._api.post(f"{self._path}/events", body)

    def _until_there_are(self, count: int, status: str, *, attempts: int = 0) -> None:
        path = f"{self._path}/deliveries?status={status}&limit=100"

        def found() -> list[int]:
            return [one["attempts_made"] for one in self._api.get(path)["data"]]

        until(found, lambda made: made == [attempts] * count, s=_WAIT_S)

    def _webhook(self, label: str, path: str, events: list[str], **members: object) -> None:
        said = {
            "label": label,
            "url": f"https://{HOST}{path}",
            "events": events,
            "dialect": "merchant-console",
            "signature": {"type": "signature_key"},
            **members,
        }
        self._api.post(f"{self._path}/endpoints", said)

    def _clock_is(self, ahead_s: int) -> None:
        # In one step, as nobody may read half a number.
        new = self._clock.with_suffix(".new")
        new.write_text(str(ahead_s), "ascii")
        new.rename(self._clock)


@contextmanager
def cafe(folder: Path) -> Iterator[Cafe]:
    """Yield the merchant, now."""
    authority = make_authority()
    clock = folder / "ahead_s"
    clock.write_text(str(-24 * _HOUR_S), "ascii")
    with Shop(server_context(folder, authority, host=HOST)) as shop, sqlite_url(folder) as url:
        thread = Thread(target=shop.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        environment = {
            CLOCK_VARIABLE: str(clock),
            "PAYHOOKS_EGRESS_PROXY": f"http://127.0.0.1:{shop.server_port}",
            "PAYHOOKS_EGRESS_CA_BUNDLE": authority.bundle(folder),
        }
        server = Server(folder, url, command=COMMAND, environment=environment)
        try:
            made = Cafe(server.start(), shop, clock)
            made.live_a_day()
            yield made
        finally:
            server.close()
            shop.shutdown()
            thread.join()
