"""``payhooks trigger``: play a scenario, or one event, and watch it arrive."""

import contextlib
import itertools
import time
from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer

from payhooks.cli import watching
from payhooks.cli.client import Api, connect, segment
from payhooks.cli.exits import ExitCode
from payhooks.cli.inputs import pair, value_of
from payhooks.cli.output import AsJson, MerchantName, as_json, counted, line, say, table
from payhooks.errors import InvalidError
from payhooks.publisher.answers import RefusedError

_PLAYING: Final = "playing"
_FAILED: Final = "failed"
_DELIVERIES_SHOWN_MAX: Final = 100  # of one event
_SCENARIOS: Final = "/v1/sandbox/scenarios"


def trigger(  # noqa: PLR0913 - one option per member of a run
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[EVENT|SCENARIO]",
            help="transaction.sale.success, card-payment-3ds …",
            show_default=False,
        ),
    ] = None,
    *,
    list_: Annotated[bool, typer.Option("--list", help="List the scenarios.")] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A variable of the scenario, amount=80.00; of an event, a member of data: a.b=c.",
        ),
    ] = None,
    speed: Annotated[
        str | None,
        typer.Option(help="How long a span of life takes: 1d=1s. Left out: no waiting."),
    ] = None,
    disorder: Annotated[
        str, typer.Option(metavar="PERCENT", help="Of the events, to go out behind later ones.")
    ] = "0%",
    duplicate: Annotated[
        str, typer.Option(metavar="PERCENT", help="Of the events, to be delivered twice.")
    ] = "0%",
    seed: Annotated[
        int | None, typer.Option(min=0, help="Plays the same again, with the same ids.")
    ] = None,
    family: Annotated[str | None, typer.Option(help="Whose word the event is.")] = None,
    wait_s: Annotated[
        float, typer.Option(min=0, max=120, help="How long to watch after the last event.")
    ] = 10,
    merchant: MerchantName = None,
    json: AsJson = False,
) -> None:
    """Play a scenario, or one event, and show what the endpoints answer. Ctrl-C stops it."""
    api = connect(merchant)
    scenarios = api.get(_SCENARIOS)["data"]
    if list_ or name is None:
        _list(scenarios, asked=list_, json=json)
        return
    is_scenario = any(one["name"] == name for one in scenarios)
    given = [pair(text, separator="=", option="--set") for text in set_ or []]
    body: dict[str, Any] = {
        "scenario" if is_scenario else "event": name,
        "set": {key: text if is_scenario else value_of(text) for key, text in given},
        "speed": speed,
        "disorder": _percent(disorder, option="--disorder"),
        "duplicate": _percent(duplicate, option="--duplicate"),
        "seed": seed,
    }
    if family is not None:
        body["family"] = family
    run = api.post(api.of_merchant("/sandbox/runs"), body)
    watch = _Watch(api, run, quiet=json)
    with _stopped_by_hand(api, run):
        run = watch.until_told(wait_s=wait_s)
    if json:
        as_json(run)
    if run["state"] == _FAILED:
        say(run["reason"])
        raise typer.Exit(ExitCode.FAILED)


