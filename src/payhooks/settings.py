"""What an operator sets: environment → one frozen Settings, complete or refused at start.

Every name begins with ``PAYHOOKS_``; one that we do not know is an error with a suggestion,
because a setting that is silently not read is worse than none. Each secret may also be given
as ``<NAME>_FILE``, a path to read it from. docs/settings.md documents every field; a test
holds it to that.
"""

import difflib
import ipaddress
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from payhooks.control.context import UrlPolicy
from payhooks.control.keyring import parse_keys
from payhooks.errors import Fault, InvalidError
from payhooks.model.merchant import Mode
from payhooks.policy.address_guard import AllowList
from payhooks.wrong_shape import told

PREFIX: Final = "PAYHOOKS_"
FILE_SUFFIX: Final = "_FILE"
# What tests of this repository set, and what clients of a server read; they are no settings of it.
FOREIGN: Final = ("PAYHOOKS_TEST_", "PAYHOOKS_API_", "PAYHOOKS_OUTBOX_")
SECRETS: Final = frozenset(
    {"database_url", "secret_key", "operator_key", "egress_proxy", "smtp_url"}
)
OPERATOR_KEY_CHARS_MIN: Final = 32
PORT_MAX: Final = 65_535
_FILE_BYTES_MAX: Final = 64 * 1024


def _words(value: object) -> object:
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], BeforeValidator(_words)]


