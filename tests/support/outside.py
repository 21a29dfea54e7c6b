"""The verifiers of ``tests/outside`` as anybody runs them: each a script of its own."""

import base64
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

OUTSIDE: Final = Path(__file__).parents[1] / "outside"
_S_MAX: Final = 60

Request = tuple[Mapping[str, str], bytes]


def judged_outside(script: str, secret: str, requests: Sequence[Request]) -> tuple[int, str]:
    """Return what a script says of requests, and the status it ends with."""
    lines = [
        json.dumps({"headers": dict(headers), "body_base64": base64.b64encode(body).decode()})
        for headers, body in requests
    ]
    # -S and -I: neither our packages nor our folders can be found from there.
    done = subprocess.run(
        [sys.executable, "-S", "-I", str(OUTSIDE / script), "--secret", secret],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=False,
        timeout=_S_MAX,
    )
    return done.returncode, done.stdout
