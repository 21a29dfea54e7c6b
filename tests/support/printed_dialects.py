"""What the pages of docs/dialects print from the code: a request, how it is sent, what is read."""

import json
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from tests.support.dialect_events import CUSTOM_DIALECT
from tests.support.documented import named, request_in, secret_of, spoken

from payhooks.dialects.registry import DIALECTS
from payhooks.policy.retry import POLICIES
from payhooks.receiver.advice import DECISIONS

# Two names of one wire format share a page.
PAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "standard": ("standard",),
    "owlpay": ("owlpay",),
    "treezor": ("treezor",),
    "merchant-console": ("merchant-console",),
    "foloosi": ("foloosi",),
    "owngateway": ("owngateway", "hyperswitch"),
    "stripe": ("stripe",),
    "cloudevents": ("cloudevents",),
    "custom": ("custom",),
}


def page(name: str) -> str:
    """Return the printed part of the page called *name*."""
    first = PAGES[name][0]
    parts = ["## What is sent"]
    if first == "custom":
        definition = json.dumps(CUSTOM_DIALECT, indent=2, ensure_ascii=False)
        parts += ["With this as the merchant's `custom_dialect`:", f"```json\n{definition}\n```"]
    parts += [
        f"```http\n{_request(first)}\n```",
        f"Signed with the secret `{secret_of(first)}`.",
        _manners(PAGES[name]),
        "## What is read",
        _reading(first),
    ]
    return "\n\n".join(parts)


def overview() -> str:
    """Return one line for each dialect, with its page."""
    rows = []
    for name, dialects in PAGES.items():
        for dialect in dialects:
            said = DIALECTS[dialect]
            rows.append(
                f"| [`{dialect}`]({name}.md) | {_place(dialect)} | `{said.retry_policy}` | "
                f"{said.timeout_s:g} s | {said.in_flight_max} |"
            )
    head = "| Dialect | Signature | Retry policy | Time-out | Requests at once |"
    return "\n".join([head, "|---|---|---|---|---|", *rows])


def decisions() -> str:
    """Return the questions to ask of a request that does not verify, in the order to ask them."""
    rows = []
    for number, decision in enumerate(DECISIONS, start=1):
        codes = ", ".join(f"`{code}`" for code in decision.codes)
        rows.append(f"{number}. **{decision.question}** ({codes})\n\n   If not: {decision.advice}")
    return "\n\n".join(rows)


def _request(dialect: str) -> str:
    request = request_in(dialect)
    url = urlsplit(request.url)
    lines = [f"POST {url.path} HTTP/1.1", f"host: {url.netloc}"]
    lines += [f"{name}: {value}" for name, value in request.headers]
    return "\n".join([*lines, "", request.body.decode()])


def _place(dialect: str) -> str:
    """Return where the signature is: the one header of that name, or else in the body."""
    if dialect == "custom":
        return "as its definition says"
    found = [name for name in named(request_in(dialect)) if "signature" in name]
    if not found:
        return "in the body"
    return f"`{found[0]}`" + ("" if DIALECTS[dialect].signs_by_default else ", where asked for")


def _manners(dialects: tuple[str, ...]) -> str:
    said = DIALECTS[dialects[0]]
    policies = [POLICIES[DIALECTS[name].retry_policy] for name in dialects]
    attempts = " or ".join(
        f"`{policy.name}`: {policy.attempts_max} attempts" for policy in policies
    )
    rows = [
        ("Signed, if the endpoint does not choose", "yes" if said.signs_by_default else "no"),
        ("Retries", f"{attempts} ([when](../retries.md))"),
        (
            "Time for an answer",
            f"{said.timeout_s:g} s, of it {said.connect_timeout_s:g} to connect",
        ),
        ("Requests at once, to one endpoint", f"{said.in_flight_max} from each process"),
        (
            "Events that it cannot carry",
            "none" if spoken(dialects[0]).carries_everything else "some",
        ),
    ]
    return "\n".join(["| How | |", "|---|---|", *[f"| {name} | {text} |" for name, text in rows]])


def _reading(dialect: str) -> str:
    request = request_in(dialect)
    read = spoken(dialect).read(named(request), request.body)
    (first, value), *others = read.ids
    rows = [
        ("Event type", read.event_type),
        ("Object", " ".join(part for part in (read.object_type, read.object_id) if part)),
        ("Dedupe by", f"{first} = {value}"),
        ("Other ids", ", ".join(f"{name} = {text}" for name, text in others)),
        ("When it happened", read.occurred_at and read.occurred_at.isoformat()),
        ("What orders", read.ordered_at and read.ordered_at.isoformat()),
    ]
    return "\n".join(
        [
            "| Of the request above | |",
            "|---|---|",
            *[f"| {name} | {f'`{text}`' if text else 'not said'} |" for name, text in rows],
        ]
    )
