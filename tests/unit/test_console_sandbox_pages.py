"""The console's sandbox: scenarios to choose from, runs to watch; production has none of it."""

import re
from datetime import timedelta
from html import unescape

import pytest
from tests.support.api_world import OWNER, finish
from tests.support.browsing import Browser, ConsoleWorld, Seen

from payhooks import ids
from payhooks.console.pages.sandbox import lasting
from payhooks.flow.play import Player
from payhooks.model.delivery import Trigger
from payhooks.model.merchant import Merchant, Mode
from payhooks.model.user import Role
from payhooks.sandbox.scenarios import shipped

pytestmark = pytest.mark.shows("E21")

LIST = "/console/sandbox"
RUNS = f"{LIST}/runs"
SCENARIO = "preauthorisation-partial-captures"
PLAY = {"scenario": SCENARIO, "disorder": "0", "duplicate": "0"}
EVENTS = [step.event for step in shipped().scenarios[SCENARIO].steps]
_STEPS_MAX = 1_000


@pytest.fixture
def world() -> ConsoleWorld:
    """Return an installation without anybody."""
    return ConsoleWorld()


async def signed_in(
    world: ConsoleWorld, role: Role = Role.DEVELOPER, mode: Mode = Mode.SANDBOX
) -> tuple[Browser, Merchant]:
    merchant = await world.tenant(mode=mode)
    browser = await Browser(world).sign_in(await world.person(merchant, role))
    await browser.get("/console/account")
    return browser, merchant


async def played(world: ConsoleWorld) -> None:
    """Let a worker play whatever is to be played, as far as it does not wait."""
    parts = world.services
    player = Player(world.control, parts.acceptor, parts.directory, parts.book, owner=OWNER)
    waits_s = 0.0
    for _ in range(_STEPS_MAX):
        wait_s = await player.step()
        waits_s = waits_s + 1 if wait_s > 0.1 else 0
        if waits_s > 5:
            return
        world.clock.advance(timedelta(seconds=max(wait_s, 0.001)))
    raise AssertionError("it plays on and on")


async def begun(browser: Browser, **fields: str) -> str:
    """Return the address of a run's page."""
    seen = await browser.post(RUNS, {**PLAY, **fields})
    assert seen.status == 303, seen.text
    place = seen.goes_to or ""
    assert place.startswith(f"{RUNS}/run_")
    return place


def wrong_beside(seen: Seen, field: str) -> str:
    """Return what is said beside a field."""
    found = re.search(rf'id="{field}-wrong">([^<]+)<', seen.text)
    return "" if found is None else unescape(found[1])


async def test_every_scenario_has_a_page_that_asks_how_to_play_it(world: ConsoleWorld) -> None:
    """Each with its words, its events in order, and a field for whatever can be set."""
    browser, _ = await signed_in(world)
    listed = await browser.get(LIST)
    for name, scenario in shipped().scenarios.items():
        assert f'href="{LIST}?scenario={name}"' in listed.text
        seen = await browser.get(f"{LIST}?scenario={name}")
        assert (seen.status, unescape(seen.heading)) == (200, scenario.title)
        codes = re.findall(r"<code>([^<]+)</code>", seen.text.split("<tbody>")[1])
        assert codes == [step.event for step in scenario.steps]
        fields = re.findall(r'name="set-([^"]+)"', seen.text)
        sums = {one for one, text in scenario.variables.items() if text.startswith("=")}
        assert fields == [one for one in scenario.variables if one not in sums]
    assert (await browser.get(f"{LIST}?scenario=nothing")).status == 404
    assert not world.bugs


async def test_a_scenario_is_found_by_its_words_and_by_its_events(world: ConsoleWorld) -> None:
    """Nobody reads a hundred titles; whoever handles an event looks for what sends it."""
    browser, _ = await signed_in(world)
    for word in ("payment_intent.captured", "PARTIAL capture"):
        seen = await browser.get(f"{LIST}?q={word.replace(' ', '+')}")
        assert f"scenario={SCENARIO}" in seen.text
        assert "scenario=chargeback" not in seen.text
    seen = await browser.get(f"{LIST}?q=%3Cb%3Enothing")
    assert "No scenario has that in it" in seen.text
    assert "<b>nothing" not in seen.text


