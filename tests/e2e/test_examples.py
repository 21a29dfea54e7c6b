"""The examples, each as its own process, told by a real server: what they promise holds."""

import base64
import hmac
import http.client
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.ports import free_port
from tests.support.receiving import until
from tests.support.server import ROOT, Api, Server, Tenant
from tests.support.shipped import example_of

from payhooks.catalogue import CATALOGUE
from payhooks.clock import SystemClock
from payhooks.receiver.samples import body_of, signed

pytestmark = pytest.mark.shows("V56")

EXAMPLES: Final = ROOT / "examples"
SECRET: Final = "whsec_" + base64.b64encode(bytes(range(32))).decode()
_S_MAX: Final = 30.0

Rows = list[tuple[Any, ...]]


class Example:
    """One example at work, and the endpoint that tells it."""

    def __init__(self, tenant: Tenant, port: int, database: Path) -> None:
        self.tenant = tenant
        self.port = port
        self.database = database

    def listens(self) -> bool:
        """Return whether it answers, which is a refusal: nothing here is signed."""
        try:
            return self.post(b"{}", {}) == 401
        except OSError:
            return False

    def post(self, body: bytes, headers: dict[str, str]) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("POST", "/webhooks", body, headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def subscribe(self, events: list[str], dialect: str = "standard") -> None:
        self.tenant.endpoint(
            f"http://127.0.0.1:{self.port}/webhooks", events=events, dialect=dialect, secret=SECRET
        )

    def tell(self, kind: str, data: dict[str, Any], **fields: Any) -> str:  # noqa: ANN401 - JSON
        """Publish an event and return its id when it was delivered."""
        event: str = self.tenant.publish(data, type=kind, **fields)["id"]
        self._until_delivered(event, last=None)
        return event

    def tell_again(self, event: str) -> None:
        """Deliver an event once more, as a sender does that did not hear the answer."""
        [delivery] = self._deliveries(event)
        self.tenant.api.post(f"{self.tenant.path}/deliveries/{delivery['id']}/retry")
        self._until_delivered(event, last=delivery["finished_at"])

    def rows(self, query: str) -> Rows:
        with closing(sqlite3.connect(self.database)) as connection:
            return connection.execute(query).fetchall()

    def _until_delivered(self, event: str, *, last: str | None) -> None:
        def is_done(found: list[dict[str, Any]]) -> bool:
            return [it["status"] for it in found if it["finished_at"] != last] == ["delivered"]

        until(lambda: self._deliveries(event), is_done, s=_S_MAX)

    def _deliveries(self, event: str) -> list[dict[str, Any]]:
        path = f"{self.tenant.path}/events/{event}/deliveries"
        return list(self.tenant.api.get(path)["data"])


@pytest.fixture(scope="module")
def tenant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    folder = tmp_path_factory.mktemp("server")
    server = Server(folder, f"sqlite:///{folder / 'payhooks.db'}")
    try:
        yield Tenant(Api(server.start().port))
    finally:
        server.close()


@pytest.fixture
def begin(tenant: Tenant, tmp_path: Path) -> Iterator[Callable[[str], Example]]:
    """Yield what starts an example."""
    with _examples(tenant, tmp_path) as start:
        yield start


@contextmanager
def _examples(tenant: Tenant, folder: Path) -> Iterator[Callable[[str], Example]]:
    processes: list[subprocess.Popen[bytes]] = []

    def start(name: str) -> Example:
        example = Example(tenant, free_port(), folder / f"{name}.db")
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT / "src"),
            "WEBHOOK_SECRET": SECRET,
            "DATABASE": str(example.database),
            "PORT": str(example.port),
        }
        with (folder / f"{name}.log").open("wb") as log:
            processes.append(
                subprocess.Popen(
                    [sys.executable, str(EXAMPLES / name / "app.py")],
                    env=environment,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )
        until(example.listens, bool, s=_S_MAX)
        return example

    try:
        yield start
    finally:
        for process in processes:
            process.kill()
            process.wait(10)


@pytest.mark.shows("V54")
@pytest.mark.parametrize("name", ["fastapi_receiver", "flask_receiver", "django_receiver"])
def test_a_receiver_keeps_each_event_once(begin: Callable[[str], Example], name: str) -> None:
    """What everybody copies first must do what its README says, with whatever is told first."""
    example = begin(name)
    kind = f"example.{name}"
    example.subscribe([kind])
    event = example.tell(kind, {"id": "transaction_1"})
    example.tell_again(event)
    assert example.rows("SELECT type, data FROM heard") == [(kind, '{"id": "transaction_1"}')]


def test_the_cart_has_as_much_as_the_console(begin: Callable[[str], Example]) -> None:
    """The inventory story: changes come in any order, some twice, and none is lost."""
    cart = begin("shopping_cart")
    cart.subscribe(["product.inventory.*", "transaction.sale.*"], dialect="merchant-console")
    _inventory(cart, "adjusted", on_hand=100, change="+100", at="2030-01-01T00:00:00Z")
    # The later of these two is told first.
    sold = _inventory(cart, "ordered", on_hand=91, change="-3", at="2030-01-01T00:00:20Z")
    _inventory(cart, "ordered", on_hand=94, change="-6", at="2030-01-01T00:00:10Z")
    cart.tell_again(sold)
    _inventory(cart, "adjusted", on_hand=391, change="+300", at="2030-01-01T00:00:30Z")
    # From before the cart knew the product: what it started with has it in it.
    _inventory(cart, "adjusted", on_hand=50, change="+50", at="2029-12-31T00:00:00Z")
    sale = {"type": "transaction", "key": "sale_1", "amount": "5.00", "refnum": 100758}
    cart.tell_again(cart.tell("transaction.sale.success", sale))
    assert cart.rows("SELECT product, on_hand FROM stock") == [("product_1", 391)]
    assert cart.rows("SELECT * FROM paid") == [("sale_1", "5.00")]


def test_the_cart_takes_what_the_catalogue_shows_of_the_console(
    begin: Callable[[str], Example],
) -> None:
    """They are what `payhooks trigger` sends, and the first that anybody tries it with."""
    cart = begin("shopping_cart")
    family = [one for one in CATALOGUE.types if one.family == "merchant-console"]
    kinds = [one.name for one in family if one.name.startswith(("product.", "transaction.sale."))]
    assert {"product.inventory.ordered", "transaction.sale.success"} < set(kinds)
    now = SystemClock().now()
    for kind in kinds:
        body = body_of(
            "merchant-console",
            event_type=kind,
            event_id=kind,
            object_type="transaction",
            data=example_of("merchant-console", kind),
            at=now,
        )
        request = signed("merchant-console", body, SECRET, event_id=kind, now=now)
        assert cart.post(request.body, request.headers) == 204, kind
    assert cart.rows("SELECT product FROM stock") == [("8nf0wz2q5k7xr1c",)]
    assert cart.rows("SELECT * FROM paid") == [("1nftvzx7xtcggm3", "5.00")]


def test_a_sale_that_names_no_key_is_not_noted_as_paid(begin: Callable[[str], Example]) -> None:
    """A row without a sale is money that nobody can find again; a 500 is seen."""
    cart = begin("shopping_cart")
    body = (
        b'{"type":"event","event_triggered":"2030-01-01 00:00:00","event_type":'
        b'"transaction.sale.success","event_body":{"object":{"amount":"5.00"}},"event_id":"e1"}'
    )
    signature = hmac.digest(SECRET.encode(), body, "sha256").hex()
    assert cart.post(body, {"X-Signature": signature}) == 500
    assert cart.rows("SELECT * FROM paid") == []
    assert cart.rows("SELECT * FROM payhooks_seen") == []


def _inventory(cart: Example, what: str, *, on_hand: int, change: str, at: str) -> str:
    data = {"type": "product", "key": "product_1", "locationid": "1", "qtyonhand": on_hand}
    return cart.tell(
        f"product.inventory.{what}", {**data, "qtyonhand_change": change}, occurred_at=at
    )


def test_a_payment_is_paid_back_once(begin: Callable[[str], Example]) -> None:
    """However often it is told, and by whichever event: twice is somebody's money."""
    shop = begin("pay_back")
    shop.subscribe(["payment_failed", "order.cancel"])
    asked = {"required": True, "amount": 6540, "currency": "AED", "reason": "debited"}
    failed = {"payment_id": "pay_1", "pay_back": asked}
    shop.tell_again(shop.tell("payment_failed", failed))
    shop.tell("payment_failed", failed)
    shop.tell("payment_failed", {"payment_id": "pay_2"})
    assert shop.rows("SELECT payment, amount, currency, state FROM refunds") == [
        ("pay_1", 6540, "AED", "due")
    ]
