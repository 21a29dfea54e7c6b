"""Payment objects, as their events tell of them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from payhooks.api import object_views, views
from payhooks.api.pagination import PageQuery
from payhooks.api.routes.common import PROBLEMS, EventsRead
from payhooks.api.schemas.objects import ObjectsView, ObjectView
from payhooks.control import objects
from payhooks.control.objects import TimelineEntry
from payhooks.limits import OBJECT_ID_CHARS_MAX

router = APIRouter(prefix="/v1/merchants/{m}/objects", tags=["objects"], responses=PROBLEMS)

_Id = Annotated[str, Query(alias="id", min_length=1, max_length=OBJECT_ID_CHARS_MAX)]
_Text = Annotated[str, Path(max_length=OBJECT_ID_CHARS_MAX)]


@router.get("", response_model=ObjectsView, summary="Find an object")
async def find(granted: EventsRead, object_id: _Id) -> Response:
    """Return the objects with this id, of whatever type."""
    book = await granted.services.book.current()
    found = await objects.find(granted.control, granted.merchant.id, object_id, book=book)
    return views.reply({"data": [object_views.summary(story) for story in found]})


# An id may have slashes in it: they arrive as such, however they were written.
@router.get("/{object_type}/{object_id:path}", response_model=ObjectView, summary="Read an object")
async def read(
    granted: EventsRead,
    object_type: _Text,
    object_id: _Text,
    page: Annotated[PageQuery, Depends()],
) -> Response:
    """Return its state, what each event did to it, and where each event went."""
    book = await granted.services.book.current()
    story = await objects.story(
        granted.control, granted.merchant, object_type, object_id, book=book
    )
    window = page.window()
    after = window.after
    wanted = [one for one in story.events if after is None or one.event.id < after]
    entries = await objects.timeline(granted.control, granted.merchant, wanted[: window.limit])
    timeline, headers = page.page(entries, object_views.timeline_entry, id_of=_id_of)
    view = {
        **object_views.summary(story),
        "history": [object_views.history_entry(entry) for entry in story.state.entries],
        "timeline": timeline,
    }
    return views.reply(view, headers=headers)


def _id_of(entry: TimelineEntry) -> bytes:
    return entry.stored.event.id
