"""Scenarios played by one Payhooks to another: what is sent there is heard by connectors here.

The one that sends has a merchant with one webhook for each provider, whose URL is a connector of
a merchant of the one that hears. What was heard is asked for over the API, and compared.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec
from tests.support.dialect_events import CUSTOM_DIALECT
from tests.support.played_scenarios import Scenario
from tests.support.receiving import until
from tests.support.server import Api, Json, Server, Tenant

FIVE: Final = ("owlpay", "treezor", "merchant-console", "foloosi", "owngateway")
# What its provider does not sign is fetched from it, unless both sides speak our extension.
_OPTIONS: Final = {"foloosi": {"signed": "extension"}}
_SECRET: Final = "secret_of_a_proof_0123456789abcdef"
_ENDED: Final = frozenset({"delivered", "failed", "cancelled"})
_S_MAX: Final = 120.0
# What differs between two plays of one story: whose it is, and when it was.
_WHOSE: Final = frozenset({"merchant_id", "profile_id", "merchant_connector_id"})
_WHEN: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].*)?")


class Pair:
    """A merchant there that sends, and one here that hears."""

    def __init__(self, sender: Server, hearer: Server, *, ordering: str) -> None:
        self.here = Tenant(Api(hearer.port), f"Hears {ordering}")
        self.there = Tenant(Api(sender.port), f"Sends {ordering}", custom_dialect=CUSTOM_DIALECT)
        self._dialects: dict[str, str] = {}
        for dialect in FIVE:
            said: Json = {"name": dialect, "dialect": dialect, "secrets": [_SECRET]}
            if dialect in _OPTIONS:
                said["options"] = _OPTIONS[dialect]
            made = self.here.api.post(f"{self.here.path}/connectors", said)
            endpoint = self.there.endpoint(
                made["url"],
                events=["*"],
                dialect=dialect,
                signature={"type": "endpoint_secret"},
                secret=_SECRET,
                ordering=ordering,
            )
            self._dialects[endpoint] = dialect

    def play(self, scenarios: Sequence[Scenario], **wishes: object) -> Counter[str]:
        """Play all of them; return how deliveries ended, when none is under way any more."""
        runs = f"{self.there.path}/sandbox/runs"
        for scenario in scenarios:
            begun = self.there.api.post(
                runs, {"scenario": scenario.name, "seed": scenario.seed, **wishes}
            )
            self._played(f"{runs}/{begun['id']}")
        undone = ("scheduled", "sending", "held", "blocked")
        until(
            lambda: [
                each
                for status in undone
                for each in self.there.api.get(
                    f"{self.there.path}/deliveries?status={status}&limit=1"
                )["data"]
            ],
            lambda found: not found,
            s=_S_MAX,
        )
        ended: Counter[str] = Counter()
        for each in self.there.api.pages(f"{self.there.path}/deliveries"):
            ended[each["status"] if each["reason"] != "not_carried" else "not_carried"] += 1
        return ended

    def _played(self, path: str) -> None:
        until(lambda: self.there.api.get(path), lambda found: found["state"] != "playing", s=_S_MAX)

    def concluded(self) -> dict[str, Counter[str]]:
        """Return how many receipts there are, by provider and state, when all have their end."""
        until(
            lambda: self.here.api.get(f"{self.here.path}/receipts?state=received&limit=1")["data"],
            lambda found: not found,
            s=_S_MAX,
        )
        connectors = self.here.api.pages(f"{self.here.path}/connectors")
        dialects = {each["id"]: each["dialect"] for each in connectors}
        found: dict[str, Counter[str]] = {dialect: Counter() for dialect in FIVE}
        for each in self.here.api.pages(f"{self.here.path}/receipts"):
            found[dialects[each["connector_id"]]][each["state"]] += 1
        return found

    def told(self) -> list[Json]:
        """Return every unified event that tells what was heard, as the API has it, oldest first.

        That something is late is said by the clock, and the stories are of days ago.
        """
        found = [
            self.here.api.get(f"{self.here.path}/events/{each['id']}")
            for each in self.here.api.pages(f"{self.here.path}/events")
            if each["family"] == "owngateway"
        ]
        return [each for each in found[::-1] if "receipt" in (each["metadata"] or {})]

    def states(self, events: Iterable[Json]) -> dict[tuple[str, str], tuple[Any, ...]]:
        """Return how each object stands that the events are about."""
        found: dict[tuple[str, str], tuple[Any, ...]] = {}
        for event in events:
            place = (event["object"]["type"], event["object"]["id"])
            if place not in found:
                path = f"{self.here.path}/objects/{quote(place[0])}/{quote(place[1], safe='')}"
                said = self.here.api.get(path)
                found[place] = (said["state"], said["unified"], said["final"])
        return found


def content(event: Json) -> bytes:
    """Return what two plays of one story have in common of an event."""
    said = (event["type"], event["object"]["type"], event["object"]["id"], _lasting(event["data"]))
    return msgspec.json.encode(said, order="deterministic")


def _lasting(said: object) -> object:
    if isinstance(said, dict):
        return {name: _lasting(each) for name, each in said.items() if name not in _WHOSE}
    if isinstance(said, list):
        return [_lasting(each) for each in said]
    return "a time" if isinstance(said, str) and _WHEN.fullmatch(said) else said
