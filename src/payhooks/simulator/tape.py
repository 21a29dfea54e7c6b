"""A tape: a failing run on paper, to be played again anywhere."""

import msgspec

from payhooks.errors import InvalidError
from payhooks.simulator.options import Size
from payhooks.simulator.parts import RIGHT, Parts
from payhooks.simulator.run import Report, run


class Tape(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a run is given, and what came of it."""

    seed: int
    size: Size
    faults: tuple[str, ...]  # the coordinates that fire
    violation: str | None
    trace: str  # equal for equal runs

    @classmethod
    def of(cls, report: Report) -> "Tape":
        """Return the tape of one run."""
        return cls(
            seed=report.seed,
            size=report.size,
            faults=report.faults,
            violation=report.violation,
            trace=report.trace_hash,
        )

    def play(self, *, parts: Parts = RIGHT) -> Report:
        """Run it again."""
        return run(self.seed, parts=parts, tape=self.faults, size=self.size)


def written(tape: Tape) -> bytes:
    """Return the text of a tape."""
    return msgspec.json.format(msgspec.json.encode(tape), indent=1) + b"\n"


def read(text: bytes) -> Tape:
    """Return the tape of a text.

    Raises:
        InvalidError: It is none.

    """
    try:
        return msgspec.json.decode(text, type=Tape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidError.at("", "not_a_tape", f"This is no tape: {error}.") from error
