"""``payhooks trigger`` against a real server: what a developer sees of a life that is played."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.commands import run, run_json, running
from tests.support.receiving import Receiving, until
from tests.support.server import Api, Server, Tenant, sqlite_url

SCENARIO = "card-payment-3ds"


@pytest.fixture(scope="module")
def receiving() -> Iterator[Receiving]:
    receiving = Receiving()
    yield receiving
    receiving.close()


@pytest.fixture(scope="module")
def tenant(tmp_path_factory: pytest.TempPathFactory, receiving: Receiving) -> Iterator[Tenant]:
    """Yield a merchant with one webhook for payments, on a server of its own."""
    folder = tmp_path_factory.mktemp("trigger")
    with sqlite_url(folder) as url:
        server = Server(folder / "server", url)
        tenant = Tenant(Api(server.start().port))
        tenant.endpoint(receiving.url("/ok"), events=["payment_intent.*"], ordering="object")
        receiving.receiver.secrets.update(tenant.secrets)
        yield tenant
        server.close()


def _settings(tenant: Tenant) -> dict[str, str]:
    return {
        "PAYHOOKS_API_URL": f"http://127.0.0.1:{tenant.api.port}",
        "PAYHOOKS_API_KEY": tenant.api.key,
        "PAYHOOKS_API_MERCHANT": tenant.id,
    }


@pytest.mark.shows("E19")
def test_each_step_is_told_and_what_came_of_it(tenant: Tenant, tmp_path: Path) -> None:
    """In order, and with the answer of each webhook."""
    said = run(tmp_path, "trigger", SCENARIO, "--set", "amount=80.00", **_settings(tenant))
    assert said.returncode == 0, said.stderr
    told = run_json(tmp_path, "trigger", SCENARIO, "--seed", "7", **_settings(tenant))
    types = [event["type"] for event in told["events"]]
    lines = said.stdout.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("payment_intent.")] == types
    assert sum(line.startswith("✓") and "delivered  200" in line for line in lines) == len(types)
    assert lines[-1].endswith(f"finished  {len(types)} of {len(types)} events")
    assert all(event["deliveries"][0]["status"] == "delivered" for event in told["events"])


@pytest.mark.shows("E19")
def test_a_second_time_and_out_of_order(
    tenant: Tenant, receiving: Receiving, tmp_path: Path
) -> None:
    """What a receiver must stand: each message twice, by one id, and some before their turn."""
    seen = len(receiving.received)
    options = ("--disorder", "100%", "--duplicate", "100%", "--seed", "3")
    told = run_json(tmp_path, "trigger", SCENARIO, *options, **_settings(tenant))
    count = len(told["events"])
    assert (told["state"], told["sent_again"]) == ("finished", count)
    came = receiving.until(seen + 2 * count)[seen:]
    ids = [one.message_id for one in came]
    assert {ids.count(id_) for id_ in ids} == {2}
    assert len(set(ids)) == count
    published = sorted(told["events"], key=lambda event: str(event["id"]))
    assert published != told["events"]


@pytest.mark.shows("E19")
def test_ctrl_c_stops_the_run(tenant: Tenant, tmp_path: Path) -> None:
    """Whoever walks away does not leave a play going on for hours."""
    with running(
        tmp_path, "trigger", "auto-capture", "--speed", "1d=60s", **_settings(tenant)
    ) as watching:
        watching.line_with("delivered  200")
        assert watching.stop() == 128 + signal.SIGINT
    path = f"{tenant.path}/sandbox/runs?limit=1"
    [last] = until(lambda: tenant.api.get(path)["data"], lambda runs: runs[0]["state"] != "playing")
    assert last["state"] == "stopped"
    assert 0 < last["published"] < last["steps"]


@pytest.mark.shows("E19")
def test_the_scenarios_are_listed(tenant: Tenant, tmp_path: Path) -> None:
    listed = run(tmp_path, "trigger", "--list", **_settings(tenant))
    assert listed.returncode == 0
    [line] = [line for line in listed.stdout.splitlines() if line.startswith(f"{SCENARIO} ")]
    assert "owlpay" in line


@pytest.mark.shows("E19")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["card-payment"], SCENARIO, id="near a scenario"),
        pytest.param(["payment_intent.capture"], "payment_intent.captured", id="near an event"),
        pytest.param([SCENARIO, "--set", "amuont=1"], "amount, currency", id="variable"),
        pytest.param([SCENARIO, "--speed", "fast"], "1d=1s", id="speed"),
        pytest.param([SCENARIO, "--disorder", "much"], "Write it as 30%", id="percent"),
    ],
)
def test_what_cannot_be_played_is_refused_with_what_can(
    tenant: Tenant, tmp_path: Path, arguments: list[str], words: str
) -> None:
    """A typing mistake is the usual reason."""
    refused = run(tmp_path, "trigger", *arguments, **_settings(tenant))
    assert refused.returncode == 2
    assert words in refused.stderr


@pytest.mark.shows("E19")
def test_an_event_that_is_refused_is_not_put_down_to_the_webhooks(
    tenant: Tenant, tmp_path: Path
) -> None:
    """Whoever is told to make a webhook looks in the wrong place."""
    strict = Tenant(tenant.api, type_check="strict")
    settings = {**_settings(tenant), "PAYHOOKS_API_MERCHANT": strict.id}
    arguments = ("trigger", "transaction.sale.success")
    heard_by_none = run(tmp_path, *arguments, **settings)
    assert "No endpoint has selected any" in heard_by_none.stderr
    refused = run(tmp_path, *arguments, "--set", "type=3", **settings)
    assert refused.returncode == 1
    assert "No endpoint has selected any" not in refused.stderr


@pytest.mark.shows("E19")
def test_what_is_still_open_when_the_watch_ends_is_told(
    tenant: Tenant, receiving: Receiving, tmp_path: Path
) -> None:
    """Without a word it would look as if the webhook had heard."""
    slow = Tenant(tenant.api)
    slow.endpoint(receiving.url("/hang"), events=["dispute_opened"])
    settings = {**_settings(tenant), "PAYHOOKS_API_MERCHANT": slow.id}
    said = run(tmp_path, "trigger", "dispute_opened", "--wait-s", "0", **settings)
    assert said.returncode == 0
    assert said.stdout.endswith("finished  1 of 1 event\n")
    assert "Not tried yet after 0 s: 1 delivery" in said.stderr


def test_a_replay_says_which_kinds_it_would_send_again(tenant: Tenant, tmp_path: Path) -> None:
    """Where none is named, not everything is meant."""
    counting = ("replay", "create", "--dry-run")
    said = run(tmp_path, *counting, **_settings(tenant)).stderr
    assert said.startswith("Matching (failed): 0 deliveries; at 100/s ")
    kinds = ("--include", "missed", "--include", "cancelled")
    said = run(tmp_path, *counting, *kinds, **_settings(tenant)).stderr
    assert said.startswith("Matching (missed or cancelled): 0 deliveries; at 100/s ")


@pytest.mark.shows("E20")
def test_an_inbox_shows_what_a_webhook_sends_and_that_it_is_signed(tenant: Tenant) -> None:
    """The way a developer sees a delivery without having a server."""
    inbox = tenant.api.post(f"{tenant.path}/sandbox/inboxes")
    endpoint = tenant.endpoint(inbox["url"], events=["dispute_opened"])
    tenant.api.post(f"{tenant.path}/sandbox/runs", {"event": "dispute_opened"})
    path = f"{tenant.path}/sandbox/inboxes/{inbox['id']}/requests"
    [heard] = until(lambda: tenant.api.get(path)["data"], bool)
    assert heard["signature"]["verdict"] == "verified", heard["signature"]
    assert heard["signature"]["endpoint_id"] == endpoint
    assert '"type":"dispute_opened"' in heard["body"]
