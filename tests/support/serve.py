"""One serving process for tests and proofs: what ``payhooks serve`` runs, and nothing else.

    python -m tests.support.serve

With REPORT_VARIABLE set it leaves behind how many transactions the store committed.
"""

import json
import os
from pathlib import Path
from typing import Final

import uvloop

from payhooks.bootstrap import Process, open_process
from payhooks.serving import bind, prepare_process, serve
from payhooks.settings import Settings, load
from payhooks.storage.sqlite import SqliteStore

REPORT_VARIABLE: Final = "PAYHOOKS_TEST_REPORT"


async def serve_settings(settings: Settings) -> Process:
    """Serve until told to stop; return the process that served."""
    process = await open_process(settings)
    host, port = settings.host_and_port
    with bind(host, port, shared=True) as listener:
        await serve(process, listener)
    return process


def main() -> None:
    """Serve what the environment says."""
    prepare_process()
    process = uvloop.run(serve_settings(load(os.environ)))
    report = os.environ.get(REPORT_VARIABLE)
    if report and isinstance(process.store, SqliteStore):
        Path(report).write_text(json.dumps({"commits": process.store.commits}), encoding="utf-8")


if __name__ == "__main__":
    main()
