"""Events of family payhooks: what we tell merchants of changes to their own endpoints.

An announcement is written with the change that makes it due and published after it, so it is
never lost and never about a change that did not happen. Secrets are never in one.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from payhooks import ids
from payhooks.control.context import Control
from payhooks.ids import MerchantId
from payhooks.model.endpoint import Endpoint
from payhooks.model.merchant import Merchant
from payhooks.model.user import Invitation, Role, User
from payhooks.ports.sweeping import Announcement

FAMILY: Final = "payhooks"
OBJECT_TYPE: Final = "webhook"


def of_endpoint(control: Control, type_: str, endpoint: Endpoint) -> Announcement:
    """Return the announcement that something happened to *endpoint*, as it is now."""
    printed = ids.to_text(ids.ENDPOINT, endpoint.id)
    data = {
        "id": printed,
        "merchant_id": ids.to_text(ids.MERCHANT, endpoint.merchant_id),
        "label": endpoint.label,
        "url": endpoint.url,
        "events": endpoint.events,
        "dialect": endpoint.dialect,
        "status": endpoint.status,
        "disabled_reason": endpoint.disabled_reason,
        "version": endpoint.version,
    }
    return Announcement(
        id=control.ids.new(),
        merchant_id=endpoint.merchant_id,
        type=type_,
        object_type=OBJECT_TYPE,
        object_id=printed,
        data=msgspec.json.encode(data),
    )


def of_merchant(control: Control, merchant: Merchant) -> Announcement:
    """Return the announcement that the merchant itself was edited."""
    printed = ids.to_text(ids.MERCHANT, merchant.id)
    data = {
        "id": printed,
        "name": merchant.name,
        "mode": merchant.mode,
        "reference": merchant.reference,
        "families": merchant.families,
        "version": merchant.version,
    }
    return Announcement(
        id=control.ids.new(),
        merchant_id=merchant.id,
        type="application.base_information.updated",
        object_type="application",
        object_id=printed,
        data=msgspec.json.encode(data),
    )


def of_member(
    control: Control, type_: str, user: User, *, merchant_id: MerchantId, role: Role
) -> Announcement:
    """Return the announcement that somebody joined or left the team, or has another role."""
    printed = ids.to_text(ids.USER, user.id)
    data = {"id": printed, "username": user.username, "email": user.email, "role": role}
    return _of_team(control, type_, merchant_id=merchant_id, printed=printed, data=data)


def of_invitation(control: Control, type_: str, invitation: Invitation) -> Announcement:
    """Return the announcement that somebody was invited, or is no more; without the link."""
    printed = ids.to_text(ids.INVITATION, invitation.id)
    data = {
        "id": printed,
        "email": invitation.email,
        "role": invitation.role,
        "expires_at": invitation.expires_at,
    }
    return _of_team(control, type_, merchant_id=invitation.merchant_id, printed=printed, data=data)


def _of_team(
    control: Control,
    type_: str,
    *,
    merchant_id: MerchantId,
    printed: str,
    data: Mapping[str, object],
) -> Announcement:
    return Announcement(
        id=control.ids.new(),
        merchant_id=merchant_id,
        type=type_,
        object_type="agent",
        object_id=printed,
        data=msgspec.json.encode(data),
    )
