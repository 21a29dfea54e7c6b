"""Drawn inputs for as long as there is time, and what the inputs are drawn from.

Bounded by the clock and not by a count, so that a slow machine is not late. A round has a seed
of its own, counted up from the same base in every run; a failure names it. To look further:

    PAYHOOKS_TEST_FUZZ_S=600 PAYHOOKS_TEST_FUZZ_SEED=1000000 pytest tests/fuzz -k tape
"""

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

SECONDS: Final = float(os.environ.get("PAYHOOKS_TEST_FUZZ_S", "1"))
_SEED: Final = int(os.environ.get("PAYHOOKS_TEST_FUZZ_SEED", "1"))
_EXAMPLES: Final = 200  # of a round
_ROUND: Final = settings(
    max_examples=_EXAMPLES,
    database=None,
    derandomize=False,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)
_EDITS_MAX: Final = 6


def hunt(check: Callable[..., None], *drawn: SearchStrategy[Any]) -> None:
    """Give *check* what is drawn until the time is over; raises what it raises."""
    until_s = time.monotonic() + SECONDS
    number = _SEED
    while True:
        try:
            _ROUND(seed(number)(given(*drawn)(check)))()
        except BaseException as error:
            error.add_note(f"PAYHOOKS_TEST_FUZZ_SEED={number}")
            raise
        if time.monotonic() > until_s:
            return
        number += 1


def mutated(corpus: Sequence[bytes], tokens: Sequence[bytes]) -> SearchStrategy[bytes]:
    """Return bytes that begin as good ones and were edited, or that never were any good."""
    return st.binary(max_size=300) | _edited(corpus, tokens)


def mutated_text(corpus: Sequence[str], tokens: Sequence[str]) -> SearchStrategy[str]:
    """Return as ``mutated`` does, for text; half surrogates are among it."""
    edited = _edited(
        [text.encode("utf-8", "surrogatepass") for text in corpus],
        [text.encode("utf-8", "surrogatepass") for text in tokens],
    ).map(lambda raw: raw.decode("utf-8", "replace"))
    return edited | st.text(max_size=300) | st.text(st.characters(), max_size=60)


@st.composite
def _edited(draw: st.DrawFn, corpus: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    parts = draw(st.lists(st.sampled_from(corpus), min_size=1, max_size=3))
    raw = b"".join(parts[:1] if draw(st.booleans()) else parts)
    for _ in range(draw(st.integers(0, _EDITS_MAX))):
        first = draw(st.integers(0, len(raw)))
        last = min(len(raw), first + draw(st.integers(0, 12)))
        what = draw(st.sampled_from([b"", raw[first:last] * 2, *tokens]) | st.binary(max_size=4))
        raw = raw[:first] + what + raw[last:]
    return raw
