"""Cursors: opaque, authenticated, good for the one list they came from.

Without the seal a caller could put in another merchant's id and learn from the timing whether
it exists; with the list's filters sealed in, a cursor moved to another query is refused and
does not silently skip.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Annotated, Final, TypeVar
from urllib.parse import urlencode

from fastapi import Query, Request

from payhooks.errors import InvalidError
from payhooks.limits import PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX
from payhooks.ports.controlling import Window

_ID_BYTES: Final = 16
_SEAL_BYTES: Final = 16
CURSOR_CHARS_MAX: Final = 64

Item = TypeVar("Item")


class PageQuery:
    """Which part of a list a caller asks for. A FastAPI dependency."""

    def __init__(
        self,
        request: Request,
        limit: Annotated[int, Query(ge=1, le=PAGE_SIZE_MAX)] = PAGE_SIZE_DEFAULT,
        after: Annotated[str | None, Query(max_length=CURSOR_CHARS_MAX)] = None,
    ) -> None:
        self.limit = limit
        self._request = request
        self._after = after
        self._key: bytes = request.app.state.services.cursor_key

    def window(self) -> Window:
        """Return the part of the list, one longer than asked for, to see whether more follow.

        Raises:
            InvalidError: The cursor is not ours, or of another list.

        """
        return Window(limit=self.limit + 1, after=self._opened())

    def page(
        self,
        items: Sequence[Item],
        view: Callable[[Item], object],
        *,
        id_of: Callable[[Item], bytes],
    ) -> tuple[dict[str, object], dict[str, str]]:
        """Return the page as members of the answer, and the headers that go with it."""
        shown = items[: self.limit]
        has_more = len(items) > self.limit
        following = self._sealed(id_of(shown[-1])) if has_more else None
        members: dict[str, object] = {
            "data": [view(item) for item in shown],
            "has_more": has_more,
            "next": following,
        }
        if following is None:
            return members, {}
        kept = [(k, v) for k, v in self._request.query_params.multi_items() if k != "after"]
        target = f"{self._request.url.path}?{urlencode([*kept, ('after', following)])}"
        return members, {"link": f'<{target}>; rel="next"'}

    def _opened(self) -> bytes | None:
        return None if self._after is None else opened(self._key, self._list, self._after, "?after")

    def _sealed(self, last: bytes) -> str:
        return sealed(self._key, self._list, last)

    @property
    def _list(self) -> str:
        parameters = sorted(
            (name, value)
            for name, value in self._request.query_params.multi_items()
            if name not in {"after", "limit"}
        )
        return f"{self._request.url.path}?{urlencode(parameters)}"


def sealed(key: bytes, list_: str, last: bytes) -> str:
    """Return the cursor that goes on after *last* in the list of this name."""
    assert len(last) == _ID_BYTES
    return base64.urlsafe_b64encode(last + _seal(key, list_, last)).decode("ascii")


def opened(key: bytes, list_: str, cursor: str, pointer: str) -> bytes:
    """Return after what a cursor goes on.

    Raises:
        InvalidError: The cursor, which the caller gave at *pointer*, is not ours or another list's.

    """
    try:
        raw = base64.urlsafe_b64decode(cursor.encode("ascii"))
    except (UnicodeEncodeError, binascii.Error, ValueError):
        raw = b""
    last, seal = raw[:_ID_BYTES], raw[_ID_BYTES:]
    if not hmac.compare_digest(seal, _seal(key, list_, last)):
        raise InvalidError.at(pointer, "invalid_cursor", "This is not a cursor of this list.")
    return last


def _seal(key: bytes, list_: str, last: bytes) -> bytes:
    return hmac.digest(key, last + list_.encode(), hashlib.sha256)[:_SEAL_BYTES]
