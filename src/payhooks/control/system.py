"""Changes that nobody asked for by hand: what receivers' answers, failure and silence bring."""

from contextlib import suppress

from payhooks.control import endpoints, listen
from payhooks.control.context import SYSTEM, Control, upon_what_is_there
from payhooks.control.endpoints import Move
from payhooks.errors import NotFoundError, StaleVersionError, WrongStateError
from payhooks.ids import EndpointId, MerchantId
from payhooks.model.endpoint import DisabledReason


async def disable(
    control: Control, merchant_id: MerchantId, endpoint_id: EndpointId, reason: DisabledReason
) -> None:
    """Disable the endpoint, audited as the system's doing; no word if it is gone or disabled."""

    async def move() -> None:
        endpoint = await control.store.endpoint(merchant_id, endpoint_id)
        if endpoint is not None:
            await endpoints.move(control, SYSTEM, endpoint, Move.DISABLE, reason=reason)

    # Deleted meanwhile, there is nothing left to stop; edited all the time, the next answer or
    # sweep that finds it so asks for the same again.
    with suppress(WrongStateError, StaleVersionError):
        await upon_what_is_there(move)


async def forget_listener(
    control: Control, merchant_id: MerchantId, endpoint_id: EndpointId
) -> None:
    """Delete a listening endpoint whose stream is gone; no word if it is gone itself."""
    endpoint = await control.store.endpoint(merchant_id, endpoint_id)
    if endpoint is None:
        return
    try:
        await listen.stop(control, SYSTEM, endpoint)
    except (NotFoundError, StaleVersionError, WrongStateError):
        return  # Its stream ended in order at the same moment.
