"""The catalogue, and the operator's own event types."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Query, Response
from msgspec import UNSET

from payhooks.api import views
from payhooks.api.routes.common import PROBLEMS, CatalogueRead, IfMatch, Operator, if_version
from payhooks.api.schemas.requests import EventTypeCreate, EventTypeEdit
from payhooks.api.schemas.responses import EventTypesView, EventTypeView
from payhooks.control import event_types
from payhooks.control.event_types import TypeDraft
from payhooks.errors import NotFoundError
from payhooks.limits import EVENT_TYPE_CHARS_MAX

router = APIRouter(prefix="/v1/event-types", tags=["event types"], responses=PROBLEMS)

TypeName = Annotated[str, Path(max_length=EVENT_TYPE_CHARS_MAX)]
Family = Annotated[str | None, Query(max_length=40)]


@router.get("", response_model=EventTypesView, summary="List event types")
async def list_(granted: CatalogueRead, family: Family = None) -> Response:
    """By family and name: ours, the providers', the operator's own."""
    book = await granted.services.book.current()
    found = [type_ for type_ in book.types if family is None or type_.family == family]
    return views.reply({"data": [views.event_type(type_) for type_ in found]})


@router.get("/{name}", response_model=EventTypesView, summary="Read an event type")
async def read(granted: CatalogueRead, name: TypeName) -> Response:
    """One per family that has this word."""
    book = await granted.services.book.current()
    found = [type_ for type_ in book.types if type_.name == name]
    if not found:
        raise NotFoundError("There is no such event type.")
    return views.reply({"data": [views.event_type(type_) for type_ in found]})


@router.post("", status_code=201, response_model=EventTypeView, summary="Register an event type")
async def create(granted: Operator, body: EventTypeCreate) -> Response:
    """Operator only."""
    type_ = await event_types.create(
        granted.control, granted.caller, body.family, body.name, _draft(body)
    )
    granted.services.book.forget()
    return views.reply(views.event_type(type_), status=201, headers=views.etag(type_.version))


@router.patch("/{family}/{name}", response_model=EventTypeView, summary="Edit an event type")
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
    granted.services.book.forget()
    return views.reply(views.event_type(type_), headers=views.etag(type_.version))


def _draft(body: EventTypeCreate | EventTypeEdit) -> TypeDraft:
    said = body.model_fields_set
    given: dict[str, bytes | None] = {}
    for member, value in (("schema", body.schema_), ("example", body.example)):
        if member in {name.rstrip("_") for name in said}:
            given[member] = None if value is None else msgspec.json.encode(value)
    return TypeDraft(words=body.words if "words" in said else UNSET, **given)
