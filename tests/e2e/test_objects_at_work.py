"""Objects by the command line, and orders that follow payments through a server's death."""

from pathlib import Path

import pytest
from tests.support import commands
from tests.support.receiving import until
from tests.support.server import OPERATOR_KEY, Api, Json, Server, Tenant

PAYMENTS = 40


def _publish(tenant: Tenant, type_: str, payment: str, minute: int) -> None:
    tenant.publish(
        {"payment_id": payment, "amount": 1050, "currency": "EUR"},
        type=type_,
        family="owngateway",
        object={"type": "payment", "id": payment},
        occurred_at=f"2026-11-21T09:{minute:02}:00Z",
    )


def _orders(tenant: Tenant) -> dict[str, list[str]]:
    """Return what each order was told, oldest first."""
    told: dict[str, list[str]] = {}
    found: list[Json] = list(tenant.api.pages(f"{tenant.path}/events?type=order.*"))
    for event in reversed(found):
        told.setdefault(event["object"]["id"], []).append(event["type"])
    return told


@pytest.mark.shows("E24")
def test_orders_follow_their_payments_through_the_death_of_a_server(server: Server) -> None:
    """Killed between payments and orders, twice: each order hears each word once."""
    tenant = Tenant(Api(server.start().port), families=["foloosi", "owngateway"])
    payments = [f"pay_{number}" for number in range(PAYMENTS)]
    for payment in payments:
        _publish(tenant, "payment_failed", payment, 1)
    until(lambda: _orders(tenant), bool)
    server.kill()
    server.start()
    for payment in payments[::2]:
        _publish(tenant, "payment_succeeded", payment, 2)
    server.kill()
    server.start()

    failed = {payment: ["order.cancel"] for payment in payments}
    corrected = {payment: ["order.cancel", "order.success"] for payment in payments[::2]}
    until(lambda: _orders(tenant), lambda told: told == {**failed, **corrected})


@pytest.mark.shows("E23")
def test_an_object_is_shown_and_found_on_the_command_line(server: Server, tmp_path: Path) -> None:
    """Where is my payment, and who was told: one command."""
    tenant = Tenant(Api(server.start().port))
    life = ("payment_processing", "payment_failed", "payment_succeeded")
    for minute, type_ in enumerate(life, start=1):
        _publish(tenant, type_, "pay/1", minute)
    _publish(tenant, "action_required", "pay/1", 0)
    settings = {
        "PAYHOOKS_API_URL": f"http://127.0.0.1:{server.port}",
        "PAYHOOKS_API_KEY": OPERATOR_KEY,
        "PAYHOOKS_API_MERCHANT": tenant.id,
    }

    shown = commands.run(tmp_path, "objects", "show", "payment", "pay/1", **settings)
    found = commands.run_json(tmp_path, "objects", "find", "pay/1", **settings)
    unknown = commands.run(tmp_path, "objects", "show", "payment", "pay/2", **settings)

    assert shown.returncode == 0, shown.stderr
    rows = [line.split() for line in shown.stdout.splitlines() if line]
    assert ["state", "succeeded"] in rows
    assert ["unified", "payment_succeeded"] in rows
    moves = [row[1:5] for row in rows if len(row) == 6 and row[1].startswith("payment_")]
    assert moves == [
        ["payment_processing", "action_required", "processing", "-"],
        ["payment_failed", "processing", "failed", "-"],
        ["payment_succeeded", "failed", "succeeded", "correction"],
    ]
    assert "late (superseded)" in shown.stdout
    assert [(one["type"], one["id"], one["corrections"]) for one in found] == [
        ("payment", "pay/1", 1)
    ]
    assert unknown.returncode == 3
