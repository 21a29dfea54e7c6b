"""Tapes of the simulator: read, or refused."""

from tests.support.fuzzing import hunt, mutated

from payhooks.errors import InvalidError
from payhooks.simulator import tape
from payhooks.simulator.options import Size


def test_a_tape_is_read_or_refused() -> None:
    """It comes from another machine, and by way of people."""
    good = tape.written(
        tape.Tape(seed=7, size=Size(), faults=("a:1", "b:2"), violation=None, trace="00")
    )

    def check(text: bytes) -> None:
        try:
            found = tape.read(text)
        except InvalidError:
            return
        assert tape.read(tape.written(found)) == found

    hunt(check, mutated([good], [b"\xff", b"[" * 3_000, b"1" * 5_000, b"NaN", b'"seed":', b"null"]))
