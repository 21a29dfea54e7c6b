"""The catalogue, and the operator's own event types."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Query, Response
from msgspec import UNSET

from payhooks.api import catalogue_views, views
from payhooks.api.auth import Granted
from payhooks.api.problems import Kind, ending
from payhooks.api.routes.common import (
    PROBLEMS,
    CatalogueRead,
    IfMatch,
    Operator,
    if_version,
    unconditional,
)
from payhooks.api.schemas.catalogue import (
    EventTypeCreate,
    EventTypeEdit,
    EventTypeInFullView,
    EventTypesInFullView,
    EventTypesView,
)
from payhooks.catalogue import CATALOGUE
from payhooks.control import event_types
from payhooks.control.event_types import TypeDraft
from payhooks.limits import EVENT_TYPE_CHARS_MAX
from payhooks.model.event_type import EventType

router = APIRouter(prefix="/v1/event-types", tags=["event types"], responses=PROBLEMS)

TypeName = Annotated[str, Path(max_length=EVENT_TYPE_CHARS_MAX)]
Family = Annotated[str | None, Query(max_length=40)]
Search = Annotated[
    str | None, Query(max_length=100, description="In names, titles and words, in any case.")
]


@router.get("", response_model=EventTypesView, summary="List event types")
async def list_(granted: CatalogueRead, family: Family = None, q: Search = None) -> Response:
    """By family and name: ours, the providers', the operator's own; each read alone has more."""
    book = await granted.services.book.current()
    found = event_types.select(book, family=family, text=q)
    return views.reply({"data": [catalogue_views.event_type(type_, book) for type_ in found]})


@router.get("/{name}", response_model=EventTypesInFullView, summary="Read an event type")
async def read(granted: CatalogueRead, name: TypeName) -> Response:
    """One per family that has this word, for its name or for another one."""
    book = await granted.services.book.current()
    found = [type_ for type_ in book.types if name in {type_.name, *type_.aliases}]
    if not found:
        near = book.nearest(name)
        hint = f"; did you mean {near}?" if near else "; they can be listed."
        # It is the same for every key, so a name may be told.
        raise ending(Kind.NOT_FOUND, f"There is no such event type{hint}")
    return views.reply({"data": [catalogue_views.event_type_in_full(each, book) for each in found]})


@router.post(
    "", status_code=201, response_model=EventTypeInFullView, summary="Register an event type"
)
async def create(granted: Operator, body: EventTypeCreate) -> Response:
    """Operator only."""
    type_ = await event_types.create(
        granted.control, granted.caller, body.family, body.name, _draft(body)
    )
    return _changed(granted, type_, status=201)


@router.patch("/{family}/{name}", response_model=EventTypeInFullView, summary="Edit an event type")
@unconditional
async def edit(
    granted: Operator,
    family: Annotated[str, Path(max_length=40)],
    name: TypeName,
    body: EventTypeEdit,
    if_match: IfMatch = None,
) -> Response:
    """Edit one of the operator's own; operator only."""
    type_ = await event_types.edit(
        granted.control,
        granted.caller,
        family,
        name,
        _draft(body),
        if_version=if_version(if_match),
    )
    return _changed(granted, type_)


def _changed(granted: Granted, type_: EventType, *, status: int = 200) -> Response:
    granted.services.book.forget()
    view = catalogue_views.event_type_in_full(type_, CATALOGUE)
    return views.reply(view, status=status, headers=views.etag(type_.version))


def _draft(body: EventTypeCreate | EventTypeEdit) -> TypeDraft:
    said = body.model_fields_set
    given: dict[str, bytes | None] = {}
    for member, value in (("schema", body.schema_), ("example", body.example)):
        if member in {name.rstrip("_") for name in said}:
            given[member] = None if value is None else msgspec.json.encode(value)
    return TypeDraft(words=body.words if "words" in said else UNSET, **given)
