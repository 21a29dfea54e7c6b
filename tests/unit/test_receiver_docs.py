"""docs/receiver.md: its code runs, and what it lists is what there is."""

import base64
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.support.server import ROOT

from payhooks.clock import SystemClock
from payhooks.receiver import Code, Event
from payhooks.receiver.dialects import DIALECTS
from payhooks.receiver.samples import body_of, signed

PAGE = (ROOT / "docs" / "receiver.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
AT = datetime(2030, 1, 1, tzinfo=UTC)


def test_the_code_on_the_page_runs(tmp_path: Path) -> None:
    """It is what people copy."""
    data = {"payment_id": "pay_1"}
    body = body_of(
        "standard", event_type="a.b", event_id="evt_1", object_type="payment", data=data, at=AT
    )
    request = signed("standard", body, SECRET, event_id="evt_1", now=SystemClock().now())
    event = Event(
        id="evt_1", type="a.b", timestamp=AT, data=data, raw=body, attempt=1, ordered_at=AT
    )
    names: dict[str, Any] = {
        "secret": SECRET,
        "body": request.body,
        "headers": request.headers,
        "database": tmp_path / "shop.db",
        "event_of_payment": event,
        "stored_at": datetime(2029, 1, 1, tzinfo=UTC),
    }
    assert len(BLOCKS) >= 7
    for block in BLOCKS:
        exec(compile(block, "docs/receiver.md", "exec"), names)  # noqa: S102 - our own page
    assert names["event"].object_id == "1nftvzx7xtcggm3"


def test_every_code_and_every_dialect_is_on_the_page() -> None:
    """A code that cannot be looked up tells nobody what to do."""
    assert [code for code in Code if f"`{code}`" not in PAGE] == []
    assert [name for name in DIALECTS if f"`{name}`" not in PAGE] == []


def test_every_fixture_is_on_the_page() -> None:
    plugin = (ROOT / "src/payhooks/receiver/pytest_plugin.py").read_text(encoding="utf-8")
    fixtures = re.findall(r"^@pytest\.fixture\ndef (\w+)", plugin, re.MULTILINE)
    assert len(fixtures) == 5
    assert [name for name in fixtures if f"| `{name}" not in PAGE] == []


def test_dialects_that_sign_no_time_are_named_so() -> None:
    """Whoever trusts in a tolerance that is not there can be told old things as new."""
    for name, dialect in DIALECTS.items():
        [row] = [
            line for line in PAGE.splitlines() if line.startswith("| `") and f"`{name}`" in line
        ]
        assert row.endswith("| yes |" if dialect.way.signs_time else "| no |"), name
