"""However a body was made, the look for card data in it ends soon; what it leaves out is hidden."""

import base64
import json
import time
from collections.abc import Callable, Mapping
from typing import Final

import pytest
from tests.support.cards import TRACED

from payhooks.limits import EVENT_BODY_BYTES_MAX
from payhooks.policy.card_numbers import Kind, Place, masked

_AT_MOST: Final = 10
_HOSTILE_S_MAX: Final = 3.0  # milliseconds; what goes wrong here takes minutes
_N: Final = EVENT_BODY_BYTES_MAX - 20
_HOSTILE: Final[Mapping[str, Callable[[], bytes]]] = {
    "digits": lambda: b"4" * _N,
    "digits apart": lambda: b"4 1 " * (_N // 4),
    "pairs": lambda: b"41-11-" * (_N // 6),
    "cards in a row": lambda: b"4111-1111-1111-1111 " * (_N // 20),
    "nearly cards": lambda: b"4111111111111112," * (_N // 17),
    "escapes": lambda: b"\\u0034" * (_N // 6),
    "eleven": lambda: b"41111111111x" * (_N // 12),
    "eleven apart": lambda: b"4 1 1 1 1 1 1 1 1 1 1 x" * (_N // 23),
    "separators": lambda: b"4    " * (_N // 5),
    "nearly a track": lambda: b"B4111111111111111^aaaaaaaaaaaaaaaaaaaaaaaaaa" * (_N // 45),
    "base64 of nearly cards": lambda: base64.b64encode(b"4111111111111112 " * (_N // 23)),
}


@pytest.mark.parametrize("kind", _HOSTILE)
def test_a_hostile_body_is_looked_at_in_bounded_time(kind: str) -> None:
    """256 KiB of what a detector is slowest at: others wait meanwhile."""
    raw = b'{"a":"%b"}' % _HOSTILE[kind]()
    took_s = []
    for _ in range(3):
        began_s = time.process_time()
        masked(raw, "", at_most=_AT_MOST)
        took_s.append(time.process_time() - began_s)
    assert min(took_s) / TRACED < _HOSTILE_S_MAX


@pytest.mark.parametrize("sign", [b" ", b"a"])
@pytest.mark.parametrize("value", [b"[%b]", b'{"value":[%b]}'])
def test_values_below_a_very_long_name_are_looked_at_in_bounded_time(
    sign: bytes, value: bytes
) -> None:
    """All of the name was read for each of them: 30 s for 64 KiB."""
    name = sign * (_N // 2) + b"cvv"
    raw = b'{"%b":%b}' % (name, value % b",".join([b"123"] * (_N // 8)))
    began_s = time.process_time()
    masked(raw, "", at_most=_AT_MOST)
    assert (time.process_time() - began_s) / TRACED < _HOSTILE_S_MAX


def test_a_run_with_more_groups_than_are_looked_at_is_hidden_whole() -> None:
    """What nobody has looked at might be anything."""
    done = masked(json.dumps({"a": "4 1 " * 10_000}).encode(), "", at_most=1)
    assert done.places == [Place(pointer="/a", kind=Kind.CARD_NUMBER)]
    assert set(json.loads(done.raw)["a"]) <= {"X", " "}
