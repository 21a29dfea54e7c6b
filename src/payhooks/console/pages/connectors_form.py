"""The form of a connector: what is in its fields, and what that asks of the control plane.

Which fields there are, the provider says: its secret and credential in its own words, its options.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from payhooks.connectors.contract import Provider
from payhooks.console.forms import Form
from payhooks.control.connector_draft import ConnectorDraft
from payhooks.model.connector import Connector

_OPTION: Final = "option-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """The fields of the form, as text."""

    name: str = ""
    secret: str = field(default="", repr=False)
    credential: str = field(default="", repr=False)
    options: Mapping[str, str] = field(default_factory=dict)  # those that say something
    events: str = ""  # a pattern on each line


def blank(provider: Provider) -> Entered:
    """Return the form of a new connector of this provider, with a name to begin with."""
    defaults = {choice.name: choice.default for choice in provider.choices if choice.default}
    return Entered(name=provider.name, options=defaults)


def of_form(form: Form, provider: Provider) -> Entered:
    """Return what was sent."""
    given = {choice.name: form.text(_OPTION + choice.name) for choice in provider.choices}
    return Entered(
        name=form.text("name"),
        secret=form.text("secret"),
        credential=form.text("credential"),
        options={name: text for name, text in given.items() if text},
        events="\n".join(_patterns(form.text("events"))),
    )


def of_connector(connector: Connector) -> Entered:
    """Return what the form shows of a stored connector; no secret is in it."""
    return Entered(
        name=connector.name,
        options=dict(connector.options),
        events="\n".join(connector.events),
    )


def draft_of_new(entered: Entered, provider: Provider) -> ConnectorDraft:
    """Return the connector that the form asks for."""
    return ConnectorDraft(
        name=entered.name,
        dialect=provider.name,
        secrets=(entered.secret,) if entered.secret else (),
        credential=entered.credential or None,
        options=entered.options,
        events=_patterns(entered.events),
    )


def draft_of_edit(entered: Entered) -> ConnectorDraft:
    """Return what the form changes: secrets are replaced elsewhere, with a fresh second factor."""
    return ConnectorDraft(options=entered.options, events=_patterns(entered.events))


def fields(provider: Provider) -> dict[str, str]:
    """Return the field of each JSON pointer."""
    options = {f"/options/{one.name}": _OPTION + one.name for one in provider.choices}
    return {
        "/name": "name",
        "/secrets": "secret",
        "/secret": "secret",
        "/credential": "credential",
        "/grace_s": "grace",
        "/events": "events",
        **options,
    }


def _patterns(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.split()))
