"""The form of a webhook: what is in its fields, and what that asks of the endpoint.

``Entered`` is the form as text. It is read from what was sent and made from what is stored, so
that the two can be compared: an edit changes only what differs, and Close asks only then.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, TypeVar

from payhooks import ids
from payhooks.console.forms import Form
from payhooks.control.endpoint_draft import AuthenticationDraft, EndpointDraft, SignatureDraft
from payhooks.control.faults import Faults
from payhooks.ids import KeyId
from payhooks.model.endpoint import (
    AuthenticationType,
    Endpoint,
    OnFailed,
    Ordering,
    SignatureType,
)
from payhooks.model.merchant import Merchant

_CONSOLE: Final = "merchant-console"
# Of the waits that an endpoint was given one by one; here they are kept or replaced by a policy.
OWN_WAITS: Final = "own"
FIELDS: Final = {
    "/label": "label",
    "/url": "url",
    "/events": "events",
    "/authentication/username": "username",
    "/authentication/password": "password",
    "/authentication": "authentication",
    "/signature/key_id": "key_id",
    "/signature": "signature",
    "/dialect": "dialect",
    "/dialect_options": "dialect_options",
    "/retry_policy": "retry_policy",
    "/ordering": "ordering",
    "/on_failed": "on_failed",
    "/rate_limit": "rate_limit",
    "/timeout_s": "timeout_s",
    "/headers": "headers",
}
ADVANCED: Final = (
    "dialect",
    "dialect_options",
    "retry_policy",
    "ordering",
    "on_failed",
    "rate_limit",
    "timeout_s",
    "headers",
)
_PLAIN: Final = ("label", "url", *ADVANCED)
Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """The fields of the form, as text."""

    label: str = ""
    url: str = ""
    events: tuple[str, ...] = ()
    authentication: str = AuthenticationType.NONE
    username: str = ""
    password: str = field(default="", repr=False)
    signature: str = SignatureType.SIGNATURE_KEY
    key_id: str = ""
    dialect: str = "standard"
    dialect_options: str = ""
    retry_policy: str = ""
    ordering: str = Ordering.NONE
    on_failed: str = OnFailed.SKIP
    rate_limit: str = ""
    timeout_s: str = ""
    headers: str = ""
    reset: bool = False  # the authentication is given anew


def of_form(form: Form, *, new: bool) -> Entered:
    """Return what was sent; a new webhook has no authentication that could be kept."""
    reset = new or form.has("reset")
    entered = Entered(
        **{name: _lines(form.text(name)) for name in _PLAIN},
        events=tuple(sorted(set(form.every("events")))),
        signature=form.text("signature"),
        key_id=form.text("key_id"),
        reset=reset,
    )
    if not reset:
        return entered
    kind = form.text("authentication")
    if kind != AuthenticationType.BASIC:
        # What was typed before None was chosen is hidden, and means nothing.
        return replace(entered, authentication=kind)
    return replace(
        entered,
        authentication=kind,
        username=form.text("username"),
        password=form.exact("password"),
    )


def of_endpoint(endpoint: Endpoint) -> Entered:
    """Return what the form shows of a stored endpoint; no secret is in it."""
    key_id = endpoint.signature.key_id
    policy = OWN_WAITS if endpoint.retry_delays_s else endpoint.retry_policy or ""
    return Entered(
        label=endpoint.label,
        url=endpoint.url,
        events=tuple(sorted(set(endpoint.events))),
        signature=endpoint.signature.type,
        key_id="" if key_id is None else ids.to_text(ids.KEY, key_id),
        dialect=endpoint.dialect,
        dialect_options=_paired(endpoint.dialect_options, " = "),
        retry_policy=policy,
        ordering=endpoint.ordering,
        on_failed=endpoint.on_failed,
        rate_limit=_number_text(endpoint.rate_limit_per_s),
        timeout_s=_number_text(endpoint.timeout_s),
        headers=_paired(endpoint.headers, ": "),
    )


def blank(merchant: Merchant) -> Entered:
    """Return the form of a new webhook of this merchant."""
    dialect = _CONSOLE if _CONSOLE in merchant.families else "standard"
    return Entered(dialect=dialect, reset=True)


def changed(before: Entered, after: Entered) -> tuple[str, ...]:
    """Return the names of the fields that differ."""
    names = [name for name in (*_PLAIN, "events") if getattr(before, name) != getattr(after, name)]
    if _signer(before) != _signer(after):
        names.append("signature")
    if after.reset:
        names.append("authentication")
    return tuple(names)


def draft(before: Entered | None, entered: Entered) -> EndpointDraft:
    """Return what the form asks for: all of it, or what differs from *before*.

    Raises:
        InvalidError: A field has no such choice, or is no number.

    """
    names = changed(Entered() if before is None else before, entered)
    if before is None:
        names = tuple(dict.fromkeys((*names, "label", "url", "events", "signature", "dialect")))
    faults = Faults()
    given = {
        _MEMBERS.get(name, name): _READERS[name](entered, faults)
        if name in _READERS
        else getattr(entered, name)
        for name in names
    }
    faults.check()
    return EndpointDraft(**given)


def _authentication(entered: Entered, faults: Faults) -> AuthenticationDraft:
    kind = _chosen(AuthenticationType, entered.authentication, "/authentication", faults)
    if kind is AuthenticationType.BASIC:
        return AuthenticationDraft(type=kind, username=entered.username, secret=entered.password)
    if kind is not AuthenticationType.NONE:
        faults.add("/authentication", "invalid_choice", "Choose None or Basic.")
    return AuthenticationDraft(type=AuthenticationType.NONE)


def _signature(entered: Entered, faults: Faults) -> SignatureDraft:
    kind = _chosen(SignatureType, entered.signature, "/signature", faults)
    if kind is not SignatureType.SOURCE_KEY:
        return SignatureDraft(type=kind)
    key_id = ids.from_text(ids.KEY, entered.key_id)
    if key_id is None:
        faults.add("/signature/key_id", "required", "Choose which Source Key signs.")
        return SignatureDraft(type=SignatureType.NONE)
    return SignatureDraft(type=kind, key_id=KeyId(key_id))


def _signer(entered: Entered) -> tuple[str, str]:
    """Return who signs; the key that was chosen before another signer means nothing."""
    key_id = entered.key_id if entered.signature == SignatureType.SOURCE_KEY else ""
    return entered.signature, key_id


def _chosen(kind: type[Choice], text: str, pointer: str, faults: Faults) -> Choice:
    try:
        return kind(text)
    except ValueError:
        faults.add(pointer, "invalid_choice", "Choose one of these.")
        return next(iter(kind))


def _number(text: str, pointer: str, faults: Faults) -> float | None:
    if not text:
        return None
    try:
        # 20 characters are more than any number that is meant.
        return float(text[:20].replace(",", "."))
    except ValueError:
        faults.add(pointer, "wrong_type", "This is a number, or empty.")
        return None


def _number_text(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _pairs(text: str, between: str, pointer: str, faults: Faults) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, mark, value = line.partition(between)
        if not mark or name.strip() in found:
            faults.add(pointer, "malformed", f"One on each line, each once: name{between} value.")
            break
        found[name.strip()] = value.strip()
    return tuple(found.items())


def _paired(pairs: tuple[tuple[str, str], ...], between: str) -> str:
    return "\n".join(f"{name}{between}{value}".rstrip() for name, value in pairs)


def _lines(text: str) -> str:
    """Return the text with the line ends that we write; browsers send others."""
    return text.replace("\r\n", "\n")


_MEMBERS: Final = {"rate_limit": "rate_limit_per_s"}
# What is not the text as it was typed.
_READERS: Final[Mapping[str, Callable[[Entered, Faults], Any]]] = {
    "authentication": _authentication,
    "signature": _signature,
    "ordering": lambda form, faults: _chosen(Ordering, form.ordering, "/ordering", faults),
    "on_failed": lambda form, faults: _chosen(OnFailed, form.on_failed, "/on_failed", faults),
    "rate_limit": lambda form, faults: _number(form.rate_limit, "/rate_limit", faults),
    "timeout_s": lambda form, faults: _number(form.timeout_s, "/timeout_s", faults),
    "retry_policy": lambda form, _faults: form.retry_policy or None,
    "dialect_options": lambda form, faults: _pairs(
        form.dialect_options, "=", "/dialect_options", faults
    ),
    "headers": lambda form, faults: _pairs(form.headers, ":", "/headers", faults),
}
