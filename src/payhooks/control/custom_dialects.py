"""A merchant's own webhook format: checked when it is set, kept as long as endpoints speak it."""

import msgspec

from payhooks.control.context import Control
from payhooks.control.endpoint_draft import check_header_name, demand_distinct_headers
from payhooks.control.faults import Faults
from payhooks.dialects import custom
from payhooks.errors import InvalidError, WrongStateError
from payhooks.model.custom_dialect import (
    CustomDialect,
    HmacAlgorithm,
    SignatureEncoding,
    TimestampUnit,
)
from payhooks.model.endpoint import Endpoint
from payhooks.model.merchant import Merchant


class CustomDialectDraft(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller wants the format to be; members as in CustomDialect."""

    signature_header: str
    signature_prefix: str
    algorithm: HmacAlgorithm
    encoding: SignatureEncoding
    signed: str
    timestamp_header: str | None
    timestamp_unit: TimestampUnit
    id_header: str | None
    content_type: str
    envelope: str


def check(draft: CustomDialectDraft, faults: Faults) -> None:
    """Check the draft, every member of it."""
    for member in ("signature_header", "timestamp_header", "id_header"):
        header = getattr(draft, member)
        if header is not None:
            check_header_name(f"/custom_dialect/{member}", header, faults)
    try:
        custom.bind(_definition(draft, version=1))
    except InvalidError as error:
        faults.extend(error.faults)


def defined(draft: CustomDialectDraft, merchant: Merchant) -> CustomDialect:
    """Return the format as *merchant*, in its version with the edit, has it."""
    current = merchant.custom_dialect
    if current is not None and current == _definition(draft, version=current.version):
        return current
    return _definition(draft, version=merchant.version)


async def demand_unused(control: Control, merchant: Merchant) -> None:
    """Refuse to remove a format that endpoints speak, or connectors hear.

    Raises:
        WrongStateError: Says how many do.

    """
    [routing] = await control.store.routing([merchant.id])
    speaking = sum(map(_speaks_it, routing.endpoints))
    if any(connector.dialect == custom.NAME for connector in routing.connectors):
        # Without it nothing that its senders sign would be verified any more.
        raise WrongStateError("A connector hears the custom dialect; delete it first.")
    if speaking:
        noun = "endpoint speaks" if speaking == 1 else "endpoints speak"
        raise WrongStateError(f"{speaking} {noun} the custom dialect; give them another first.")


async def demand_distinct(control: Control, merchant: Merchant) -> None:
    """Refuse a format with a header that an endpoint which speaks it sets as well.

    Raises:
        InvalidError: There is one.

    """
    assert merchant.custom_dialect is not None
    dialect = custom.bind(merchant.custom_dialect)
    [routing] = await control.store.routing([merchant.id])
    for endpoint in filter(_speaks_it, routing.endpoints):
        try:
            demand_distinct_headers(dialect, endpoint)
        except InvalidError:
            detail = "An endpoint that speaks it has one of its headers already."
            raise InvalidError.at("/custom_dialect", "duplicate", detail) from None


def _speaks_it(endpoint: Endpoint) -> bool:
    return endpoint.dialect == custom.NAME


def _definition(draft: CustomDialectDraft, *, version: int) -> CustomDialect:
    return CustomDialect(version=version, **msgspec.structs.asdict(draft))
