"""API keys with the Source Keys among them, and the merchant's Signature Key."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from starlette.responses import Response

from payhooks import ids
from payhooks.console.forms import NO_MESSAGES, Form, Messages
from payhooks.console.listing import listed, window_of
from payhooks.console.page import Factor, Visit, page
from payhooks.control import keys, secrets
from payhooks.control.keys import GRANTABLE, KeyDraft
from payhooks.errors import InvalidError, WrongStateError
from payhooks.model.endpoint import SignatureType
from payhooks.model.key import Scope

_PATH: Final = "/settings/keys"
_FIELDS: Final = {
    "/label": "label",
    "/scopes": "scopes",
    "/expires_at": "expires_in",
    "/signing": "signing",
}
_DAYS: Final[Mapping[str, int | None]] = {"30": 30, "90": 90, "365": 365, "never": None}
_EXPIRES: Final = (
    ("90", "In 90 days"),
    ("30", "In 30 days"),
    ("365", "In a year"),
    ("never", "Never"),
)
_HOUR_S: Final = 3_600
_GRACES: Final = (
    (str(24 * _HOUR_S), "24 hours"),
    (str(_HOUR_S), "1 hour"),
    (str(7 * 24 * _HOUR_S), "7 days"),
    ("0", "None: the old key stops now"),
)
# What each permission lets a program do, as people read it.
PERMISSIONS: Final[Mapping[Scope, str]] = {
    Scope.EVENTS_WRITE: "Publish events",
    Scope.EVENTS_READ: "Read events and payment objects",
    Scope.ENDPOINTS_READ: "See webhooks",
    Scope.ENDPOINTS_WRITE: "Add, change and delete webhooks",
    Scope.SECRETS_READ: "Reveal secrets and the Signature Key",
    Scope.DELIVERIES_READ: "See deliveries and their attempts",
    Scope.DELIVERIES_WRITE: "Retry, cancel and replay deliveries",
    Scope.CONNECTORS_READ: "See connectors and what they brought",
    Scope.CONNECTORS_WRITE: "Add, change and delete connectors, and have receipts read again",
    Scope.KEYS_READ: "See keys, without their text",
    Scope.KEYS_WRITE: "Make and revoke keys",
    Scope.AUDIT_READ: "Read the audit log",
    Scope.MERCHANT_READ: "See the merchant's settings",
    Scope.MERCHANT_WRITE: "Remove the payloads of events for good",
    Scope.TEAM_READ: "See the team",
    Scope.TEAM_WRITE: "Invite, change and remove members",
}


@page("GET", _PATH, needs=Scope.KEYS_READ, factor=Factor.GATE)
async def list_(visit: Visit) -> Response:
    """Show the keys, newest first, and what the Signature Key signs."""
    return await _list(visit, NO_MESSAGES)


@page("GET", _PATH + "/new", needs=Scope.KEYS_WRITE, factor=Factor.GATE)
async def new(visit: Visit) -> Response:
    """Ask what the key is for."""
    return _new(visit, NO_MESSAGES)


@page("POST", _PATH, needs=Scope.KEYS_WRITE, factor=Factor.FRESH)
async def create(visit: Visit) -> Response:
    """Make a key and show its text for the only time."""
    try:
        made = await keys.create(visit.control, visit.caller, visit.merchant, _draft(visit))
    except InvalidError as error:
        return _new(visit, Messages.from_error(error, _FIELDS))
    return visit.show("key_created.html", title="The key is made", key=made.key, text=made.text)


@page("POST", _PATH + "/{key_id}/revoke", needs=Scope.KEYS_WRITE, factor=Factor.FRESH)
async def revoke(visit: Visit) -> Response:
    """Close a key for good; one that a webhook signs with stays open, and the page says so."""
    key = await keys.find(visit.control, visit.merchant, visit.parameter["key_id"])
    try:
        await keys.revoke(visit.control, visit.caller, key)
    except WrongStateError as error:
        return await _list(visit, Messages({}, [str(error)]))
    return visit.go(_PATH, said=f"{key.label} is revoked.")


@page("POST", _PATH + "/signature-key/reveal", needs=Scope.SECRETS_READ, factor=Factor.FRESH)
async def reveal(visit: Visit) -> Response:
    """Show the Signature Key; the audit log says who looked."""
    found = await secrets.reveal_signature_key(visit.control, visit.caller, visit.merchant)
    return visit.show("signature_key.html", title="Signature Key", secrets=found, rotated=False)


@page("POST", _PATH + "/signature-key/rotate", needs=Scope.KEYS_WRITE, factor=Factor.FRESH)
async def rotate(visit: Visit) -> Response:
    """Draw another Signature Key; both sign until the grace ends."""
    try:
        made = await secrets.rotate_signature_key(
            visit.control, visit.caller, visit.merchant, grace_s=_grace(visit.form)
        )
    except InvalidError as error:
        return await _list(visit, Messages.from_error(error, {"/grace_s": "grace"}))
    except WrongStateError as error:
        return await _list(visit, Messages({}, [str(error)]))
    return visit.show("signature_key.html", title="Signature Key", secrets=[made], rotated=True)


async def _list(visit: Visit, messages: Messages) -> Response:
    found = await visit.control.store.keys(visit.merchant.id, window_of(visit, ids.KEY))
    shown = listed(visit, ids.KEY, found, id_of=lambda key: key.id)
    [routing] = await visit.control.store.routing([visit.merchant.id])
    signed = [
        endpoint
        for endpoint in routing.endpoints
        if endpoint.signature.type is SignatureType.SIGNATURE_KEY
    ]
    return visit.show(
        "keys.html",
        status=_status(messages),
        title="API keys",
        keys=shown,
        live={key.id for key in shown.items if keys.is_live(key, visit.now)},
        users=await keys.users_of(visit.control, visit.merchant.id),
        signed=signed,
        graces=_GRACES,
        messages=messages,
    )


def _status(messages: Messages) -> int:
    if not messages:
        return 200
    return 422 if messages.by_field else 409


def _new(visit: Visit, messages: Messages) -> Response:
    form = visit.form
    return visit.show(
        "key_new.html",
        status=422 if messages else 200,
        title="Create key",
        scopes=[(scope, words) for scope, words in PERMISSIONS.items() if visit.may(scope)],
        chosen=form.every("scopes"),
        label=form.text("label"),
        signing=form.has("signing") or visit.query.get("signing") == "1",
        expires=_EXPIRES,
        expires_in=form.text("expires_in", _EXPIRES[0][0]),
        messages=messages,
    )


def _draft(visit: Visit) -> KeyDraft:
    """Return the key that the form describes."""
    form = visit.form
    scopes = form.every("scopes")
    known = {str(scope): scope for scope in GRANTABLE}
    if not known.keys() >= set(scopes):
        raise InvalidError.at("/scopes", "unknown", "Choose from the permissions listed.")
    expires_in = form.text("expires_in")
    if expires_in not in _DAYS:
        raise InvalidError.at("/expires_at", "unknown", "Choose when the key expires.")
    days = _DAYS[expires_in]
    return KeyDraft(
        label=form.text("label"),
        scopes=tuple(known[scope] for scope in scopes),
        signing=form.has("signing"),
        expires_at=None if days is None else visit.control.clock.now() + timedelta(days=days),
    )


def _grace(form: Form) -> int:
    grace = form.text("grace")
    if grace not in dict(_GRACES):
        raise InvalidError.at("/grace_s", "unknown", "Choose how long the old key goes on signing.")
    return int(grace)
