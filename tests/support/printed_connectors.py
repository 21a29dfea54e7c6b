"""The providers that can be heard, as docs/connectors/providers.md prints them."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from payhooks.connectors.contract import Choice, Provider, SecretWords, Source
from payhooks.connectors.registry import PROVIDERS

_KNOWN_BY: Final = {
    Source.SIGNATURE: "a signature",
    Source.CREDENTIALS: "a password",
    Source.FETCH: "asking the provider",
}
_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)


def providers() -> str:
    """Return a section per provider, by title."""
    found = sorted(PROVIDERS.values(), key=lambda one: one.title.lower())
    return "\n\n".join("\n".join(_section(one)) for one in found)


def _section(provider: Provider) -> Iterator[str]:
    guide = provider.guide
    yield f"## {provider.title}: `{provider.name}`"
    yield ""
    yield f"- Where to paste the URL: {guide.where}"
    yield f"- Which events: {guide.events}"
    yield f"- What to bring back: {guide.secret}"
    yield f"- Its requests are known by {_KNOWN_BY[provider.source]}. See <{guide.source_url}>."
    for member, words in (("secrets", provider.secret), ("credential", provider.credential)):
        if words is not None:
            yield _secret(member, words)
    for choice in provider.choices:
        yield _choice(choice)
    if provider.waits:
        waits = [f"`{event}` {_span(usual)}" for event, usual in provider.waits.items()]
        yield f"- Overdue after: {', '.join(waits)}."


def _secret(member: str, words: SecretWords) -> str:
    needed = "" if words.required else " Not always needed."
    return f"- `{member}`, {words.label}: {words.words}{needed}"


def _choice(choice: Choice) -> str:
    values = " | ".join(f"`{value}`" for value in choice.values)
    default = f"`{choice.default}` unless you choose" if choice.default else ""
    said = "; ".join(filter(None, (values, default)))
    said = f" ({said})" if said else ""
    return f"- Option `{choice.name}`{said}: {choice.words}"


def _span(usual: timedelta) -> str:
    unit, name = (_DAY, "day") if usual % _DAY == timedelta() else (_HOUR, "hour")
    count = usual / unit
    return f"{count:g} {name}{'' if count == 1 else 's'}"
