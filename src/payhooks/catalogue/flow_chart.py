"""What follows what across the objects of a family, as its ``flow_chart.toml`` says it."""

from collections.abc import Iterator

import msgspec


class FlowBox(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event that brings its object into a state."""

    id: str
    object: str  # the file that has the life cycle
    event: str
    state: str
    words: str


class FlowArrow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may follow a box."""

    source: str = msgspec.field(name="from")
    to: str
    words: str


class FlowChart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Boxes and arrows, in the order in which they are read."""

    title: str
    words: str
    boxes: tuple[FlowBox, ...]
    arrows: tuple[FlowArrow, ...]

    def lanes(self) -> Iterator[tuple[str, list[FlowBox]]]:
        """Yield each object with its boxes."""
        for name in dict.fromkeys(box.object for box in self.boxes):
            yield name, [box for box in self.boxes if box.object == name]

    def into(self, box: FlowBox) -> list[FlowArrow]:
        """Return the arrows that end at *box*."""
        return [arrow for arrow in self.arrows if arrow.to == box.id]
