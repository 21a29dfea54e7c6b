"""Settings as rows for people: every value with its source, secrets masked."""

from os import environ
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from payhooks.settings import FILE_SUFFIX, PREFIX, SECRETS, Settings

_MASK: Final = "********"


def rows(settings: Settings) -> list[dict[str, str]]:
    """Return one row per setting, in the order of docs/settings.md."""
    return [
        {
            "setting": f"{PREFIX}{name.upper()}",
            "value": _shown(name, getattr(settings, name)),
            "source": _source(name),
        }
        for name in Settings.model_fields
    ]


def _shown(name: str, value: object) -> str:
    match value:
        case None | ():
            return "not set"
        case SecretStr():
            text = value.get_secret_value()
            return _without_password(text) if name in _URLS else _MASK
        case bool():
            return "true" if value else "false"
        case tuple():
            return " ".join(map(str, value))
        case _:
            return str(value)


# Of these the rest is worth seeing: which host, which database.
_URLS: Final = frozenset({"database_url", "egress_proxy", "smtp_url"})


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if parts.username is None and parts.password is None and not parts.query:
        return url
    host = parts.netloc.rpartition("@")[2]
    user = f"{parts.username or ''}:{_MASK}@" if "@" in parts.netloc else ""
    # libpq takes a password among the parameters too.
    query = f"?{_MASK}" if parts.query else ""
    return f"{parts.scheme}://{user}{host}{parts.path}{query}"


def _source(name: str) -> str:
    variable = f"{PREFIX}{name.upper()}"
    if variable in environ:
        return "environment"
    if name in SECRETS and variable + FILE_SUFFIX in environ:
        return f"file {environ[variable + FILE_SUFFIX]}"
    return "default"
