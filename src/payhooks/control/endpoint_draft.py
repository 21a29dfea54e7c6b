"""What a caller wants an endpoint to be, checked: the same rules for a new one and an edit."""

import math
import re
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from payhooks import limits
from payhooks.catalogue import CATALOGUE
from payhooks.catalogue.registry import PAYHOOKS
from payhooks.control.context import Control
from payhooks.control.faults import Faults
from payhooks.dialects import registry
from payhooks.dialects.contract import Dialect
from payhooks.errors import InvalidError
from payhooks.ids import KeyId, MerchantId
from payhooks.model.endpoint import (
    AuthenticationType,
    Endpoint,
    OnFailed,
    Ordering,
    SignatureType,
)
from payhooks.model.merchant import Merchant, Mode
from payhooks.policy import retry
from payhooks.policy.hook_url import UrlRules, read_hook_url
from payhooks.policy.match import is_valid_pattern

TIMEOUT_S_MIN: Final = 1.0
RATE_PER_S_MIN: Final = 0.01
RATE_PER_S_MAX: Final = 1_000.0
_CREDENTIAL_CHARS_MAX: Final = 1_024
_USERNAME_CHARS_MAX: Final = 255

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_FIELD_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
# What frames, routes or signs a request is ours to write; who calls is `authentication`.
_HEADERS_DENIED: Final = frozenset(
    {
        "accept-encoding", "authorization", "connection", "content-digest", "content-encoding",
        "content-length", "content-type", "cookie", "date", "expect", "forwarded", "host",
        "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "via",
    }
)  # fmt: skip
_HEADER_PREFIXES_DENIED: Final = ("proxy-", "webhook-", "x-forwarded-", "sec-")


class AuthenticationDraft(msgspec.Struct, frozen=True, kw_only=True):
    """How the receiver wants to see who calls. ``secret``: password, token or header value."""

    type: AuthenticationType
    username: str | None = None
    name: str | None = None
    secret: str | None = None

    def __repr__(self) -> str:
        """Return the kind alone: reprs end up in logs and in failing tests."""
        return f"AuthenticationDraft({self.type})"


class SignatureDraft(msgspec.Struct, frozen=True, kw_only=True):
    """Which secret signs."""

    type: SignatureType
    key_id: KeyId | None = None


class EndpointDraft(msgspec.Struct, frozen=True, kw_only=True):
    """What is unset keeps its value, or its default where the endpoint is new."""

    label: str | UnsetType = UNSET
    url: str | UnsetType = UNSET
    events: tuple[str, ...] | UnsetType = UNSET
    dialect: str | UnsetType = UNSET
    dialect_options: tuple[tuple[str, str], ...] | UnsetType = UNSET
    authentication: AuthenticationDraft | UnsetType = UNSET
    signature: SignatureDraft | UnsetType = UNSET
    retry_policy: str | tuple[float, ...] | UnsetType | None = UNSET
    ordering: Ordering | UnsetType = UNSET
    on_failed: OnFailed | UnsetType = UNSET
    rate_limit_per_s: float | UnsetType | None = UNSET
    timeout_s: float | UnsetType | None = UNSET
    headers: tuple[tuple[str, str], ...] | UnsetType = UNSET


async def checked(control: Control, merchant: Merchant, draft: EndpointDraft) -> EndpointDraft:
    """Return the draft with its URL in canonical form.

    Raises:
        InvalidError: Names every member that is wrong.

    """
    faults = Faults()
    if draft.label is not UNSET:
        faults.text("/label", draft.label, chars_max=limits.LABEL_CHARS_MAX)
    url = draft.url
    if url is not UNSET:
        try:
            url = canonical_url(control, merchant, url)
        except InvalidError as error:
            faults.extend(error.faults)
    if draft.events is not UNSET:
        await check_events(control, merchant, draft.events, faults)
    if draft.dialect is not UNSET:
        try:
            registry.choose(draft.dialect, merchant)
        except InvalidError as error:
            faults.extend(error.faults)
    if draft.authentication is not UNSET:
        _check_authentication(draft.authentication, faults)
    if draft.headers is not UNSET:
        _check_headers(draft.headers, faults)
    _check_signature(draft, faults)
    _check_sending(draft, faults)
    faults.check()
    return msgspec.structs.replace(draft, url=url)