class Settings(BaseModel):
    """Everything that can be set, checked."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    database_url: SecretStr = Field(
        description="Where everything is kept: sqlite:///path/to/file.db (one process) or "
        "postgresql://user:password@host/name (any number)."
    )
    secret_key: SecretStr = Field(
        description="Seals secrets at rest: 32 random bytes as base64 or hex. More keys after "
        "commas open what older ones sealed. Make one with: payhooks keys generate-secret"
    )
    operator_key: SecretStr | None = Field(
        default=None,
        description="An API key that may do everything, for whoever runs the installation. At "
        "least 32 characters. Without it, make one with: payhooks keys create first --operator",
    )
    listen: str = Field(
        default="127.0.0.1:8420", description="Address and port that the API listens on."
    )
    workers: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Serving processes on one port. More than one needs PostgreSQL.",
    )
    allow_http: bool = Field(
        default=False,
        description="Whether endpoints of live merchants may use plain http. Those of sandbox "
        "merchants always may.",
    )
    egress_allow: Words = Field(
        default=(),
        description="Private addresses that endpoints may nevertheless have: networks such as "
        "10.1.0.0/16, or host names, separated by spaces or commas.",
    )
    egress_proxy: SecretStr | None = Field(
        default=None,
        description="An http proxy through which every delivery goes: http://user:password@host:port.",
    )
    egress_ca_bundle: Path | None = Field(
        default=None,
        description="Certificates to trust instead of the system's, in PEM.",
    )
    public_url_sandbox: str | None = Field(
        default=None,
        description="Where sandbox merchants and their providers reach this installation. Without "
        "it, URLs that are made for them begin with http:// and PAYHOOKS_LISTEN.",
    )
    public_url_live: str | None = Field(
        default=None,
        description="Where live merchants and their providers reach this installation. Without "
        "it, URLs that are made for them begin with http:// and PAYHOOKS_LISTEN.",
    )
    retention_days: int = Field(
        default=30,
        ge=1,
        le=3650,
        description="Days that events with their keys, receipts, deliveries and attempts are kept.",
    )
    drain_grace_s: float = Field(
        default=25.0,
        ge=0,
        le=300,
        description="Seconds that requests under way get to end when the process is stopped.",
    )
    trusted_proxies: Words = Field(
        default=(),
        description="Networks of proxies in front of us whose X-Forwarded-For is believed: audit "
        "entries and the back-off of failed logins then go by the address that it names.",
    )
    smtp_url: SecretStr | None = Field(
        default=None,
        description="The mail server for invitations to the console: smtps://user:password@host, "
        "or smtp:// for TLS where it is offered; ?from=hooks%40example.com names the sender. "
        "Without it, links are shown to the inviter only.",
    )
    console_factor_s: int = Field(
        default=900,
        ge=60,
        le=3_600,
        description="Seconds for which a second factor opens Settings → Webhooks in the console.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least severe log line that is written."
    )
    traces: bool = Field(
        default=False,
        description="Whether attempts are traced with OpenTelemetry, as OTEL_* say; needs "
        "payhooks[otel].",
    )

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, value: SecretStr) -> SecretStr:
        scheme = value.get_secret_value().partition(":")[0]
        if scheme not in {"sqlite", "postgresql", "postgres"}:
            raise ValueError("must begin with sqlite:/// or postgresql://")
        if scheme == "sqlite" and not _sqlite_path(value).name:
            raise ValueError("must name a file, as in sqlite:///var/payhooks.db")
        if scheme != "sqlite":
            _demand_plain_authority(value)
        return value

    @field_validator("operator_key")
    @classmethod
    def _check_operator_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < OPERATOR_KEY_CHARS_MIN:
            raise ValueError(f"must have at least {OPERATOR_KEY_CHARS_MIN} characters")
        return value

    @field_validator("listen")
    @classmethod
    def _check_listen(cls, value: str) -> str:
        host, separator, port = value.rpartition(":")
        if not separator or not host or not (port.isascii() and port.isdecimal()):
            raise ValueError("must be address:port, as in 127.0.0.1:8420")
        if int(port) > PORT_MAX:
            raise ValueError("has no such port")
        return value

    @field_validator("secret_key")
    @classmethod
    def _check_secret_key(cls, value: SecretStr) -> SecretStr:
        try:
            parse_keys(value.get_secret_value())
        except InvalidError as error:
            raise ValueError(" ".join(fault.detail for fault in error.faults)) from None
        return value

    @field_validator("egress_allow")
    @classmethod
    def _check_egress_allow(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            AllowList.of(value)
        except InvalidError as error:
            raise ValueError(" ".join(fault.detail for fault in error.faults)) from None
        return value

    @field_validator("egress_proxy")
    @classmethod
    def _check_egress_proxy(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value.get_secret_value())
            whole = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError:
            whole = False
        if not whole:
            raise ValueError("must be a URL, as in http://proxy.example.com:3128")
        _demand_plain_authority(value)
        return value

    @field_validator("smtp_url")
    @classmethod
    def _check_smtp_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value.get_secret_value())
            whole = parts.scheme in {"smtp", "smtps"} and parts.hostname and parts.port != 0
        except ValueError:
            whole = False
        if not whole:
            raise ValueError("must be a URL, as in smtps://user:password@mail.example.com")
        _demand_plain_authority(value)
        return value

    @field_validator("egress_ca_bundle")
    @classmethod
    def _check_ca_bundle(cls, value: Path | None) -> Path | None:
        # Found out by the first delivery it would be every endpoint's TLS that seems at fault.
        if value is not None and not value.is_file():
            raise ValueError("names no file")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _check_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for place, word in enumerate(value, start=1):
            try:
                ipaddress.ip_network(word)
            except ValueError:
                # Its own message would repeat the value.
                raise ValueError(f"entry {place} is not a network such as 10.1.0.0/16") from None
        return value

    @field_validator("public_url_sandbox", "public_url_live")
    @classmethod
    def _check_public_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must be a URL, as in https://hooks.example.com")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.sqlite_path is not None and self.workers > 1:
            raise ValueError("SQLite has one process; use PostgreSQL for more")
        return self

    @property
    def sqlite_path(self) -> Path | None:
        """The file, where the store is SQLite."""
        if not self.database_url.get_secret_value().startswith("sqlite:"):
            return None
        return _sqlite_path(self.database_url)

    @property
    def host_and_port(self) -> tuple[str, int]:
        """Where to listen."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def retention(self) -> timedelta:
        """How long things are kept."""
        return timedelta(days=self.retention_days)

    @property
    def public_hosts(self) -> frozenset[str]:
        """Our own public names, which no endpoint may point to."""
        urls = (self.public_url_sandbox, self.public_url_live)
        return frozenset(str(urlsplit(url).hostname) for url in urls if url)

    @property
    def own_url(self) -> str:
        """Where we are for whoever is on this machine."""
        return f"http://{self.listen}"

    @property
    def url_policy(self) -> UrlPolicy:
        """What is said about URLs of endpoints, and where inboxes are."""
        public, own = self.public_url_sandbox, self.own_url
        of_mode = {Mode.SANDBOX: public, Mode.LIVE: self.public_url_live}
        return UrlPolicy(
            allow_http=self.allow_http,
            allowed=AllowList.of(self.egress_allow),
            own_hosts=self.public_hosts,
            inboxes=f"{public or own}/in/",
            inbox_host=urlsplit(public).hostname if public else None,
            webhooks={mode: f"{url or own}/webhooks/" for mode, url in of_mode.items()},
            webhook_hosts={
                mode: urlsplit(url).hostname if url else None for mode, url in of_mode.items()
            },
        )


