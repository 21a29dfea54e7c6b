"""What others write, frame and leave behind, in a real browser."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from playwright.sync_api import expect
from tests.support.chromium import PASSWORD, Chromium, Installation
from tests.support.console_pages import furnish, templates
from tests.support.server import Api

# It says so where it runs, whatever it is taken for: markup, an attribute, a script, a template.
_RUNS = "window.pwned=1"
EVIL = (
    f"</script><script>{_RUNS}</script>"
    f"\"'><img src=x onerror={_RUNS}><svg onload={_RUNS}>"
    f"<a href=javascript:{_RUNS}>a</a>{{{{7*7}}}}{{%x%}}${{7*7}}"
)
_RUN = "window.pwned || document.querySelector('main img, main svg[onload], [onerror]')"
_WAIT_S = 20.0


class _Answers(BaseHTTPRequestHandler):
    """A merchant's server that was taken over; also a page with a frame, for GET."""

    framed = ""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._say(500, EVIL, {"x-evil": EVIL})

    def do_GET(self) -> None:
        self._say(200, f'<h1>theirs</h1><iframe src="{self.framed}"></iframe>', {})

    def _say(self, status: int, text: str, headers: Mapping[str, str]) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""


@contextmanager
def theirs(framed: str = "") -> Iterator[str]:
    """Yield the address of somebody else's server."""
    handler = type("Handler", (_Answers,), {"framed": framed})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def hostile(installation: Installation, address: str) -> dict[str, str]:
    """Write markup wherever a merchant, a publisher or a server can, and return the ids."""
    ids = dict(furnish(installation, label=EVIL[:80], note=EVIL))
    api, at = Api(installation.server.port), installation.merchant_path
    said = {
        "label": EVIL[-80:],
        "url": f"{address}/%3Cscript%3E?a=%22onload%3D",
        "events": ["ach.*"],
        "retry_policy": [],
        "headers": {"X-Note": EVIL[:200]},
        "authentication": {"type": "basic", "username": "<b>oms</b>", "password": "a password"},
    }
    ids["endpoint_id"] = api.post(f"{at}/endpoints", said)["id"]
    event = {
        "type": "ach.failed",
        "data": {EVIL: EVIL},
        "object": {"type": "transaction", "id": EVIL[:100]},
        "metadata": {"note": EVIL},
    }
    ids["event_id"] = api.post(f"{at}/events", event)["id"]
    deadline_s = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline_s:
        [found] = api.get(f"{at}/events/{ids['event_id']}/deliveries")["data"]
        if found["status"] == "failed":
            ids["delivery_id"] = found["id"]
            return ids
        time.sleep(0.05)
    raise AssertionError(json.dumps(found))


@pytest.mark.shows("W1")
def test_nothing_that_others_wrote_runs_on_any_page(
    chromium: Chromium, installation: Installation
) -> None:
    """On all pages that are served: in lists, in details, in charts' words, in what is copied."""
    with theirs() as address:
        ids = hostile(installation, address)
    window = chromium.signed_in()
    told = 0
    for template, is_open in templates().items():
        if not is_open:
            page = window.open(template.format_map(ids))
            assert not page.evaluate(_RUN), template
            told += "onerror=" in page.inner_text("body")
            assert "49" not in page.title()
    assert told >= 6, "the words were on none of the pages"
    assert window.complaints == []


@pytest.mark.shows("W3")
def test_the_console_is_in_nobodys_frame(chromium: Chromium, installation: Installation) -> None:
    """Whoever cannot see what they click on clicks on what an attacker wants."""
    with theirs(f"{installation.url}/console/sign-in") as address:
        window = chromium.signed_in()
        window.page.goto(address)
        expect(window.page.get_by_role("heading", name="theirs")).to_be_visible()
        [frame] = [one for one in window.page.frames if one.parent_frame is not None]
        assert frame.locator("#name").count() == 0
        assert "Payhooks" not in frame.content()
    assert any("frame-ancestors" in complaint for complaint in window.complaints)


@pytest.mark.shows("W15")
def test_after_signing_out_the_way_back_shows_nothing(
    chromium: Chromium, installation: Installation
) -> None:
    """With scripts a browser would keep whole pages alive behind the back button."""
    person = installation.people["walker"]
    page = chromium.at().open("/console/settings/webhooks")
    page.fill("#name", person.username)
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.fill("#second_factor", person.recovery_code())
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Webhooks", level=1)).to_be_visible()
    page.get_by_role("link", name="Add Webhook").first.click()
    dialog = page.get_by_role("dialog", name="Add Webhook")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(0)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    for _ in range(3):
        page.go_back()
        expect(page.locator("#password")).to_be_visible()
        assert "Add Webhook" not in page.inner_text("body")
