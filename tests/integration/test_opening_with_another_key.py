"""A process whose settings cannot open what is stored ends before it serves."""

import io
import os
from pathlib import Path

import pytest

from payhooks.bootstrap import open_control, open_process
from payhooks.control import merchants
from payhooks.control.context import SYSTEM
from payhooks.control.keyring import new_key_text
from payhooks.control.merchants import MerchantDraft
from payhooks.errors import UnavailableError
from payhooks.model.merchant import Mode
from payhooks.settings import Settings, load


def _settings(folder: Path, key: str) -> Settings:
    url = f"sqlite:///{folder}/payhooks.db"
    return load({"PAYHOOKS_DATABASE_URL": url, "PAYHOOKS_SECRET_KEY": key})


@pytest.mark.shows("S12")
async def test_another_secret_key_is_refused_and_leaves_the_file_free(tmp_path: Path) -> None:
    """It would answer 202 for days and sign none of it; and the right key must work next."""
    key, other = new_key_text(os.urandom), new_key_text(os.urandom)
    control = await open_control(_settings(tmp_path, key))
    await merchants.create(control, SYSTEM, Mode.SANDBOX, MerchantDraft(name="Shop"))
    await control.store.close()

    with pytest.raises(UnavailableError, match="is not in PAYHOOKS_SECRET_KEY"):
        await open_process(_settings(tmp_path, other), log_to=io.BytesIO())

    process = await open_process(_settings(tmp_path, f"{other},{key}"), log_to=io.BytesIO())
    await process.stop()
