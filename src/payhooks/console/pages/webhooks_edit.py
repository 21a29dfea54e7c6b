"""The edit dialog: change, reset the authentication, close without a loss, delete.

Which of these is under way is in the form and decided here, so that all of it works without a
script, and the same way with one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from starlette.responses import Response

from payhooks.console.forms import NO_MESSAGES, Messages
from payhooks.console.guard import demand_factor
from payhooks.console.page import Factor, Visit, page
from payhooks.console.pages import webhooks_form as forms
from payhooks.console.pages.webhooks import LIST, choices, fresh
from payhooks.console.pages.webhooks_form import Entered
from payhooks.console.pages.webhooks_records import Record, records_of, waiting
from payhooks.control import endpoints
from payhooks.errors import InvalidError, StaleVersionError
from payhooks.model.endpoint import Endpoint
from payhooks.model.key import Scope

_ONE: Final = LIST + "/{endpoint_id}"
_VERSION_CHARS_MAX: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A field that somebody else's edit and this form have otherwise."""

    name: str
    theirs: str
    yours: str


@page("GET", _ONE + "/edit", needs=Scope.ENDPOINTS_WRITE, factor=Factor.GATE)
async def edit(visit: Visit) -> Response:
    """Show the webhook as it is, in fields."""
    endpoint = await _found(visit)
    return await _edit(visit, endpoint, forms.of_endpoint(endpoint), version=endpoint.version)


@page("POST", _ONE + "/edit", needs=Scope.ENDPOINTS_WRITE, factor=Factor.GATE)
async def save(visit: Visit) -> Response:
    """Save what differs from what is stored; a new URL needs a fresh second factor."""
    endpoint = await _found(visit)
    before, entered = forms.of_endpoint(endpoint), forms.of_form(visit.form, new=False)
    if entered.url != before.url and not fresh(visit):
        refusal = await demand_factor(visit)
        if refusal is not None:
            return refusal
    try:
        await endpoints.edit(
            visit.control,
            visit.caller,
            visit.merchant,
            endpoint,
            forms.draft(before, entered),
            if_version=_version(visit),
        )
    except InvalidError as error:
        messages = Messages.from_error(error, forms.FIELDS)
        return await _edit(visit, endpoint, entered, messages=messages, status=422)
    except StaleVersionError:
        return await _stale(visit, entered)
    return visit.go(LIST, said=f"{entered.label} was saved.")


@page("POST", _ONE + "/reset", needs=Scope.ENDPOINTS_WRITE, factor=Factor.GATE)
async def reset(visit: Visit) -> Response:
    """Open the fields of the authentication, or keep what is stored: nothing is saved yet."""
    endpoint = await _found(visit)
    entered = forms.of_form(visit.form, new=False)
    nothing = ""
    kept = replace(
        entered,
        reset=not entered.reset,
        authentication="none",
        username=nothing,
        password=nothing,
    )
    return await _edit(visit, endpoint, kept, at_reset=True)


@page("POST", _ONE + "/close", needs=Scope.ENDPOINTS_WRITE, factor=Factor.GATE)
async def close(visit: Visit) -> Response:
    """Go back to the list; ask first where something would be lost."""
    endpoint = await _found(visit)
    entered = forms.of_form(visit.form, new=False)
    if not forms.changed(forms.of_endpoint(endpoint), entered):
        return visit.go(LIST)
    return await _edit(visit, endpoint, entered, abandon=True)


@page("POST", _ONE + "/delete", needs=Scope.ENDPOINTS_WRITE, factor=Factor.FRESH)
async def delete(visit: Visit) -> Response:
    """Delete it; what waits for it is cancelled."""
    endpoint = await _found(visit)
    await endpoints.delete(visit.control, visit.caller, endpoint, if_version=None)
    return visit.go(LIST, said=f"{endpoint.label} was deleted.")


async def _found(visit: Visit) -> Endpoint:
    return await endpoints.find(visit.control, visit.merchant, visit.parameter["endpoint_id"])


def _version(visit: Visit) -> int:
    """Return the version that the form was made from; 0, which nothing has, for any other text."""
    text = visit.form.text("version")
    fits = text.isascii() and text.isdecimal() and len(text) <= _VERSION_CHARS_MAX
    return int(text) if fits else 0


async def _stale(visit: Visit, entered: Entered) -> Response:
    """Tell who changed it meanwhile; what was typed stays, and saving once more wins."""
    endpoint = await _found(visit)
    theirs = forms.of_endpoint(endpoint)
    differences = [
        Difference(name=name, theirs=_shown(theirs, name), yours=_shown(entered, name))
        for name in forms.changed(theirs, entered)
        if name != "authentication"
    ]
    last = await records_of(visit, endpoint, at_most=1)
    return await _edit(
        visit,
        endpoint,
        entered,
        version=endpoint.version,
        status=412,
        changed_by=last[0] if last else None,
        stale=True,
        differences=differences,
    )


def _shown(entered: Entered, name: str) -> str:
    value = getattr(entered, name)
    return ", ".join(value) if isinstance(value, tuple) else str(value)


async def _edit(  # noqa: PLR0913 - what the dialog says beside its fields is named at the call
    visit: Visit,
    endpoint: Endpoint,
    entered: Entered,
    *,
    version: int | None = None,
    messages: Messages = NO_MESSAGES,
    status: int = 200,
    at_reset: bool = False,
    abandon: bool = False,
    stale: bool = False,
    changed_by: Record | None = None,
    differences: Sequence[Difference] = (),
) -> Response:
    return visit.show(
        "webhooks/edit.html",
        part="modal",
        status=status,
        title=endpoint.label,
        webhook=endpoint,
        # A form that only comes back is still made from what it was made from.
        version=_version(visit) if version is None else version,
        waiting=await waiting(visit, endpoint),
        messages=messages,
        at_reset=at_reset,
        abandon=abandon,
        stale=stale,
        changed_by=changed_by,
        differences=differences,
        **await choices(visit, entered),
    )
