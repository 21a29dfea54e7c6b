"""Where card data is found: at most so much, in what was cut, and in places that can be named."""

import base64
import json

from payhooks.policy import json_leaves
from payhooks.policy.card_numbers import found


def test_no_more_is_found_than_is_asked_for() -> None:
    """Findings are for people, and a list of a thousand is for nobody."""
    raw = json.dumps({"a": "4111 1111 1111 1111", "b": "5555 5555 5555 4444"}).encode()
    assert [place.pointer for place in found(raw, "", at_most=1)] == ["/a"]
    assert [place.pointer for place in found(raw, "", at_most=2)] == ["/a", "/b"]


def test_a_card_in_base64_that_was_cut_is_found() -> None:
    """A column that is too short makes a text of a length that base64 does not have."""
    coded = base64.b64encode(b"4111111111111111 12/27 Ana Lima").decode().rstrip("=")
    for length in range(len(coded) - 4, len(coded) + 1):
        raw = json.dumps({"a": coded[:length]}).encode()
        assert [place.pointer for place in found(raw, "", at_most=1)] == ["/a"], length


def test_a_place_that_is_too_deep_to_spell_is_named_by_what_is_above_it() -> None:
    """A pointer is shown to people, and kept with the event."""
    raw = json.dumps({"a": {"b" * 10_000: "4111 1111 1111 1111"}}).encode()
    assert [place.pointer for place in found(raw, "", at_most=1)] == ["/a"]


def test_a_place_is_named_as_far_as_any_pointer_has_room() -> None:
    """Only as many names of a path are masked as can be told; all of those are."""
    for size in (1, 7, 24, 98, 99, 100, 197, 198, 199):
        names = [*(f"{n:04}{'x' * size}"[:size] for n in range(210)), "a"]
        raw = "".join(f'{{"{name}":' for name in names) + '"4111111111111111"' + "}" * len(names)
        [place] = found(raw.encode(), "/data", at_most=1)
        assert place.pointer == json_leaves.pointer("/data", list(names)), size
