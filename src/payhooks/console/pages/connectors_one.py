"""The page of one connector: where to paste its URL, how it fares; and what is done to it."""

from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from payhooks import ids, limits
from payhooks.connectors import registry
from payhooks.connectors.contract import Source
from payhooks.console.forms import NO_MESSAGES, Messages
from payhooks.console.page import Factor, Visit, page
from payhooks.console.pages import connectors_form as forms
from payhooks.console.pages.connectors import LIST, OVERDUE_COUNTED_MAX, overdue_count, place_of
from payhooks.console.pages.connectors_form import Entered
from payhooks.console.pages.receipts import STATES, sentence
from payhooks.control import connectors, receipts, secrets
from payhooks.control.connector_draft import ConnectorDraft
from payhooks.control.receipts import Reprocessed
from payhooks.errors import InvalidError, StaleVersionError, WrongStateError
from payhooks.ids import ReceiptId
from payhooks.model.connector import Connector, ConnectorStatus
from payhooks.model.key import Scope
from payhooks.model.receipt import Receipt, ReceiptState
from payhooks.model.secret import SecretPurpose
from payhooks.ports.controlling import Window
from payhooks.ports.receiving import ConnectorHealth, ReceiptFilter

_ONE: Final = LIST + "/{connector_id}"
_NEWEST: Final = 10
_VERSION_CHARS_MAX: Final = 9
# How long the secret before still counts.
GRACES: Final = (
    ("86400", "For one more day"),
    ("3600", "For one more hour"),
    (str(limits.ROTATION_GRACE_S_MAX), "For 7 more days"),
    ("0", "Not any more"),
)
SOURCES: Final = {
    Source.SIGNATURE: "By its signature",
    Source.CREDENTIALS: "By the credential that it shows",
    Source.FETCH: "By nothing that it sends: what a request points at is fetched from it",
}


@page("GET", _ONE, needs=Scope.CONNECTORS_READ, factor=Factor.GATE)
async def connector(visit: Visit) -> Response:
    """Show one."""
    return await _show(visit, await _found(visit), NO_MESSAGES)


@page("GET", _ONE + "/edit", needs=Scope.CONNECTORS_WRITE, factor=Factor.GATE)
async def edit(visit: Visit) -> Response:
    """Show what of it can be changed."""
    found = await _found(visit)
    return _edit(visit, found, forms.of_connector(found), found.version, NO_MESSAGES)


@page("POST", _ONE + "/edit", needs=Scope.CONNECTORS_WRITE, factor=Factor.GATE)
async def save(visit: Visit) -> Response:
    """Save it."""
    found = await _found(visit)
    provider = registry.bound(found, visit.merchant)
    entered = forms.of_form(visit.form, provider)
    version = _version(visit)
    try:
        await connectors.edit(
            visit.control,
            visit.caller,
            visit.merchant,
            found,
            forms.draft_of_edit(entered),
            if_version=version,
        )
    except InvalidError as error:
        messages = Messages.from_error(error, forms.fields(provider))
        return _edit(visit, found, entered, version, messages)
    except StaleVersionError:
        words = "Somebody else changed it since you opened it. Saving once more wins."
        return _edit(visit, found, entered, found.version, Messages({}, [words]), status=412)
    return visit.go(place_of(found), said=f"{found.name} was saved.")


@page("POST", _ONE + "/rotate", needs=Scope.CONNECTORS_WRITE, factor=Factor.FRESH)
async def rotate(visit: Visit) -> Response:
    """Go by another secret, and for a while by the one before too."""
    found = await _found(visit)
    grace = visit.form.text("grace")
    if grace not in dict(GRACES):
        raise InvalidError.at("/grace_s", "invalid_choice", "Choose one of the list.")
    try:
        await connectors.rotate_secret(
            visit.control,
            visit.caller,
            visit.merchant,
            found,
            visit.form.text("secret"),
            grace_s=int(grace),
        )
    except InvalidError as error:
        return await _refused(visit, found, error)
    except WrongStateError as error:
        return await _show(visit, found, Messages({"secret": [str(error)]}), status=409)
    return visit.go(place_of(found), said=f"{found.name} goes by the new secret.")


@page("POST", _ONE + "/credential", needs=Scope.CONNECTORS_WRITE, factor=Factor.FRESH)
async def credential(visit: Visit) -> Response:
    """Replace what the provider shows us, or we show the provider, at once."""
    found = await _found(visit)
    draft = ConnectorDraft(credential=visit.form.text("credential") or None)
    try:
        await connectors.edit(
            visit.control, visit.caller, visit.merchant, found, draft, if_version=None
        )
    except InvalidError as error:
        return await _refused(visit, found, error)
    return visit.go(place_of(found), said=f"{found.name} goes by what you entered.")