def canonical_url(control: Control, merchant: Merchant, url: str) -> str:
    """Return the URL as it is stored and called.

    Raises:
        InvalidError: At ``/url``; it is not one that we call.

    """
    in_sandbox = merchant.mode is Mode.SANDBOX
    rules = UrlRules(
        allow_http=control.urls.allow_http or in_sandbox,
        allowed=control.urls.allowed,
        own_hosts=control.urls.own_hosts,
        inboxes=control.urls.inboxes if in_sandbox else None,
    )
    return read_hook_url(url, pointer="/url", rules=rules).url


def demand_distinct_headers(dialect: Dialect, endpoint: Endpoint) -> None:
    """Refuse a header that two parts of a request would write; an edit may give one of them.

    Raises:
        InvalidError: At ``/headers`` or ``/authentication/name``.

    """
    named = (endpoint.authentication.name or "").lower()
    names = {name.lower() for name, _ in endpoint.headers}
    if named in names:
        detail = "The header of the authentication is given here too."
        raise InvalidError.at("/headers", "duplicate", detail)
    # Two signatures in one request are none: receivers join them, or take the wrong one.
    detail = "The dialect writes this header."
    if names & dialect.own_headers:
        raise InvalidError.at("/headers", "duplicate", detail)
    if named in dialect.own_headers:
        raise InvalidError.at("/authentication/name", "duplicate", detail)


async def next_number(control: Control, merchant_id: MerchantId) -> int:
    """Return a number that no endpoint of the merchant had; it is in the ids of its deliveries.

    Raises:
        InvalidError: The merchant has had as many as it may.

    """
    number = await control.store.next_number(merchant_id)
    if number > limits.ENDPOINTS_PER_MERCHANT_MAX:
        detail = f"A merchant has at most {limits.ENDPOINTS_PER_MERCHANT_MAX} endpoints."
        raise InvalidError.at("", "quota", detail)
    return number


async def check_events(
    control: Control, merchant: Merchant, events: tuple[str, ...], faults: Faults
) -> None:
    """Check the patterns of a subscription."""
    if not events:
        faults.add("/events", "too_few", "Select at least one event type.")
        return
    if len(events) > limits.PATTERNS_PER_ENDPOINT_MAX:
        detail = f"At most {limits.PATTERNS_PER_ENDPOINT_MAX} patterns are allowed."
        faults.add("/events", "too_many", detail)
        return
    aliases = {}
    for place, pattern in enumerate(events):
        if not is_valid_pattern(pattern):
            faults.add(
                f"/events/{place}",
                "invalid_pattern",
                "Use an event type, or a beginning and a star: payment.paid, payment.*, *.",
            )
        elif (type_ := CATALOGUE.meant(pattern, merchant.families)) is not None:
            aliases[place] = (pattern, type_)
    if not aliases:
        return
    # As it is now: a type that was just registered may have the word for its own name.
    book = CATALOGUE.with_own(await control.store.event_types())
    for place, (pattern, type_) in aliases.items():
        if book.family_of(pattern, merchant.families) in {None, PAYHOOKS}:
            # What is published under it has the type's own name, so it would hear nothing.
            detail = f"This is another name of {type_.name}; select that one."
            faults.add(f"/events/{place}", "alias", detail)


def _check_authentication(draft: AuthenticationDraft, faults: Faults) -> None:
    at = "/authentication"
    kind = draft.type
    wants_username = kind is AuthenticationType.BASIC
    wants_name = kind is AuthenticationType.HEADER
    wants_secret = kind is not AuthenticationType.NONE
    if (draft.username is not None) != wants_username:
        faults.add(f"{at}/username", *_missing_or_extra(wanted=wants_username))
    if (draft.name is not None) != wants_name:
        faults.add(f"{at}/name", *_missing_or_extra(wanted=wants_name))
    if (draft.secret is not None) != wants_secret:
        member = {
            AuthenticationType.NONE: "password",
            AuthenticationType.BASIC: "password",
            AuthenticationType.BEARER: "token",
            AuthenticationType.HEADER: "value",
        }[kind]
        faults.add(f"{at}/{member}", *_missing_or_extra(wanted=wants_secret))
    if draft.username is not None:
        faults.text(f"{at}/username", draft.username, chars_max=_USERNAME_CHARS_MAX)
        if ":" in draft.username:
            # Basic joins name and password with one; the receiver would split at the wrong place.
            faults.add(f"{at}/username", "invalid_character", "A colon is not allowed here.")
    if draft.name is not None:
        check_header_name(f"{at}/name", draft.name, faults)
    if draft.secret is not None:
        _check_credential(draft, faults)


