"""Secrets replaced while requests are under way, in every dialect."""

from pathlib import Path

import pytest
from tests.support.captured import Captured, capturing
from tests.support.dialect_events import CUSTOM_DIALECT, sample_publication
from tests.support.dialect_table import is_signed_by
from tests.support.server import Api, Server, Tenant

from payhooks.dialects.registry import DIALECTS

EVENTS = 40  # of each dialect, between two rotations
ROTATIONS = 3
GRACE_S = 3_600


@pytest.mark.shows("F68", "V42")
def test_every_request_of_a_rotation_verifies_with_the_old_or_the_new_secret(
    on_sqlite: Server, tmp_path: Path
) -> None:
    """And with the newest as soon as the rotation was answered: a merchant configures it now."""
    api = Api(on_sqlite.port)
    tenant = Tenant(api, "Rotating", reference="rotating", custom_dialect=CUSTOM_DIALECT)
    secrets: dict[str, list[str]] = {}
    sent = 0

    def publish(turn: int) -> None:
        for dialect in DIALECTS:
            said = {**sample_publication(dialect), "type": f"turn.{dialect}"}
            events = [{**said, "metadata": {"turn": turn}} for _ in range(EVENTS)]
            api.post(f"{tenant.path}/events/batch", {"events": events})

    with capturing() as capture:
        endpoints = {
            dialect: tenant.endpoint(
                capture.url(f"/{dialect}"), events=[f"turn.{dialect}"], dialect=dialect,
                signature={"type": "endpoint_secret"},
            )
            for dialect in DIALECTS
        }  # fmt: skip
        secrets = {dialect: [tenant.secrets[f"/{dialect}"]] for dialect in DIALECTS}
        for turn in range(ROTATIONS):
            publish(turn)  # under way while the next lines replace what signs them
            for dialect, endpoint in endpoints.items():
                rotated = api.post(
                    f"{tenant.path}/endpoints/{endpoint}/rotate-secret", {"grace_s": GRACE_S}
                )
                secrets[dialect].append(rotated["secret"])
            sent += EVENTS * len(DIALECTS)
        received = capture.until(sent)
        publish(ROTATIONS)
        last = capture.until(sent + EVENTS * len(DIALECTS))[sent:]
    assert [one.path for one in received if not _signers(one, secrets)] == []
    newest = {dialect: [known[-1]] for dialect, known in secrets.items()}
    assert [one.path for one in last if not _signers(one, newest)] == []


def _signers(request: Captured, secrets: dict[str, list[str]]) -> list[str]:
    dialect = request.path.removeprefix("/")
    return [each for each in secrets[dialect] if is_signed_by(dialect, each, request)]
