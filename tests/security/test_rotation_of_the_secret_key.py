"""Rotating the installation's secret key, killed wherever it can be."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.commands import environment, run, run_json
from tests.support.failing_rotation import KILL_VARIABLE, SECRETS_PER_TRANSACTION
from tests.support.postgres import cluster
from tests.support.server import ROOT, postgres_url

from payhooks.bootstrap import open_control
from payhooks.control import merchants, secrets
from payhooks.control.context import SYSTEM
from payhooks.control.keyring import new_key_text
from payhooks.control.merchants import MerchantDraft
from payhooks.model.merchant import Mode
from payhooks.settings import load

_BATCHES = 3
_ENDS_WITHIN_S = 60


@contextmanager
def _database(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'payhooks.db'}"
        return
    with cluster() as server, postgres_url(server, f"payhooks_rotation_{os.getpid()}") as url:
        yield url


async def _fill(settings: dict[str, str]) -> dict[bytes, str]:
    """Make merchants with a Signature Key each; return the keys by merchant."""
    control = await open_control(load(settings))
    try:
        for number in range(_BATCHES * SECRETS_PER_TRANSACTION):
            draft = MerchantDraft(name=f"Shop {number}")
            await merchants.create(control, SYSTEM, Mode.SANDBOX, draft)
    finally:
        await control.store.close()
    return await _read(settings)


async def _read(settings: dict[str, str]) -> dict[bytes, str]:
    """Return every Signature Key as the keys of the settings open it."""
    control = await open_control(load(settings))
    try:
        chains = [whose for whose in await control.store.audit_chains() if whose is not None]
        return {
            whose: secrets.open_secret(control.keyring, secret)
            for whose in chains
            for secret in await control.store.secrets(whose, whose)
        }
    finally:
        await control.store.close()


def _rotate(settings: dict[str, str], kill: str) -> int:
    """Return how a rotation ended that dies at this point."""
    given = environment(**settings, **{KILL_VARIABLE: kill})
    return subprocess.run(
        [sys.executable, "-m", "tests.support.failing_rotation"],
        cwd=ROOT,
        env={**given, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        timeout=_ENDS_WITHIN_S,
        check=False,
    ).returncode


@pytest.mark.shows("S12", "F69")
@pytest.mark.long
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_rotation_that_is_killed_at_each_batch_goes_on_where_it_was(
    kind: str, tmp_path: Path
) -> None:
    """With both keys everything opens at every moment; without the old one only at the end."""
    old, new = new_key_text(os.urandom), new_key_text(os.urandom)
    with _database(kind, tmp_path) as url:
        first = {"PAYHOOKS_DATABASE_URL": url, "PAYHOOKS_SECRET_KEY": old}
        both = {**first, "PAYHOOKS_SECRET_KEY": f"{new},{old}"}
        known = asyncio.run(_fill(first))
        assert len(known) == _BATCHES * SECRETS_PER_TRANSACTION
        # Each run does one batch more, as the one before it died with its own written down.
        for _ in range(_BATCHES):
            assert _rotate(both, "before@1") == -signal.SIGKILL
            assert asyncio.run(_read(both)) == known
            assert _rotate(both, "after@1") == -signal.SIGKILL
            assert asyncio.run(_read(both)) == known
        assert run_json(tmp_path, "keys", "rotate-secret-key", **both) == {"resealed": 0}
        assert asyncio.run(_read({**first, "PAYHOOKS_SECRET_KEY": new})) == known


@pytest.mark.shows("S12", "F69")
def test_half_way_through_a_rotation_the_old_key_cannot_be_left_out(tmp_path: Path) -> None:
    """A process that started without it would answer 202, and sign half of the deliveries."""
    old, new = new_key_text(os.urandom), new_key_text(os.urandom)
    url = f"sqlite:///{tmp_path / 'payhooks.db'}"
    settings = {"PAYHOOKS_DATABASE_URL": url, "PAYHOOKS_SECRET_KEY": f"{new},{old}"}
    asyncio.run(_fill({**settings, "PAYHOOKS_SECRET_KEY": old}))
    assert _rotate(settings, "after@2") == -signal.SIGKILL
    only_new = {**settings, "PAYHOOKS_SECRET_KEY": new}
    done = run(tmp_path, "serve", PAYHOOKS_LISTEN="127.0.0.1:0", **only_new)
    assert done.returncode == 1
    assert "which is not in PAYHOOKS_SECRET_KEY" in done.stderr
