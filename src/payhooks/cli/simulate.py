"""``payhooks simulate``: the whole engine against invented faults, from a seed."""

from typing import Annotated

import typer

from payhooks.cli.exits import ExitCode
from payhooks.cli.output import AsJson, as_json, line, say
from payhooks.cli.progress import bar
from payhooks.clock import SystemClock


def simulate(
    *,
    seed: Annotated[int, typer.Option(min=0, help="The first; the same replays the same.")] = 1,
    seconds: Annotated[
        float, typer.Option(min=0, max=86_400, help="How long; 0 runs this one seed.")
    ] = 30.0,
    json: AsJson = False,
) -> int:
    """Run the engine against faulty networks, stores and processes; 1 if a promise breaks."""
    from payhooks.simulator import run  # noqa: PLC0415 - start-up time

    clock = SystemClock()
    began_s = clock.monotonic_s()
    totals = {"seeds": 0, "events": 0, "requests": 0, "duplicates": 0, "faults": 0}
    with bar("Seconds", total=seconds or None) as advance:

        def progressed(report: run.Report) -> None:
            totals["seeds"] += 1
            totals["events"] += report.events
            totals["requests"] += report.requests
            totals["duplicates"] += report.duplicates
            totals["faults"] += len(report.faults)
            advance(min(round(clock.monotonic_s() - began_s, 1), seconds))

        broken = run.simulate(seed, seconds=seconds, clock=clock, progress=progressed)
    if json:
        violation = None
        if broken is not None:
            violation = {"seed": broken.seed, "violation": broken.violation,
                         "trace": broken.trace_hash, "timeline": list(broken.timeline)}  # fmt: skip
        as_json({**totals, "broken": violation})
    else:
        words = ", ".join(f"{count} {name}" for name, count in totals.items())
        line(f"{words}: {'every promise held' if broken is None else 'a promise broke'}")
    if broken is None:
        return ExitCode.OK
    if not json:
        line(f"seed {broken.seed}: {broken.violation}")
        for entry in broken.timeline:
            line(f"  {entry}")
        say(f"Replay it with: payhooks simulate --seed {broken.seed} --seconds 0")
    return ExitCode.FAILED
