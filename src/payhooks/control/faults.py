"""Collects every fault of an input, so that a caller mends them all after one answer."""

from collections.abc import Iterable

from payhooks.errors import Fault, InvalidError


class Faults:
    """A growing list of what is wrong. ``check`` ends it."""

    def __init__(self) -> None:
        self._found: list[Fault] = []

    def add(self, pointer: str, code: str, detail: str) -> None:
        """Note one fault."""
        self._found.append(Fault(pointer=pointer, code=code, detail=detail))

    def extend(self, faults: Iterable[Fault]) -> None:
        """Note the faults that another check found."""
        self._found.extend(faults)

    def text(self, pointer: str, value: str, *, chars_max: int) -> None:
        """Check a line of text for people: not blank, not too long, nothing invisible."""
        if not value.strip():
            self.add(pointer, "empty", "This must not be empty.")
        elif len(value) > chars_max:
            self.add(pointer, "too_long", f"At most {chars_max} characters are allowed.")
        elif not value.isprintable():
            self.add(pointer, "invalid_character", "Control characters are not allowed.")

    def check(self) -> None:
        """Return if nothing was found.

        Raises:
            InvalidError: With everything that was.

        """
        if self._found:
            raise InvalidError(self._found)
