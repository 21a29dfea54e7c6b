"""``payhooks doctor``: whether an installation can do its work."""

import asyncio

from payhooks.cli.exits import ExitCode
from payhooks.cli.output import AsJson, as_json, line


def doctor(*, json: AsJson = False) -> int:
    """Look at settings, store, schema, clock, durability, URLs, egress, limits; 1 if one is bad."""
    from payhooks.cli import examining  # noqa: PLC0415 - start-up time

    findings = asyncio.run(examining.examine())
    if json:
        as_json([finding.plain() for finding in findings])
    else:
        for finding in findings:
            line(f"{finding.mark} {finding.name}: {finding.words}")
    healthy = not any(finding.is_bad for finding in findings)
    return ExitCode.OK if healthy else ExitCode.FAILED