@page("POST", _ONE + "/move", needs=Scope.CONNECTORS_WRITE, factor=Factor.GATE)
async def move(visit: Visit) -> Response:
    """Disable or enable it."""
    found = await _found(visit)
    match visit.form.text("to"):
        case "disable":
            await connectors.disable(visit.control, visit.caller, found)
            said = "hears nothing any more."
        case "enable":
            await connectors.enable(visit.control, visit.caller, found)
            said = "hears again."
        case _:
            raise InvalidError.at("/to", "invalid_choice", "Choose one of the buttons.")
    return visit.go(place_of(found), said=f"{found.name} {said}")


@page("POST", _ONE + "/delete", needs=Scope.CONNECTORS_WRITE, factor=Factor.FRESH)
async def delete(visit: Visit) -> Response:
    """Delete it; what it brought stays."""
    found = await _found(visit)
    await connectors.delete(visit.control, visit.caller, found, if_version=None)
    return visit.go(LIST, said=f"{found.name} was deleted.")


@page("POST", _ONE + "/read-again", needs=Scope.CONNECTORS_WRITE, factor=Factor.GATE)
async def read_again(visit: Visit) -> Response:
    """Verify what is in quarantine with today's secrets, and read what they verify."""
    found = await _found(visit)
    again = await receipts.reprocess_all(
        visit.control,
        visit.caller,
        visit.merchant,
        found,
        states=(ReceiptState.QUARANTINED,),
        after=_after(visit.form.text("after")),
    )
    place = place_of(found)
    if again.following is not None:
        place += f"?after={ids.to_text(ids.RECEIPT, again.following)}"
    return visit.go(place, said=_words_of(again))


async def _found(visit: Visit) -> Connector:
    text = visit.parameter["connector_id"]
    return await connectors.find(visit.control, visit.merchant, text)


def _words_of(again: Reprocessed) -> str:
    """Return what became of the quarantine, for people."""
    verified = "1 is verified" if again.done == 1 else f"{again.done:,} are verified"
    still = "1 is still not" if again.unverified == 1 else f"{again.unverified:,} are still not"
    said = f"{verified} and will be read in a moment; {still}."
    return said if again.following is None else f"{said} There are more: go on with the next ones."


def _after(text: str) -> ReceiptId | None:
    """Return the one after which to go on, as a form or a URL says; None: from the oldest on."""
    raw = ids.from_text(ids.RECEIPT, text)
    return None if raw is None else ReceiptId(raw)


async def _refused(visit: Visit, found: Connector, error: InvalidError) -> Response:
    provider = registry.bound(found, visit.merchant)
    messages = Messages.from_error(error, forms.fields(provider))
    return await _show(visit, found, messages, status=422)


async def _show(
    visit: Visit, found: Connector, messages: Messages, *, status: int = 200
) -> Response:
    store, merchant = visit.control.store, visit.merchant
    provider = registry.bound(found, merchant)
    [health] = await connectors.health(visit.control, merchant, [found])
    which = ReceiptFilter(connector_id=found.id)
    newest = await store.receipts(merchant.id, which, Window(limit=_NEWEST))
    refused = _refused_last(health, newest)
    return visit.show(
        "connectors/one.html",
        status=status,
        title=found.name,
        connector=found,
        active=found.status is ConnectorStatus.ACTIVE,
        provider=provider,
        source=SOURCES[provider.source],
        secrets=secrets.live(
            await store.secrets(merchant.id, found.id),
            SecretPurpose.CONNECTOR,
            visit.control.clock.now(),
        ),
        url=connectors.url_of(visit.control, merchant, found),
        health=health,
        refused=refused,
        reason="" if refused is None else sentence(refused.reason),
        overdue=await overdue_count(visit, found),
        overdue_max=OVERDUE_COUNTED_MAX,
        receipts=newest,
        after=_after(visit.query.get("after", "")),
        states=STATES,
        graces=GRACES,
        messages=messages,
        may_write=visit.may(Scope.CONNECTORS_WRITE),
    )


def _refused_last(health: ConnectorHealth, newest: Sequence[Receipt]) -> Receipt | None:
    """Return the newest request that is not verified, where none was since; else nothing."""
    last = health.last_unverified_at
    if last is None or (health.last_received_at or last) > last:
        return None
    quarantined = (one for one in newest if one.state is ReceiptState.QUARANTINED)
    return next(quarantined, None)


def _edit(  # noqa: PLR0913 - what the form says beside its fields is named at the call
    visit: Visit,
    found: Connector,
    entered: Entered,
    version: int,
    messages: Messages,
    *,
    status: int = 422,
) -> Response:
    return visit.show(
        "connectors/edit.html",
        status=status if messages else 200,
        title=f"Edit {found.name}",
        connector=found,
        provider=registry.bound(found, visit.merchant),
        entered=entered,
        version=version,
        messages=messages,
        made=True,
    )


def _version(visit: Visit) -> int:
    """Return the version that the form was made from; 0, which nothing has, for any other text."""
    text = visit.form.text("version")
    fits = text.isascii() and text.isdecimal() and len(text) <= _VERSION_CHARS_MAX
    return int(text) if fits else 0
