"""``docs/proof.md``: each promise, what shows it, and how that came out the last time."""

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from proofs.lines import DOCS, RESULTS

PAGE: Final = DOCS / "proof.md"
PROMISES: Final = Path(__file__).parent / "promises.toml"


def write_report() -> None:
    """Write the page from the figures that the proofs have left."""
    PAGE.write_text("\n".join(_page(_kept())), encoding="utf-8")


def promises() -> list[dict[str, Any]]:
    """Return the promises in their order."""
    found: list[dict[str, Any]] = tomllib.loads(PROMISES.read_text("utf-8"))["promise"]
    return found


def _kept() -> dict[str, dict[str, Any]]:
    """Return what each proof left, by its name."""
    return {
        path.stem.removeprefix("proof-"): json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(RESULTS.glob("proof-*.json"))
    }


def _page(kept: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "# What Payhooks promises, and what shows it"
    yield ""
    yield "Written by `scripts/prove`, which runs everything that stands here. A row is a fault, a"
    yield "bad input or a demand of security; its evidence are tests on real processes, real"
    yield "databases and real sockets, each named in the table of its kind."
    yield ""
    yield "| Proof | Passed | Day | Machine |"
    yield "|---|---|---|---|"
    for name, proof in kept.items():
        lines = _lines(proof)
        days = sorted({part["at"][:10] for part in proof["parts"].values()})
        about = proof["machine"]
        machine = f"{about['cpu']}, {about['memory']}, {about['python']}"
        passed = sum(line["passed"] for line in lines)
        yield f"| [{name}](proof-{name}.md) | {passed} of {len(lines)} | {days[-1]} | {machine} |"
    rows = {_id(line): line for proof in kept.values() for line in _lines(proof)}
    for number, promise in enumerate(promises(), 1):
        yield ""
        yield f"## {number}. {promise['words']}"
        yield ""
        yield promise["meaning"]
        yield ""
        yield "| | What happens | What is shown | Evidence |"
        yield "|---|---|---|---|"
        yield from (_row(rows.get(id_), id_) for id_ in promise["rows"])
        for part in promise["parts"]:
            yield from (_figure(line) for line in _of_part(kept, part))
    yield ""


def _row(line: Mapping[str, Any] | None, id_: str) -> str:
    if line is None:
        return f"| not run | {id_} | | |"
    tests = ", ".join(f"`{test}`" for test in _names(line["tests"]))
    return f"| {_verdict(line)} | {line['name']} | {line['limit']} | {tests} |"


def _figure(line: Mapping[str, Any]) -> str:
    return f"| {_verdict(line)} | {line['name']} | {line['limit']} | {line['figure']} |"


def _of_part(kept: Mapping[str, Mapping[str, Any]], part: str) -> Iterator[Mapping[str, Any]]:
    for proof in kept.values():
        for name, shown in proof["parts"].items():
            if name.rpartition(": ")[2] == part:
                yield from shown["lines"]


def _names(tests: Sequence[str]) -> list[str]:
    """Return the names of test functions, each once, without their parameters."""
    return list(dict.fromkeys(test.rpartition("::")[2].partition("[")[0] for test in tests))


def _lines(proof: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [line for part in proof["parts"].values() for line in part["lines"]]


def _id(line: Mapping[str, Any]) -> str:
    word: str = line["name"].partition(" ")[0]
    return word


def _verdict(line: Mapping[str, Any]) -> str:
    return "PASS" if line["passed"] else "**FAIL**"