def load(environment: Mapping[str, str]) -> Settings:
    """Return the settings in *environment*.

    Raises:
        InvalidError: One fault per name that is missing, unknown or wrong; the pointer is the
            name, and no value is repeated.

    """
    values: dict[str, str] = {}
    faults: list[Fault] = []
    for name in sorted(environment):
        if name.startswith(PREFIX) and not name.startswith(FOREIGN):
            _take(name, environment, values, faults)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise InvalidError([*faults, *map(_fault, error.errors())]) from None
    if faults:
        raise InvalidError(faults)
    return settings


def _take(
    name: str, environment: Mapping[str, str], values: dict[str, str], faults: list[Fault]
) -> None:
    field = name.removeprefix(PREFIX).lower()
    if field in Settings.model_fields:
        values[field] = environment[name]
        return
    of_file = field.removesuffix(FILE_SUFFIX.lower())
    if of_file != field and of_file in SECRETS:
        if f"{PREFIX}{of_file.upper()}" in environment:
            faults.append(_wrong(name, "both", "is given as a value and as a file; choose one"))
            return
        try:
            raw = Path(environment[name]).read_bytes()
        except OSError as error:
            faults.append(_wrong(name, "unreadable", f"cannot be read: {error.strerror}"))
            return
        if len(raw) > _FILE_BYTES_MAX:
            faults.append(_wrong(name, "too_long", "names a file that is too large"))
            return
        values[of_file] = raw.decode("utf-8", "replace").strip()
        return
    known = [PREFIX + each.upper() for each in Settings.model_fields]
    known += [PREFIX + each.upper() + FILE_SUFFIX for each in SECRETS]
    near = difflib.get_close_matches(name[:64], known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    faults.append(_wrong(name, "unknown_setting", f"is not a setting{hint}"))


def _fault(error: Mapping[str, object]) -> Fault:
    location = error["loc"]
    assert isinstance(location, tuple)
    code, detail = told(error)
    # The name stands before it.
    detail = detail.removeprefix("This ").removesuffix(".")
    if not location:
        # What is checked together is so far the number of processes.
        return _wrong(f"{PREFIX}WORKERS", "settings", detail)
    name = PREFIX + str(location[0]).upper()
    if code == "required":
        description = Settings.model_fields[str(location[0])].description or ""
        return _wrong(name, code, f"is required. {description}")
    return _wrong(name, code, detail)


def _wrong(name: str, code: str, detail: str) -> Fault:
    return Fault(pointer=name, code=code, detail=detail)


def _demand_plain_authority(url: SecretStr) -> None:
    """Refuse a URL of which a part of the password would be read as host, path or query.

    Whoever reads it so would show that part, in a message or in a list of settings.
    """
    try:
        parts = urlsplit(url.get_secret_value())
    except ValueError:
        split = True
    else:
        split = bool(parts.fragment) or "@" in f"{parts.path}?{parts.query}"
    if split:
        raise ValueError("has a # or @ that is no separator; spell / ? # @ in a password as %2F …")


def _sqlite_path(url: SecretStr) -> Path:
    # sqlite:///relative/path and sqlite:////absolute/path, as elsewhere.
    return Path(url.get_secret_value().removeprefix("sqlite://").removeprefix("/"))