class _Watch:
    """What is to be told of a run, each thing once."""

    def __init__(self, api: Api, run: dict[str, Any], *, quiet: bool) -> None:
        self._api = api
        self._run = run
        self._quiet = quiet
        self._path = _path(api, run)
        self._told: set[str] = set()  # ids of events and deliveries
        self._deliveries: dict[str, list[dict[str, Any]]] = {}  # by event, as they were last
        self._labels: dict[str, str] = {}

    def until_told(self, *, wait_s: float) -> dict[str, Any]:
        """Return the run when it is over and every delivery was tried, or the wait is."""
        over_at_s: float | None = None
        while True:
            self._run = self._api.get(self._path)
            untried = self._look()
            if self._run["state"] != _PLAYING:
                over_at_s = time.monotonic() if over_at_s is None else over_at_s
                if not untried or time.monotonic() - over_at_s >= wait_s:
                    break
            time.sleep(watching.POLL_S)  # noqa: TID251 - a person waits
        for event in self._published():
            event["deliveries"] = self._deliveries[event["id"]]
        self._conclude(wait_s)
        return self._run

    def _look(self) -> bool:
        """Tell what is new; return whether something was not tried yet."""
        untried = False
        for event in self._published():
            if event["id"] not in self._told:
                self._told.add(event["id"])
                about = (event["object"] or {}).get("id")
                told = (event["type"], about, event["words"])
                self._print("  ".join(text for text in told if text))
            known = self._deliveries.get(event["id"])
            if known is not None and not any(map(watching.is_untried, known)):
                continue
            path = self._api.of_merchant(f"/events/{segment(event['id'])}/deliveries")
            found = list(self._api.pages(path, limit=_DELIVERIES_SHOWN_MAX))
            self._deliveries[event["id"]] = found
            for delivery in found:
                if watching.is_untried(delivery):
                    untried = True
                elif delivery["id"] not in self._told:
                    self._told.add(delivery["id"])
                    self._tell(event, delivery)
        return untried

    def _published(self) -> list[dict[str, Any]]:
        published = [event for event in self._run["events"] if event["id"] is not None]
        return sorted(published, key=lambda event: str(event["id"]))

    def _tell(self, event: dict[str, Any], delivery: dict[str, Any]) -> None:
        if self._quiet:
            return
        whole = self._api.get(self._api.of_merchant(f"/deliveries/{segment(delivery['id'])}"))
        label = self._label(delivery["endpoint_id"])
        if self._run["steps"] > 1:
            label = f"{label}  {event['type']}"
        watching.print_delivery(whole, label=label)

    def _label(self, endpoint_id: str) -> str:
        if endpoint_id not in self._labels:
            found = self._api.get(self._api.of_merchant(f"/endpoints/{segment(endpoint_id)}"))
            self._labels[endpoint_id] = found["label"]
        return self._labels[endpoint_id]

    def _conclude(self, wait_s: float) -> None:
        run = self._run
        self._print(
            f"{run['id']}  {run['state']}  {run['published']} of {counted(run['steps'], 'events')}"
        )
        if run["left_out"]:
            say(f"Steps left out, as the merchant's auto capture is off: {run['left_out']}.")
        if run["sent_again"]:
            say(f"Deliveries sent a second time: {run['sent_again']}.")
        open_count = sum(map(watching.is_untried, itertools.chain(*self._deliveries.values())))
        if open_count:
            say(
                f"Not tried yet after {wait_s:g} s: {counted(open_count, 'deliveries')}; they go on"
                " without a watcher. payhooks deliveries list shows them."
            )
        # Where nothing was published, nobody could have selected it.
        if run["published"] and not any(self._deliveries.values()):
            say("No endpoint has selected any: payhooks endpoints create URL --event '*'")

    def _print(self, text: str) -> None:
        if not self._quiet:
            line(text)


@contextlib.contextmanager
def _stopped_by_hand(api: Api, run: dict[str, Any]) -> Iterator[None]:
    """Stop the run where a person stops watching it."""
    try:
        yield
    except KeyboardInterrupt:
        # One that is over by now is refused, and that is as well.
        with contextlib.suppress(RefusedError):
            stopped = api.post(f"{_path(api, run)}/stop")
            say(f"Stopped after {stopped['published']} of {counted(stopped['steps'], 'events')}.")
        raise


def _list(scenarios: list[dict[str, Any]], *, asked: bool, json: bool) -> None:
    if not asked:
        say("Name an event or one of these scenarios.")
    if json:
        as_json(scenarios)
        return
    rows = [{**one, "events": len(one["steps"])} for one in scenarios]
    table(rows, ["name", "family", "events", "title"])


def _percent(text: str, *, option: str) -> int:
    number = text.removesuffix("%")
    if not (number.isascii() and number.isdecimal() and len(number) <= len("100")):
        raise InvalidError.at(option, "malformed", "Write it as 30%.")
    return int(number)


def _path(api: Api, run: dict[str, Any]) -> str:
    return api.of_merchant(f"/sandbox/runs/{segment(run['id'])}")
