"""The parts of the test suite, one after the other, with the time each took.

    python -m tests.support.run_parts [PART…]       all of them where none is named

One PostgreSQL cluster serves all parts. The last line counts what every part counted.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tests.support.postgres import URL_VARIABLE, ClusterError, cluster

_ROOT: Final = Path(__file__).parents[2]
# A part that hangs must not take the whole run with it: this many budgets, then it is killed. A
# machine that has others to serve is no hanging part.
_BUDGETS_MAX: Final = 4
_COUNT: Final = re.compile(r"(\d+) (passed|failed|errors?|skipped|xfailed)")
_CLOSING_LINE: Final = re.compile(r"^=*\s*(?:\d+ \w+, )*\d+ \w+ in [\d.]+s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One command, and what it may cost."""

    name: str
    command: Sequence[str]
    budget_s: int  # on two cores
    needs_postgres: bool = False


def _pytest(*folders_and_options: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "pytest", "--quiet", "--no-header", *folders_and_options)


# What decides has no line and no branch that its tests do not take.
_PURE: Final = (
    "address_guard", "breaker", "card_base64", "card_names", "card_numbers", "card_numbers_bounded",
    "card_places", "card_receipts", "card_references", "card_stripes", "card_text", "classify",
    "decide", "delivery_states", "echo", "fitness",
    "hook_url", "lockout", "match", "model", "people", "receipt_guard", "retry", "throttle",
)  # fmt: skip


def _coverage() -> tuple[str, ...]:
    files = [f"tests/unit/test_{name}.py" for name in _PURE]
    options = ("--cov=payhooks.policy", "--cov=payhooks.model", "--cov-branch")
    report = ("--cov-report=term-missing:skip-covered", "--cov-fail-under=100")
    return _pytest("-n", "2", *options, *report, *files)


# Whoever has nothing left takes tests of others from their end: so the tests of a file, which share
# what it starts, mostly stay together, and a long one at the end leaves nobody idle.
_STEALING: Final = ("--dist", "worksteal")

# The budgets leave a minute of the 15 that a change may wait for its verdict to what installs.
PARTS: Final = (
    Part(name="check", command=("scripts/check",), budget_s=40),
    Part(name="unit", command=_pytest("tests/unit", "-n", "2"), budget_s=70),
    Part(name="coverage", command=_coverage(), budget_s=20),
    Part(
        name="catalogue",
        command=_pytest("tests/catalogue", "tests/sandbox", "tests/connectors", "-n", "2"),
        budget_s=35,
        needs_postgres=True,
    ),
    Part(
        name="contract",
        command=_pytest("tests/contract", "-n", "2"),
        budget_s=60,
        needs_postgres=True,
    ),
    Part(name="fuzz", command=_pytest("tests/fuzz", "-n", "2"), budget_s=70),
    # More than there are cores: most of their time they wait for a database or for time-outs.
    Part(
        name="integration",
        # Not by file: tests that are generated share a name, and all but one of them would not run.
        command=_pytest("tests/integration", "-n", "3", *_STEALING),
        budget_s=80,
        needs_postgres=True,
    ),
    Part(name="input", command=_pytest("tests/input", "-n", "2", *_STEALING), budget_s=25),
    Part(
        name="security",
        command=_pytest("tests/security", "-n", "2", *_STEALING),
        budget_s=35,
        needs_postgres=True,
    ),
    Part(
        name="faults",
        command=_pytest("tests/faults", "-n", "3", *_STEALING),
        budget_s=100,
        needs_postgres=True,
    ),
    Part(
        name="e2e",
        command=_pytest("tests/e2e", "--ignore=tests/e2e/console", "-n", "3", *_STEALING),
        budget_s=155,
        needs_postgres=True,
    ),
    Part(
        name="console",
        command=_pytest("tests/e2e/console", "-n", "3", "--dist", "loadfile"),
        budget_s=115,
    ),
    Part(name="simulator", command=_pytest("tests/simulator", "-n", "2", *_STEALING), budget_s=35),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a part."""

    part: Part
    succeeded: bool
    took_s: float
    counts: Mapping[str, int]


def run(part: Part, environment: Mapping[str, str]) -> Result:
    """Return what came of *part*, having shown its output as it came."""
    print(f"\n── {part.name} (budget {part.budget_s} s)", flush=True)
    began_s = time.monotonic()
    counts: Counter[str] = Counter()
    with subprocess.Popen(
        part.command,
        cwd=_ROOT,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        # A group of its own, so that what a hanging test started goes with it.
        start_new_session=True,
    ) as process:
        watchdog = threading.Timer(part.budget_s * _BUDGETS_MAX, _kill, [process])
        watchdog.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                print(line, end="", flush=True)
                if _CLOSING_LINE.match(line):
                    counts.update(count_of(line))
            status = process.wait()
        finally:
            watchdog.cancel()
            if process.poll() is None:
                _kill(process)
    if status != 0 and not counts["failed"]:
        # It broke outside any test (the linter, a collection error): still one failure.
        counts["failed"] += 1
    return Result(
        part=part,
        succeeded=status == 0,
        took_s=time.monotonic() - began_s,
        counts=MappingProxyType(counts),
    )


def count_of(closing_line: str) -> Counter[str]:
    """Return how many tests passed, failed and were skipped, by a line of the test runner."""
    counts: Counter[str] = Counter()
    for number, word in _COUNT.findall(closing_line):
        counts["failed" if word.startswith("error") else word] += int(number)
    return counts


def summary(results: Sequence[Result]) -> str:
    """Return the closing table; its last line is the sum of all parts."""
    lines = ["", f"{'part':<12} {'result':<7} {'time':>7} {'budget':>7}  tests"]
    total: Counter[str] = Counter()
    for result in results:
        total.update(result.counts)
        tests = ", ".join(f"{number} {word}" for word, number in sorted(result.counts.items()))
        late = "  OVER BUDGET" if result.took_s > result.part.budget_s else ""
        lines.append(
            f"{result.part.name:<12} {'ok' if result.succeeded else 'FAILED':<7} "
            f"{result.took_s:>5.1f} s {result.part.budget_s:>5} s  {tests}{late}"
        )
    took_s = sum(result.took_s for result in results)
    others = "".join(
        f", {total[word]} {word}" for word in ("skipped", "xfailed") if total[word] > 0
    )
    lines.append("")
    lines.append(f"{total['passed']} passed, {total['failed']} failed{others} in {took_s:.2f}s")
    return "\n".join(lines)


def main(names: Sequence[str]) -> int:
    """Return 0 where all the named parts succeeded."""
    known = [part.name for part in PARTS]
    if unknown := [name for name in names if name not in known]:
        print(f"no such part: {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    chosen = [part for part in PARTS if not names or part.name in names]
    # Told to end, end as on Ctrl-C: unwinding is what stops the cluster.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: sys.exit(128 + received))
    # Started in the background, a shell has Ctrl-C ignored: by us and by whatever tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    environment = dict(os.environ)
    results = []
    with ExitStack() as stack:
        if any(part.needs_postgres for part in chosen):
            try:
                environment[URL_VARIABLE] = stack.enter_context(cluster())
            except ClusterError as error:
                print(error, file=sys.stderr)
                return 1
        results.extend([run(part, environment) for part in chosen])
    print(summary(results))
    return 0 if all(result.succeeded for result in results) else 1


def _kill(process: "subprocess.Popen[str]") -> None:
    # It may end by itself in this very moment.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
