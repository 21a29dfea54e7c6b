"""What docs/publisher.md and examples/outbox say is run as it stands there."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.db import connections  # type: ignore[import-untyped] # It ships no types.
from tests.support.outbox import (
    TYPE,
    django_connection,
    driver,
    outbox_database,
    rows_of,
)
from tests.support.outbox_soak import Child, environment_of_children
from tests.support.postgres import cluster
from tests.support.server import ROOT, Api, Server, Tenant

from payhooks.limits import BATCH_EVENTS_MAX, EVENT_BODY_BYTES_MAX, JSON_DEPTH_MAX, KIB
from payhooks.publisher.client import ATTEMPTS_MAX, TIMEOUT_S
from payhooks.publisher.forwarder import POLL_S

PAGE = (ROOT / "docs" / "publisher.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
S_MAX = 20.0


@pytest.fixture
def database(stack: ExitStack, tmp_path: Path) -> Iterator[str]:
    """Yield a PostgreSQL database that Django knows as its default."""
    cluster_url = stack.enter_context(cluster())
    url = stack.enter_context(outbox_database("postgres", tmp_path, lambda: cluster_url))
    _, alias = stack.enter_context(django_connection(url))
    with driver(url) as connection:
        connection.execute("DROP TABLE payhooks_outbox")
        connection.execute("CREATE TABLE orders (id text PRIMARY KEY, total_cents integer)")
        connection.commit()
    before = connections.settings["default"]
    connections.settings["default"] = connections.settings[alias]
    yield url
    connections["default"].close()
    del connections["default"]
    connections.settings["default"] = before


def _until_told(url: str) -> None:
    ticks = threading.Event()
    for _ in range(int(S_MAX / 0.05)):
        if rows_of(url) == 0:
            return
        ticks.wait(0.05)
    raise AssertionError("it was not told")


def test_every_block_of_the_page_runs(
    on_sqlite: Server, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who copies a block must get what the page says, not a puzzle."""
    tenant = Tenant(Api(on_sqlite.port))
    names: dict[str, Any] = {
        "url": f"http://127.0.0.1:{on_sqlite.port}",
        "key": tenant.key,
        "merchant": tenant.id,
        "database": database,
        "__name__": "page",
    }
    for block in BLOCKS:
        exec(compile(block, "docs/publisher.md", "exec"), names)  # noqa: S102 - our own page
        if "Migration" in block:
            _migrate(names["Migration"], names["migrations"])
    _until_told(database)
    names["forwarder"].stop()

    assert names["forwarder"].progress.forwarded == 3
    published = [event["data"]["id"] for event in tenant.api.pages(f"{tenant.path}/events")]
    assert sorted(published) == ["o1", "o2", "o3", "pi_1", "pi_2", "pi_3"]
    assert "Counts(waiting=" in capsys.readouterr().out


def _migrate(migration: Any, migrations: Any) -> None:  # noqa: ANN401 - of Django, which has no types
    [operation] = migration.operations
    assert isinstance(operation, migrations.RunPython)
    with connections["default"].schema_editor() as schema_editor:
        operation.code(None, schema_editor)


def test_the_page_names_the_limits_as_they_are() -> None:
    """A number in a document is a promise."""
    words = " ".join(PAGE.split())
    assert f"asks up to {ATTEMPTS_MAX} times, {TIMEOUT_S:.0f} s each" in words
    assert f"Up to {BATCH_EVENTS_MAX:,} events" in words
    # Around the data: the event, the list of the batch, the batch.
    assert f"{JSON_DEPTH_MAX - 3} levels or {EVENT_BODY_BYTES_MAX // KIB} KB" in words
    assert POLL_S == 1 / 5
    assert "looks five times a second" in words


def test_the_shop_of_the_example_tells_what_it_sells(
    on_sqlite: Server, stack: ExitStack, tmp_path: Path
) -> None:
    """A sale that the database refuses is not told, though its event was written first."""
    tenant = Tenant(Api(on_sqlite.port))
    environment = environment_of_children(tenant.key)
    shop = tmp_path / "shop.db"

    def sell(order: str, total_cents: int) -> int:
        program = str(ROOT / "examples" / "outbox" / "app.py")
        return subprocess.run(
            [sys.executable, program, str(shop), tenant.id, order, str(total_cents)],
            env=environment,
            capture_output=True,
            check=False,
        ).returncode

    assert sell("o1", 1250) == 0
    assert sell("o2", 0) != 0
    url = f"http://127.0.0.1:{on_sqlite.port}"
    forward = ["-m", "payhooks.publisher", "forward", "--database", f"sqlite:///{shop}"]
    forwarder = Child([*forward, "--url", url], environment, tmp_path / "log")
    stack.callback(forwarder.close)
    forwarder.start()
    _until_told(f"sqlite:///{shop}")
    assert forwarder.stop() == 0

    events = list(tenant.api.pages(f"{tenant.path}/events?type={TYPE}"))
    assert [event["data"] for event in events] == [{"id": "o1", "amount": 1250}]
    last = json.loads((tmp_path / "log").read_text("utf-8").splitlines()[-1])
    assert (last["forwarded"], last["refused"], last["trouble"]) == (1, 0, None)
