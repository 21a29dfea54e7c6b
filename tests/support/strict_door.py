"""Every mutant of the catalogue's examples, and the examples, at the door of a served process."""

import http.client
import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.support import schema_mutants
from tests.support.server import Tenant

from payhooks.model.event_type import EventType, Provenance

STRICT = frozenset({Provenance.SAMPLE, Provenance.REFERENCE})


@dataclass(slots=True, kw_only=True)
class Answers:
    """How many there were, and what was answered otherwise than it should be."""

    mutants: int = 0
    dropping: int = 0  # of the mutants: those that lack a required member
    examples: int = 0
    let_in: list[str] = field(default_factory=list)
    kept_out: list[str] = field(default_factory=list)


class Door:
    """Publishes for a merchant whose events must be what their type says, on one connection."""

    def __init__(self, tenant: Tenant) -> None:
        """Take a merchant with ``type_check`` strict."""
        self._path = f"{tenant.path}/events"
        self._headers = {
            "authorization": f"Bearer {tenant.key}",
            "content-type": "application/json",
        }
        self._connection = http.client.HTTPConnection("127.0.0.1", tenant.api.port, timeout=35)

    def try_all(self, types: Iterable[EventType]) -> Answers:
        """Return what came of each type's example, and of its mutants where it promises so."""
        found = Answers()
        try:
            for type_ in types:
                self._try(type_, found)
        finally:
            self._connection.close()
        return found

    def _try(self, type_: EventType, found: Answers) -> None:
        assert type_.example is not None
        found.examples += 1
        status, faults = self._publish(type_, type_.example)
        if status != 202:
            found.kept_out.append(f"{type_.name}: {status} {faults}")
        if type_.provenance not in STRICT:
            return
        for mutant in schema_mutants.of(type_):
            found.mutants += 1
            found.dropping += mutant.drops
            status, faults = self._publish(type_, mutant.data)
            # For what it is, and not because something else is wrong with the request.
            if status != 422 or not faults or any(code != "schema" for code in faults):
                found.let_in.append(f"{type_.name} {mutant.words}: {status} {faults}")

    def _publish(self, type_: EventType, data: bytes) -> tuple[int, list[str]]:
        """Return the status, and the codes of what was found wrong with the data."""
        body = b'{"type":%b,"family":%b,"data":%b}' % (
            json.dumps(type_.name).encode(),
            json.dumps(type_.family).encode(),
            data,
        )
        self._connection.request("POST", self._path, body, self._headers)
        answer = self._connection.getresponse()
        said = json.loads(answer.read())
        return answer.status, [fault["code"] for fault in said.get("errors", ())]
