"""`payhooks users`: the first user of a fresh installation, and help for who lost something."""

import base64
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.support.commands import ENDS_WITHIN_S, PAYHOOKS, environment

PASSWORD = "six green bicycles"


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """Return the settings of an empty installation."""
    return {
        "PAYHOOKS_DATABASE_URL": f"sqlite:///{tmp_path / 'payhooks.db'}",
        "PAYHOOKS_SECRET_KEY": base64.b64encode(os.urandom(32)).decode(),
    }


def users(
    settings: Mapping[str, str], *arguments: str, said: str = ""
) -> subprocess.CompletedProcess[str]:
    """Return what came of one command."""
    return subprocess.run(
        [*PAYHOOKS, "users", *arguments],
        env=environment(**settings),
        input=said,
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN_S,
        check=False,
    )


def test_the_first_user_is_made_found_and_disabled(settings: dict[str, str]) -> None:
    """Before there is one, nobody can invite anybody."""
    made = users(settings, "create", "maria", "m@x.example", "--password-stdin", said=PASSWORD)
    assert made.returncode == 0, made.stderr
    assert "Next: maria signs in under /console" in made.stderr
    assert PASSWORD not in made.stdout + made.stderr
    [listed] = json.loads(users(settings, "list", "--json").stdout)
    assert (listed["username"], listed["two_factor"], listed["disabled_at"]) == (
        "maria",
        False,
        None,
    )
    reset = users(settings, "reset-factor", "m@x.example", "--yes", "--json")
    assert json.loads(reset.stdout) == listed
    disabled = users(settings, "disable", listed["id"], "--yes", "--json")
    assert json.loads(disabled.stdout)["disabled_at"] is not None


@pytest.mark.parametrize(
    ("arguments", "said", "words"),
    [
        pytest.param(
            ["create", "maria", "m@x.example"], "", "--password-stdin", id="nobody to ask"
        ),
        pytest.param(
            ["create", "maria", "m@x.example", "--password-stdin"], "short\n", "12", id="short"
        ),
        pytest.param(
            ["create", "m@x", "nobody", "--password-stdin"], PASSWORD, "/username", id="no names"
        ),
        pytest.param(
            ["create", "maria", "m@x.example", "--password-stdin", "-m", "nobody"],
            PASSWORD,
            "no such merchant",
            id="no merchant",
        ),
        pytest.param(["disable", "nobody", "--yes"], "", "no such user", id="no user"),
        pytest.param(["disable", "maria"], "", "--yes", id="nobody agrees"),
        pytest.param(["reset-factor", "maria"], "", "--yes", id="nobody says who asks"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    settings: dict[str, str], arguments: list[str], said: str, words: str
) -> None:
    done = users(settings, *arguments, said=said)
    assert done.returncode != 0
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(users(settings, "list", "--json").stdout) == []
