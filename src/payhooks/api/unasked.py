"""What a request brings that its route does not take: refused, for ignored it would be missed."""

from typing import get_args, get_origin

import msgspec
from fastapi import Request
from fastapi.dependencies.models import Dependant

from payhooks.errors import InvalidError


def refuse_parameters(request: Request) -> None:
    """Refuse a filter that is misspelt, or given twice: it would select what was not meant.

    Raises:
        InvalidError: At ``?`` for one that is not known, else at its name.

    """
    if not request.query_params:
        return
    takes_many = _parameters(request.scope["route"].dependant)
    for name in request.query_params:
        if name not in takes_many:
            detail = "There is no such parameter here."
            raise InvalidError.at("?", "unknown_parameter", detail)
        if not takes_many[name] and len(request.query_params.getlist(name)) > 1:
            raise InvalidError.at(f"?{name}", "duplicate", "This parameter is given once.")


async def refuse_body(request: Request) -> None:
    """Refuse a body that says something; what the front did not read is not looked at.

    Raises:
        InvalidError: There is one, and the route has no use for it.

    """
    if request.method == "GET" or request.scope["route"].body_field is not None:
        return
    body = await request.body()
    # Clients that always send a body send this one where they have nothing to say.
    if body and msgspec.json.decode(body) != {}:
        raise InvalidError.at("", "not_allowed", "There is nothing to say here: send no body.")


def _parameters(dependant: Dependant) -> dict[str, bool]:
    """Return the names of the parameters, and whether each may be given several times."""
    found = {field.alias: _is_list(field.field_info.annotation) for field in dependant.query_params}
    for child in dependant.dependencies:
        found |= _parameters(child)
    return found


def _is_list(annotation: object) -> bool:
    return get_origin(annotation) is list or any(map(_is_list, get_args(annotation)))