async def test_a_run_is_watched_from_the_first_event_to_the_last_delivery(
    world: ConsoleWorld,
) -> None:
    """What is published and who has taken it is told as it happens, and then stands still."""
    browser, merchant = await signed_in(world)
    await world.endpoint(ids.to_text(ids.MERCHANT, merchant.id), label="Ledger", events=["*"])
    place = await begun(browser, **{"set-first": "30.00", "seed": "7"})
    seen = await browser.get(place)
    assert f"0 of {len(EVENTS)} events published" in seen.text
    assert f'data-live="{place}"' in seen.text
    assert "Ledger" not in seen.text
    await played(world)
    seen = await browser.get(place, {"x-partial": "1"})
    assert "<html" not in seen.text
    assert f"{len(EVENTS)} of {len(EVENTS)} events published" in seen.text
    assert seen.text.count("Ledger") == len(EVENTS)
    assert seen.text.count("Scheduled") == len(EVENTS)
    assert "data-live" in seen.text
    await finish(world, Trigger.SUCCEED)
    seen = await browser.get(place)
    assert seen.text.count("Delivered") == len(EVENTS)
    assert "data-live" not in seen.text
    assert "<dt>First</dt><dd>30.00</dd>" in seen.text
    assert "<dt>Seed</dt><dd>7</dd>" in seen.text
    links = re.findall(r'href="(/console/(?:events|deliveries)/[^"]+)"', seen.text)
    assert len(links) == 2 * len(EVENTS)
    assert {(await browser.get(link)).status for link in links} == {200}


async def test_playing_again_tells_of_the_same_payment(world: ConsoleWorld) -> None:
    """So that what somebody saw can be seen by somebody else; also a run that a program began."""
    browser, merchant = await signed_in(world)
    first = await begun(browser, **{"set-amount": "200.00"})
    again = (await browser.post(f"{first}/again")).goes_to or ""
    assert again != first
    said = b'{"event":"payment_succeeded","set":{"amount":7.00},"seed":9}'
    path = f"/v1/merchants/{ids.to_text(ids.MERCHANT, merchant.id)}/sandbox/runs"
    alone = f"{RUNS}/{(await world.call('POST', path, raw=said)).json['id']}"
    seen = await browser.get(alone)
    assert seen.heading == "payment_succeeded"
    alone_again = (await browser.post(f"{alone}/again")).goes_to or ""
    await played(world)
    for one, other in ((first, again), (alone, alone_again)):
        told = [
            re.findall(r"<code>([^<]+)</code>", (await browser.get(at)).text) for at in (one, other)
        ]
        assert told[0][1:] == told[1][1:]  # but for the id of the run
        assert len(told[0]) > 2
    assert '"amount": 7.00' in unescape((await browser.get(alone_again)).text)
    assert len(re.findall(f'"({RUNS}/run_[^"]+)"', (await browser.get(RUNS)).text)) == 4
    assert not world.bugs


