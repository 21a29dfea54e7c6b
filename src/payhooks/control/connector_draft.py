"""What a caller wants a connector to be, checked: the same rules for a new one and an edit."""

import re
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from payhooks import limits
from payhooks.connectors import registry
from payhooks.connectors.contract import Provider
from payhooks.control.faults import Faults
from payhooks.dialects import custom
from payhooks.errors import Fault, InvalidError
from payhooks.model.connector import Connector
from payhooks.model.merchant import Merchant
from payhooks.model.secret import SealedSecret, SecretPurpose
from payhooks.policy.match import is_valid_pattern

NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_SECRET_CHARS_MAX: Final = 1_024  # Providers' longest have some hundred.
_OPTIONS_MAX: Final = 20
_OPTION_CHARS_MAX: Final = 1_024
_HIDDEN: Final = "(not shown)"


class ConnectorDraft(msgspec.Struct, frozen=True, kw_only=True):
    """What is unset keeps its value, or its default where the connector is new."""

    name: str | UnsetType = UNSET
    dialect: str | UnsetType = UNSET
    secrets: tuple[str, ...] | UnsetType = UNSET  # newest first
    credential: str | UnsetType | None = UNSET  # None: it has none any more
    options: Mapping[str, str] | UnsetType = UNSET
    events: tuple[str, ...] | UnsetType = UNSET

    def __repr__(self) -> str:
        """Return the name alone: reprs end up in logs and in failing tests."""
        return f"ConnectorDraft({self.name!r})"


def check_name(name: str | UnsetType, faults: Faults) -> None:
    """Check what a new connector is called."""
    if name is UNSET or not NAME.fullmatch(name):
        detail = "Use a to z, 0 to 9 and hyphens inside: up to 64, as it ends the URL."
        faults.add("/name", "malformed", detail)


def is_heard(merchant: Merchant, dialect: str | UnsetType, faults: Faults) -> bool:
    """Check that there is such a provider for this merchant; say whether there is."""
    if dialect is UNSET:
        faults.add("/dialect", "required", "Say which provider sends.")
        return False
    try:
        registry.find(dialect)
    except InvalidError as error:
        faults.extend(error.faults)
        return False
    if dialect == custom.NAME and merchant.custom_dialect is None:
        detail = "Set the merchant's custom_dialect first."
        faults.add("/dialect", "undefined_dialect", detail)
        return False
    return True


def check_plain(draft: ConnectorDraft, faults: Faults) -> None:
    """Check what is the same for every provider: sizes, and how events are selected."""
    events = () if draft.events is UNSET else draft.events
    if len(events) > limits.PATTERNS_PER_ENDPOINT_MAX:
        detail = f"At most {limits.PATTERNS_PER_ENDPOINT_MAX} patterns are allowed."
        faults.add("/events", "too_many", detail)
    for place, pattern in enumerate(events[: limits.PATTERNS_PER_ENDPOINT_MAX]):
        if not is_valid_pattern(pattern):
            detail = "Use the provider's word for an event, or a beginning and a star: payment.*."
            faults.add(f"/events/{place}", "invalid_pattern", detail)
    texts = () if draft.secrets is UNSET else draft.secrets
    if len(texts) > limits.LIVE_SECRETS_MAX:
        detail = f"At most {limits.LIVE_SECRETS_MAX} secrets live at once."
        faults.add("/secrets", "too_many", detail)
    for place, text in enumerate(texts[: limits.LIVE_SECRETS_MAX]):
        _check_secret(f"/secrets/{place}", text, faults)
    if isinstance(draft.credential, str):
        _check_secret("/credential", draft.credential, faults)
    options = {} if draft.options is UNSET else draft.options
    if len(options) > _OPTIONS_MAX:
        faults.add("/options", "too_many", f"At most {_OPTIONS_MAX} options are allowed.")
    elif any(len(value) > _OPTION_CHARS_MAX for value in options.values()):
        detail = f"At most {_OPTION_CHARS_MAX} characters are allowed."
        faults.add("/options", "too_long", detail)


def _check_secret(pointer: str, text: str, faults: Faults) -> None:
    if not text or text.strip() != text or not text.isprintable():
        # Pasted with a blank or a line behind it, it would verify nothing, and look right.
        faults.add(pointer, "invalid_character", "Paste it without blanks and lines around it.")
    elif len(text) > _SECRET_CHARS_MAX:
        faults.add(pointer, "too_long", f"At most {_SECRET_CHARS_MAX} characters are allowed.")


def check_settings(provider: Provider, draft: ConnectorDraft, faults: Faults) -> None:
    """Check what the provider itself wants, where nothing is wrong with it as it stands."""
    options = {} if draft.options is UNSET else draft.options
    texts = () if draft.secrets is UNSET else draft.secrets
    credential = None if draft.credential is UNSET else draft.credential
    try:
        provider.check(options, texts, credential)
    except InvalidError as error:
        faults.extend(error.faults)


def check_rotation(provider: Provider, connector: Connector, secret: str, grace_s: int) -> None:
    """Return if the connector can have this secret beside the others for so long.

    Raises:
        InvalidError: At ``/grace_s`` or ``/secret``.

    """
    faults = Faults()
    if not 0 <= grace_s <= limits.ROTATION_GRACE_S_MAX:
        detail = f"A grace is between 0 and {limits.ROTATION_GRACE_S_MAX} seconds."
        faults.add("/grace_s", "out_of_range", detail)
    _check_secret("/secret", secret, faults)
    if provider.secret is None:
        faults.add("/secret", "not_allowed", "This provider signs with nothing that is kept here.")
    faults.check()
    try:
        provider.check(dict(connector.options), [secret], None)
    except InvalidError as error:
        # What else it wants, it has: of this check only what is said of the secret counts.
        faults.extend(
            Fault(pointer="/secret", code=fault.code, detail=fault.detail)
            for fault in error.faults
            if fault.pointer.startswith("/secrets")
        )
    faults.check()


def said_of_secrets(draft: ConnectorDraft) -> dict[str, object]:
    """Return what the audit log says of secrets: that there are others now."""
    given = {"secrets": draft.secrets, "credential": draft.credential}
    return {
        member: [_HIDDEN, "(changed)" if value else None]
        for member, value in given.items()
        if value is not UNSET
    }


def replaces(draft: ConnectorDraft, secret: SealedSecret) -> bool:
    """Whether the draft has something in the place of a secret that the connector has."""
    if secret.purpose is SecretPurpose.CONNECTOR_CREDENTIAL:
        return draft.credential is not UNSET
    return draft.secrets is not UNSET
