"""Settings → Webhooks: the list, and Add Webhook.

The dialog is the page's own part: with our script it opens over the list, without it is a page.
"""

from dataclasses import replace
from typing import Final

from starlette.responses import Response

from payhooks import ids, limits
from payhooks.console.forms import NO_MESSAGES, Messages
from payhooks.console.listing import listed, window_of
from payhooks.console.page import Factor, Visit, page
from payhooks.console.pages import webhooks_form as forms
from payhooks.console.pages.webhooks_form import Entered
from payhooks.console.pages.webhooks_picker import picker
from payhooks.console.pages.webhooks_proof import SIGNERS, proof_of
from payhooks.control import endpoints, keys, sessions, statistics
from payhooks.dialects.registry import DIALECTS
from payhooks.errors import InvalidError
from payhooks.model.endpoint import DisabledReason
from payhooks.model.key import Scope
from payhooks.model.merchant import Merchant
from payhooks.policy.match import is_valid_pattern
from payhooks.policy.retry import POLICIES
from payhooks.ports.controlling import Window

LIST: Final = "/settings/webhooks"
DISABLED: Final = {
    DisabledReason.GONE: "It answered 410 Gone.",
    DisabledReason.FAILING: "It did nothing but fail for days.",
    DisabledReason.OPERATOR: "Somebody disabled it.",
    DisabledReason.RECEIVER: "Its server asked for it.",
}


@page("GET", LIST, needs=Scope.ENDPOINTS_READ, factor=Factor.GATE)
async def webhooks(visit: Visit) -> Response:
    """List them, newest first."""
    control = visit.control
    found = await control.store.endpoints(visit.merchant.id, window_of(visit, ids.ENDPOINT))
    shown = listed(visit, ids.ENDPOINT, found, id_of=lambda one: one.id)
    fitness = await statistics.fitness(
        control.store, visit.merchant.id, [one.id for one in shown.items], now=visit.now
    )
    return visit.show(
        "webhooks/list.html",
        title="Webhooks",
        webhooks=[(one, fitness[one.id]) for one in shown.items],
        pages=shown,
        signers=SIGNERS,
        disabled=DISABLED,
        hours=statistics.FITNESS_HOURS,
    )


@page("GET", LIST + "/new", needs=Scope.ENDPOINTS_WRITE, factor=Factor.GATE)
async def new(visit: Visit) -> Response:
    """Ask for what a webhook has; whoever comes from an event type has it selected."""
    blank = forms.blank(visit.merchant)
    event = visit.query.get("event", "")
    if is_valid_pattern(event):
        blank = replace(blank, events=(event,))
    return await _new(visit, blank, NO_MESSAGES)


@page("POST", LIST, needs=Scope.ENDPOINTS_WRITE, factor=Factor.GATE)
async def add(visit: Visit) -> Response:
    """Add it, and show once what its deliveries are verified with."""
    entered = forms.of_form(visit.form, new=True)
    try:
        # Its own secret stays sealed: the form has other signers, and its page reveals it.
        endpoint, _secret = await endpoints.create(
            visit.control, visit.caller, visit.merchant, forms.draft(None, entered)
        )
    except InvalidError as error:
        return await _new(visit, entered, Messages.from_error(error, forms.FIELDS))
    return visit.show(
        "webhooks/added.html",
        part="modal",
        title="The webhook was added",
        webhook=endpoint,
        proof=await proof_of(visit, endpoint, reveal=fresh(visit)),
    )


def fresh(visit: Visit) -> bool:
    """Whether a second factor was given so lately that secrets may be shown."""
    return sessions.factor_fresh(visit.signed_in, visit.now, within_s=limits.FRESH_FACTOR_S)


async def choices(visit: Visit, entered: Entered) -> dict[str, object]:
    """Return what the fields of the form offer."""
    catalogue = await visit.parts.book.current()
    return {
        "entered": entered,
        "picker": picker(catalogue, visit.merchant, entered.events),
        "source_keys": await _source_keys(visit),
        "dialects": _dialects(visit.merchant, entered.dialect),
        "narrow_dialects": _NARROW,
        "policies": tuple(POLICIES),
        "own_waits": forms.OWN_WAITS,
        "advanced": forms.ADVANCED,
    }


async def _new(visit: Visit, entered: Entered, messages: Messages) -> Response:
    return visit.show(
        "webhooks/new.html",
        part="modal",
        status=422 if messages else 200,
        title="Add Webhook",
        messages=messages,
        **await choices(visit, entered),
    )


async def _source_keys(visit: Visit) -> list[tuple[str, str]]:
    """Return the keys that may sign, as options of a dropdown."""
    found = await visit.control.store.keys(
        visit.merchant.id, Window(limit=limits.KEYS_PER_MERCHANT_MAX)
    )
    return [
        (ids.to_text(ids.KEY, key.id), f"{key.label} (…{key.hint})")
        for key in found
        if key.signing and keys.is_live(key, visit.now)
    ]


# A custom one that is defined carries everything; before that it is not offered.
_NARROW: Final = tuple(
    name for name, one in DIALECTS.items() if name != "custom" and not one.carries_everything
)


def _dialects(merchant: Merchant, chosen: str) -> tuple[str, ...]:
    """Return the dialects that the merchant may choose; custom is offered once it is defined."""
    names = [name for name in DIALECTS if name != "custom" or merchant.custom_dialect]
    return tuple(dict.fromkeys([*names, chosen]))