async def test_a_run_is_stopped_once(world: ConsoleWorld) -> None:
    """Its page says so, and what it had published stays."""
    browser, _ = await signed_in(world)
    place = await begun(browser, speed="1h=1s")
    await played(world)
    assert ">Stop</button>" in (await browser.get(place)).text
    seen = await browser.get((await browser.post(f"{place}/stop")).goes_to or "")
    assert "The run is stopped." in seen.text
    assert "data-live" not in seen.text
    assert ">Stop</button>" not in seen.text
    done = await begun(browser)
    await played(world)
    seen = await browser.get((await browser.post(f"{done}/stop")).goes_to or "")
    assert "This run is finished already." in seen.text


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        pytest.param({"set-amount": "much"}, "set-amount", "amount", id="no amount"),
        pytest.param({"set-currency": "E" * 65}, "set-currency", "64", id="too long"),
        pytest.param({"set-first": "500"}, "set", "negative|would be", id="more than all"),
        pytest.param({"speed": "fast"}, "speed", "1d=1s", id="no speed"),
        pytest.param({"speed": "1s=1s"}, "speed", "24", id="for days"),
        pytest.param({"disorder": "31"}, "disorder", "list", id="no share"),
        pytest.param({"duplicate": "-1"}, "duplicate", "list", id="no share of deliveries"),
        pytest.param({"seed": "1e3"}, "seed", "whole number", id="no number"),
        pytest.param({"seed": str(1 << 60)}, "seed", "between", id="no number of everybody's"),
        pytest.param({"seed": "²"}, "seed", "whole number", id="a digit that is none"),
    ],
)
async def test_what_cannot_be_played_is_said_beside_its_field(
    world: ConsoleWorld, fields: dict[str, str], field: str, words: str
) -> None:
    """With what was typed still there, and nothing played."""
    browser, _ = await signed_in(world)
    seen = await browser.post(RUNS, {**PLAY, "set-second": "41.00", **fields})
    assert (seen.status, seen.heading) == (422, shipped().scenarios[SCENARIO].title)
    assert re.search(words, wrong_beside(seen, field)), seen.text
    assert f'href="#{field}"' in seen.text
    assert f'id="{field}"' in seen.text
    assert 'value="41.00"' in seen.text
    assert "Nothing was played yet" in (await browser.get(RUNS)).text
    assert not world.bugs


async def test_a_viewer_watches_and_a_developer_plays(world: ConsoleWorld) -> None:
    """Looking on changes nothing; there is no button that would be refused."""
    browser, merchant = await signed_in(world)
    place = await begun(browser, speed="1h=1s")
    for role in (Role.VIEWER, Role.SUPPORT):
        other = await Browser(world).sign_in(await world.person(merchant, role))
        for path in (f"{LIST}?scenario={SCENARIO}", place):
            seen = await other.get(path)
            assert seen.status == 200
            main = seen.text.split('id="main"')[1].split('id="shortcuts"')[0]
            assert "<form" not in main, path
        assert "Your role lets you look." in (await other.get(f"{LIST}?scenario={SCENARIO}")).text
        for path in (RUNS, f"{place}/stop", f"{place}/again"):
            assert (await other.post(path, PLAY)).status == 403


async def test_production_has_no_sandbox(world: ConsoleWorld) -> None:
    """Its receivers would take a play for money; the page says so to whoever kept its address."""
    browser, _ = await signed_in(world, mode=Mode.LIVE)
    assert f'href="{LIST}"' not in (await browser.get("/console/overview")).text
    for path in (LIST, f"{LIST}?scenario={SCENARIO}", RUNS):
        seen = await browser.get(path)
        assert seen.status == 409
        assert "a play for money" in seen.text
    seen = await browser.post(RUNS, PLAY)
    assert seen.status == 422
    assert "a play for money" in seen.text
    own, _ = await signed_in(world)
    assert f'href="{LIST}"' in (await own.get("/console/overview")).text


async def test_what_the_merchants_setting_leaves_out_is_said(world: ConsoleWorld) -> None:
    """Whoever waits for a capture at T+1 must know that none will come."""
    browser, merchant = await signed_in(world)
    path = f"/v1/merchants/{ids.to_text(ids.MERCHANT, merchant.id)}"
    await world.call("PATCH", path, {"sandbox_auto_capture": False})
    seen = await browser.get(f"{LIST}?scenario=auto-capture")
    assert "Left out" in seen.text
    place = await begun(browser, scenario="auto-capture")
    assert "1 is left out" in (await browser.get(place)).text


@pytest.mark.parametrize(
    ("amount_ms", "words"),
    [
        pytest.param(0, "0 ms", id="nothing"),
        pytest.param(250, "250 ms", id="less than a second"),
        pytest.param(1_000, "1 s", id="a second"),
        pytest.param(5_400_000, "1.5 h", id="a part"),
        pytest.param(15_552_000_000, "180 d", id="half a year"),
    ],
)
def test_spans_read_as_people_say_them(amount_ms: int, words: str) -> None:
    """Milliseconds of half a year are no number to anybody."""
    assert lasting(amount_ms) == words
