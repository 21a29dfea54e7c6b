"""The pytest plugin: what it signs is real, what it spoils is noticed."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.server import ROOT

from payhooks.receiver import Event, Verifier
from payhooks.receiver.dialects import DIALECTS
from payhooks.receiver.pytest_plugin import (
    MakeEvent,
    PostWebhook,
    SignedRequest,
    Tamper,
    assert_idempotent,
    make_event,
    post_webhook,
    signed_request,
    webhook_secret,
)

__all__ = ["assert_idempotent", "make_event", "post_webhook", "signed_request", "webhook_secret"]

pytestmark = pytest.mark.shows("V55")


def test_pytest_finds_the_fixtures_where_payhooks_is_installed(tmp_path: Path) -> None:
    """Nobody should have to name the plugin; whoever does gets an error of pytest's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    [(name, module)] = project["entry-points"]["pytest11"].items()
    about = tmp_path / "payhooks-0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: payhooks\nVersion: 0\n")
    (about / "entry_points.txt").write_text(f"[pytest11]\n{name} = {module}\n")
    (tmp_path / "test_a.py").write_text(
        "def test_a(make_event, signed_request):\n"
        "    assert signed_request(make_event('a.b')).body\n"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter, our own words
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", str(tmp_path)],
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT / 'src'}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout


def test_posts_through_starlettes_client(make_event: MakeEvent, post_webhook: PostWebhook) -> None:
    """By its interface, which is that of several HTTP clients."""

    class Client:
        def post(self, url: str, *, content: bytes, headers: dict[str, str]) -> object:
            return url, json.loads(content)["type"], headers["content-type"]

    answer = post_webhook(Client(), "/hooks", make_event("a"))
    assert answer == ("/hooks", "a", "application/json")


def test_finds_an_application_that_does_the_work_twice(
    make_event: MakeEvent,
    assert_idempotent: Callable[[Callable[[], object], Callable[[], object]], None],
) -> None:
    """The commonest bug of receivers, and the one that costs money."""
    heard: list[Event] = []
    event = make_event("payment_succeeded")
    with pytest.raises(AssertionError, match="again"):
        assert_idempotent(lambda: heard.append(event), lambda: len(heard))
    ids: set[str] = set()
    assert_idempotent(lambda: ids.add(event.id), lambda: len(ids))


def test_says_so_where_nothing_is_delivered(
    assert_idempotent: Callable[[Callable[[], object], Callable[[], object]], None],
) -> None:
    """Asynchronous functions that nobody awaits change nothing, however often: all would pass."""

    async def forget() -> None:
        raise AssertionError("nobody runs this")

    with pytest.raises(TypeError, match="plain functions"):
        assert_idempotent(forget, lambda: 0)
    with pytest.raises(TypeError, match="plain functions"):
        assert_idempotent(lambda: None, forget)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("tamper", ["body", "signature"])
def test_every_way_to_tamper_is_noticed(
    dialect: str,
    tamper: Tamper,
    webhook_secret: str,
    make_event: MakeEvent,
    signed_request: SignedRequest,
) -> None:
    """A fixture that spoils nothing would make the tests that use it worthless."""
    body, headers = signed_request(make_event("a.b", dialect=dialect), tamper=tamper)
    json.loads(body)
    with pytest.raises(Exception, match="no_match"):
        Verifier(webhook_secret, dialect=dialect).verify(body, headers)
