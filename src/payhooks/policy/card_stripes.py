"""What a card's magnetic stripe says, in a text: track 1 and 2, and track 2 as a chip says it."""

import re
from collections.abc import Iterator
from typing import Final

from payhooks.policy import card_ranges

# Readers of American Express cards give the number of track 1 in groups, as it is on the stripe.
_ONE: Final = r"%?[Bb](?P<one>\d(?: ?\d){11,18})\^[^^?]{2,26}\^[\d^][^?]{6,60}\??"
_TRACK: Final = re.compile(
    rf"{_ONE}|;?(?P<two>\d{{12,19}})[=D]\d{{7,40}}[?F]?"
    # In lower-case hexadecimal only what stands by itself: a hash may have such a part.
    r"|(?<![0-9A-Za-z])(?P<lower>\d{12,19})d\d{7,40}f?(?![0-9A-Za-z])",
    re.ASCII,
)
# As a chip says it, EMV's tags 57 and 9F6B: the length in bytes, and two digits to a byte.
_TAGGED: Final = re.compile(
    r"(?:57|9[Ff]6[Bb])(?P<bytes>0[A-Fa-f]|1[0-3])"
    r"(?P<value>(?P<least>(?P<number>\d{12,19})[Dd]\d{7})\d{0,18}[Ff]?)",
    re.ASCII,
)


def stripes(text: str) -> Iterator[range]:
    """Yield where each begins and ends, of which some may overlap."""
    if not ("=" in text or "^" in text or "D" in text or "d" in text):
        return
    for track in _TRACK.finditer(text):
        number = track["one"] or track["two"] or track["lower"]
        if card_ranges.is_card_number(number.replace(" ", "")):
            yield range(*track.span())
    for tagged in _TAGGED.finditer(text):
        begin, _ = tagged.span("value")
        end = begin + 2 * int(tagged["bytes"], 16)
        fits = end >= tagged.end("least")
        if fits and card_ranges.is_card_number(tagged["number"]):
            # Behind it may be another tag, which begins with a digit as well.
            yield range(begin, min(end, tagged.end()))
