"""``payhooks simulate``: the whole engine against invented faults, from a seed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from payhooks.cli.exits import ExitCode
from payhooks.cli.inputs import file_bytes
from payhooks.cli.output import AsJson, as_json, counted, line, say
from payhooks.cli.progress import bar
from payhooks.clock import SystemClock

if TYPE_CHECKING:
    from payhooks.simulator.run import Report

_COUNTED: Final = ("events", "deliveries", "requests", "duplicates", "faults")


def simulate(
    *,
    seed: Annotated[int, typer.Option(min=0, help="The first; the same replays the same.")] = 1,
    seconds: Annotated[
        float, typer.Option(min=0, max=86_400, help="How long; 0 runs this one seed.")
    ] = 30.0,
    minutes: Annotated[
        float | None, typer.Option(min=0, max=1_440, help="How long, instead of --seconds.")
    ] = None,
    tape: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False, help="Where a broken run is written; if it is there, it is played."
        ),
    ] = None,
    json: AsJson = False,
) -> int:
    """Run the engine against faulty networks, stores and processes; 1 if a promise breaks.

    A broken run is made as small as it can be: with fewer faults, then in a smaller world. What
    is left is printed as a timeline and, with --tape, written down, to be played again.
    """
    if tape is not None and tape.exists():
        return _play(tape, json=json)
    broken, totals = _search(seed, seconds if minutes is None else 60.0 * minutes)
    small = None
    if broken is not None:
        from payhooks.simulator.shrink import shrink  # noqa: PLC0415 - start-up time

        say(f"Seed {broken.seed} breaks a promise; making it smaller …")
        small = shrink(broken)
        if tape is not None:
            from payhooks.simulator.tape import Tape, written  # noqa: PLC0415 - start-up time

            tape.write_bytes(written(Tape.of(small)))
    if json:
        as_json({**totals, "broken": None if small is None else _facts(small)})
    else:
        words = ", ".join(counted(count, name) for name, count in totals.items())
        line(f"{words}: {'every promise held' if small is None else 'a promise broke'}")
        if small is not None:
            _tell(small)
            again = f"--seed {small.seed} --seconds 0" if tape is None else f"--tape {tape}"
            say(f"Replay it with: payhooks simulate {again}")
    return ExitCode.OK if small is None else ExitCode.FAILED


def _search(seed: int, seconds: float) -> "tuple[Report | None, dict[str, int]]":
    """Return the first report of a broken promise, if any, and what was run for it."""
    from payhooks.simulator import run  # noqa: PLC0415 - start-up time

    clock = SystemClock()
    began_s = clock.monotonic_s()
    totals = dict.fromkeys(("seeds", *_COUNTED), 0)
    with bar("Seconds", total=seconds or None) as advance:

        def progressed(report: run.Report) -> None:
            totals["seeds"] += 1
            for name in _COUNTED:
                value = getattr(report, name)
                totals[name] += len(value) if isinstance(value, tuple) else value
            advance(min(round(clock.monotonic_s() - began_s, 1), seconds))

        return run.simulate(seed, seconds=seconds, clock=clock, progress=progressed), totals


def _play(path: Path, *, json: bool) -> int:
    """Run what a tape says, and say whether it came to the same."""
    from payhooks.simulator.tape import read  # noqa: PLC0415 - start-up time

    recorded = read(file_bytes(str(path), option="--tape"))
    report = recorded.play()
    same = report.trace_hash == recorded.trace
    if json:
        as_json({**_facts(report), "same": same})
    else:
        _tell(report)
        line("The same run, to the byte." if same else "Another run: the engine has changed since.")
    return ExitCode.OK if report.violation is None else ExitCode.FAILED


def _tell(report: "Report") -> None:
    line(f"seed {report.seed}: {report.violation or 'every promise held'}")
    if report.timeline:
        line(f"  {'second':>11}  {'process':<9} what")
    for entry in report.timeline:
        line(f"  {entry}")
    line(f"{counted(len(report.faults), 'faults')}: {', '.join(report.faults) or 'none'}")
    line(f"trace {report.trace_hash}")


def _facts(report: "Report") -> dict[str, Any]:
    return {
        "seed": report.seed,
        "violation": report.violation,
        "faults": list(report.faults),
        "trace": report.trace_hash,
        "timeline": list(report.timeline),
    }