def _missing_or_extra(*, wanted: bool) -> tuple[str, str]:
    if wanted:
        return "required", "This type of authentication needs it."
    return "not_allowed", "This type of authentication does not have it."


def _check_credential(draft: AuthenticationDraft, faults: Faults) -> None:
    assert draft.secret is not None
    member = {"basic": "password", "bearer": "token"}.get(draft.type, "value")
    pointer = f"/authentication/{member}"
    if len(draft.secret) > _CREDENTIAL_CHARS_MAX:
        faults.add(pointer, "too_long", f"At most {_CREDENTIAL_CHARS_MAX} characters are allowed.")
    elif draft.type is AuthenticationType.BASIC:
        if not draft.secret.isprintable() or not draft.secret:
            faults.add(pointer, "invalid_character", "Use printable characters, at least one.")
    elif not _FIELD_VALUE.fullmatch(draft.secret):
        faults.add(pointer, "invalid_character", "Use printable ASCII, no spaces at the ends.")


def _check_headers(headers: tuple[tuple[str, str], ...], faults: Faults) -> None:
    if len(headers) > limits.CUSTOM_HEADERS_MAX:
        faults.add("/headers", "too_many", f"At most {limits.CUSTOM_HEADERS_MAX} are allowed.")
        return
    if sum(len(name) + len(value) for name, value in headers) > limits.CUSTOM_HEADER_BYTES_MAX:
        detail = f"At most {limits.CUSTOM_HEADER_BYTES_MAX} bytes in all are allowed."
        faults.add("/headers", "too_long", detail)
    names = [name.lower() for name, _ in headers]
    if len(set(names)) < len(names):
        faults.add("/headers", "duplicate", "A header is given twice.")
    for place, (name, value) in enumerate(headers):
        # By place: a name that is refused may hold anything, and is not echoed.
        pointer = f"/headers/{place}"
        check_header_name(pointer, name, faults)
        if value and not _FIELD_VALUE.fullmatch(value):
            detail = "A value is printable ASCII, no spaces at the ends."
            faults.add(pointer, "invalid_character", detail)


def check_header_name(pointer: str, name: str, faults: Faults) -> None:
    """Check the name of a header that a merchant wants written."""
    lower = name.lower()
    if not _TOKEN.fullmatch(name):
        faults.add(pointer, "invalid_header_name", "This cannot name a header.")
    elif lower in _HEADERS_DENIED or lower.startswith(_HEADER_PREFIXES_DENIED):
        faults.add(pointer, "header_not_allowed", "This header is ours to write.")


def _check_signature(draft: EndpointDraft, faults: Faults) -> None:
    if draft.signature is UNSET:
        return
    wanted = draft.signature.type is SignatureType.SOURCE_KEY
    if (draft.signature.key_id is not None) != wanted:
        code = "required" if wanted else "not_allowed"
        detail = "Name the Source Key." if wanted else "Only a Source Key is named."
        faults.add("/signature/key_id", code, detail)


def _check_sending(draft: EndpointDraft, faults: Faults) -> None:
    if isinstance(draft.retry_policy, str) and draft.retry_policy not in retry.POLICIES:
        detail = f"There are: {', '.join(retry.POLICIES)}; or give a list of seconds."
        faults.add("/retry_policy", "unknown_retry_policy", detail)
    elif isinstance(draft.retry_policy, tuple):
        try:
            retry.custom(draft.retry_policy)
        except InvalidError as error:
            faults.extend(error.faults)
    _check_range(draft.rate_limit_per_s, "/rate_limit", (RATE_PER_S_MIN, RATE_PER_S_MAX), faults)
    _check_range(draft.timeout_s, "/timeout_s", (TIMEOUT_S_MIN, limits.TIMEOUT_S_MAX), faults)


def _check_range(
    value: float | UnsetType | None, pointer: str, bounds: tuple[float, float], faults: Faults
) -> None:
    if value is None or value is UNSET:
        return
    least, most = bounds
    if not math.isfinite(value) or not least <= value <= most:
        faults.add(pointer, "out_of_range", f"This is between {least} and {most}.")
