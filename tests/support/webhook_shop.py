"""A merchant's webhooks in the console, and somebody of its team at a browser."""

import re
from collections.abc import Sequence

from tests.support.browsing import Browser, ConsoleWorld

from payhooks import ids, limits
from payhooks.control import merchants, secrets
from payhooks.control.context import SYSTEM
from payhooks.control.merchants import MerchantDraft
from payhooks.model.endpoint import Endpoint
from payhooks.model.merchant import Merchant, Mode
from payhooks.model.secret import SecretPurpose
from payhooks.model.user import Role
from payhooks.ports.controlling import Window

LIST = "/console/settings/webhooks"
PARTIAL = {"x-partial": "1"}
GOOD = {
    "label": "Shop",
    "url": "https://shop.example.com/hooks",
    "events": "ach.settled",
    "authentication": "basic",
    "username": "oms",
    "password": "correct horse",
    "signature": "signature_key",
    "dialect": "merchant-console",
    "ordering": "none",
    "on_failed": "skip",
}


class Shop:
    """A merchant of the console, and somebody of its team at a browser."""

    def __init__(self, world: ConsoleWorld, merchant: Merchant, browser: Browser) -> None:
        self.world, self.merchant, self.browser = world, merchant, browser

    async def added(self, **fields: str) -> Endpoint:
        """Add a webhook as a person does."""
        seen = await self.browser.post(LIST, {**GOOD, **fields})
        assert (seen.status, seen.heading) == (200, "The webhook was added"), seen.text
        return (await self.all())[0]

    async def all(self) -> list[Endpoint]:
        return await self.world.store.endpoints(self.merchant.id, Window(limit=100))

    async def stored(self, endpoint: Endpoint) -> Endpoint:
        found = await self.world.store.endpoint(self.merchant.id, endpoint.id)
        assert found is not None
        return found

    async def password(self, endpoint: Endpoint) -> str | None:
        """Return the password that is sent, from behind the seal."""
        found = await self.world.store.secrets(self.merchant.id, endpoint.id)
        texts = [
            secrets.open_secret(self.world.control.keyring, one)
            for one in found
            if one.purpose is SecretPurpose.AUTHENTICATION
        ]
        assert len(texts) <= 1
        return texts[0] if texts else None

    def wait_past_fresh(self) -> None:
        """Let the second factor be older than reveal, delete and URL want, and the gate not."""
        self.world.advance(limits.FRESH_FACTOR_S + 1)


async def shop_of(world: ConsoleWorld, role: Role = Role.OWNER) -> Shop:
    draft = MerchantDraft(name="Acme", families=("merchant-console",))
    merchant = await merchants.create(world.control, SYSTEM, Mode.SANDBOX, draft)
    browser = await Browser(world).sign_in(await world.person(merchant, role))
    await browser.get(LIST)
    return Shop(world, merchant, browser)


def at(endpoint: Endpoint, step: str = "") -> str:
    return f"{LIST}/{ids.to_text(ids.ENDPOINT, endpoint.id)}{step}"


def filled(endpoint: Endpoint, **fields: str) -> dict[str, str]:
    """Return the edit form as its page has it, with some fields typed over."""
    return {
        "version": str(endpoint.version),
        "label": endpoint.label,
        "url": endpoint.url,
        "events": endpoint.events[0],
        "signature": endpoint.signature.type,
        "dialect": endpoint.dialect,
        "ordering": endpoint.ordering,
        "on_failed": endpoint.on_failed,
        **fields,
    }


def in_order(text: str, words: Sequence[str]) -> bool:
    """Whether the words stand in the text one after the other."""
    return re.search(".*?".join(map(re.escape, words)), text, re.DOTALL) is not None
