"""The judge: what publishers were told beside what receivers got. It reads journals alone.

``lost``: acknowledged, and never received. ``phantom``: received, and never sent.
``unexplained``: received more often than the product's own record of attempts accounts for,
or under two message ids. ``disordered``: an event of an object before an earlier one.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from tests.support.publisher import Entry
from tests.support.receiver import Reception

# How many attempts the product has on record for a message id.
Attempts = Callable[[str], int]
_SHOWN_MAX = 5


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What the comparison found. All but the counts must be empty."""

    sent: int = 0
    acked: int = 0
    received: int = 0
    duplicates: int = 0
    lost: list[str] = field(default_factory=list)
    phantom: list[str] = field(default_factory=list)
    unverified: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    two_answers: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)

    @property
    def faults(self) -> dict[str, int]:
        """How many of each kind; only the kinds that there are."""
        kinds = ("lost", "phantom", "unverified", "unexplained", "two_answers", "disordered")
        return {kind: len(getattr(self, kind)) for kind in kinds if getattr(self, kind)}

    @property
    def is_clean(self) -> bool:
        """Whether every promise was kept."""
        return not self.faults

    def __str__(self) -> str:
        words = (
            f"{self.sent} sent, {self.acked} acked, {self.received} received, "
            f"{self.duplicates} duplicates"
        )
        for kind in self.faults:
            words += f"; {kind} {getattr(self, kind)[:_SHOWN_MAX]}"
        return words


def judge(  # noqa: PLR0913 - every part is named at the call site
    journal: Mapping[str, Entry],
    receptions: Sequence[Reception],
    *,
    paths: Iterable[str],
    attempts: Attempts,
    ended: frozenset[tuple[str, str]] = frozenset(),
    ordered: Mapping[str, str] = MappingProxyType({}),
) -> Verdict:
    """Return the comparison.

    Every event has its key under ``key`` in its data. *paths* are those of the endpoints that
    should get every event; *ended* are (path, key) that visibly failed or were cancelled.
    *ordered* names, for paths that promise order, the member of data that names the object;
    ``sequence`` counts the events of one.
    """
    verdict = Verdict(
        sent=len(journal),
        acked=sum(entry.acked for entry in journal.values()),
        received=len(receptions),
        two_answers=[key for key, entry in journal.items() if len(entry.ids) > 1],
    )
    got: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for each in receptions:
        key = each.data["key"] if isinstance(each.data, dict) else str(each.data)
        got[each.path, key][each.message_id] += 1
        if not each.verified:
            verdict.unverified.append(each.message_id)
    for path in paths:
        verdict.lost += [
            f"{path} {key}"
            for key, entry in journal.items()
            if entry.acked and not got[path, key] and (path, key) not in ended
        ]
    for (path, key), messages in got.items():
        _judge_messages(verdict, f"{path} {key}", messages, attempts)
        if messages and key not in journal:
            verdict.phantom.append(f"{path} {key}")
    for path, member in ordered.items():
        there = [reception for reception in receptions if reception.path == path]
        verdict.disordered += _disordered(there, member)
    return verdict


def _judge_messages(
    verdict: Verdict, name: str, messages: Counter[str], attempts: Attempts
) -> None:
    if len(messages) > 1:
        verdict.unexplained.append(f"{name}: {len(messages)} message ids")
    for message_id, count in messages.items():
        if count == 1:
            continue
        verdict.duplicates += count - 1
        if count > (known := attempts(message_id)):
            verdict.unexplained.append(f"{name}: {count} received, {known} on record")


def _disordered(receptions: Sequence[Reception], member: str) -> list[str]:
    """Return what arrived after something that should have come later.

    So a duplicate may come late only while nothing later of its object has come. What never
    came is not for here: it is lost, or has visibly failed.
    """
    last: dict[tuple[str, str], int] = {}
    found = []
    for each in sorted(receptions, key=lambda reception: reception.at_s):
        name, sequence = (each.path, each.data[member]), each.data["sequence"]
        before = last.get(name, 0)
        if sequence < before:
            found.append(f"{name}: {sequence} after {before}")
        last[name] = max(before, sequence)
    return found
