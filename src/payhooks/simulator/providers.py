"""Providers: they tell of payments by webhooks, and again until they are answered 2xx.

Each attempt has a new id and a new signature, as OwlPay's have. What happened at one time may
arrive in any order, at two processes at once, and once more long after it was answered.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from payhooks.clock import Clock
from payhooks.connectors.contract import Answer, Incoming
from payhooks.control import connectors
from payhooks.control.connector_draft import ConnectorDraft
from payhooks.control.context import SYSTEM, Control
from payhooks.dialects.owlpay import OWLPAY
from payhooks.errors import RateLimitedError, UnavailableError
from payhooks.model.connector import Connector
from payhooks.model.merchant import Merchant
from payhooks.simulator.auditor import Auditor
from payhooks.simulator.chance import Chance
from payhooks.simulator.hearings import Hearings
from payhooks.simulator.payments import LIVES, Happened, lived, message
from payhooks.simulator.process import Process
from payhooks.simulator.promises import Promise

_TIMEOUT_S: Final = 10.0
_TRIES_MAX: Final = 5_000
_SPREADS_S: Final = (0.0, 0.0, 0.05, 1.0, 20.0)  # over which a life's messages arrive; 0: in order
_TWICE: Final = 0.1  # of attempts go to two processes at once
_REPEATS: Final = 0.1  # of messages come once more, long after they were answered
_LATER_S: Final = (0.01, 60.0)
_FORGED: Final = 0.05  # of messages are accompanied by one that somebody else has signed
# What a provider may be told, or not be told, that makes it try again.
_TRY_AGAIN: Final = (UnavailableError, RateLimitedError, ConnectionError, TimeoutError)
_SECRET_CHARS: Final = 24


async def connect(control: Control, merchant: Merchant, chance: Chance) -> tuple[Connector, str]:
    """Return a new connector of the merchant, and the secret that its provider signs with."""
    secret = "whs_" + chance.random(f"{merchant.name}.provider").randbytes(_SECRET_CHARS).hex()
    draft = ConnectorDraft(name="provider", dialect=OWLPAY.name, secrets=(secret,))
    return await connectors.create(control, SYSTEM, merchant, draft), secret


class PaymentProvider:
    """One provider, as far as one merchant is concerned."""

    def __init__(  # noqa: PLR0913 - every collaborator is named at the call site
        self,
        merchant: Merchant,
        connector: Connector,
        secret: str,
        *,
        clock: Clock,
        chance: Chance,
        auditor: Auditor,
        pick: Callable[[str], Process],
        thinks_s: float,
        reply_lost_rate: float,
    ) -> None:
        self._name = f"{merchant.name}.provider"
        self._connector = connector
        self._secret = secret
        self._clock = clock
        self._chance = chance
        self._auditor = auditor
        self._hearings = Hearings(auditor)
        self._pick = pick
        self._thinks_s = thinks_s
        self._reply_lost_rate = reply_lost_rate

    async def run(self, payments: int) -> None:
        """Live through so many payments, one beside the other."""
        living = []
        for number in range(payments):
            at = f"{self._name}.payment{number}"
            await asyncio.sleep(self._thinks_s * self._chance.draw(f"{at}.thinks") ** 3)
            living.append(asyncio.create_task(self._live(at, number)))
        await asyncio.gather(*living)

    async def _live(self, at: str, number: int) -> None:
        life = self._chance.one_of(f"{at}.life", sorted(LIVES))
        # Merchants count alike: their payments have the same names, and must not meet.
        story = list(lived(life, f"payment{number}", self._clock.now()))
        self._hearings.begun(self._connector, story)
        spread_s = self._chance.one_of(f"{at}.spread", _SPREADS_S)
        if not spread_s:
            for place, happened in enumerate(story):
                await self._tell(f"{at}.{place}", happened)
            return
        telling = []
        for place, happened in enumerate(story):
            after_s = spread_s * self._chance.draw(f"{at}.{place}.after")
            telling.append(self._tell(f"{at}.{place}", happened, after_s=after_s))
        await asyncio.gather(*telling)

    async def _tell(self, at: str, happened: Happened, *, after_s: float = 0.0) -> None:
        await asyncio.sleep(after_s)
        if self._chance.draw(f"{at}.forged") < _FORGED:
            await self._forge(f"{at}.forged", happened)
        await self._insist(at, happened)
        if self._chance.draw(f"{at}.repeats") < _REPEATS:
            await asyncio.sleep(self._chance.skewed(f"{at}.later", *_LATER_S))
            await self._insist(f"{at}.again", happened)

    async def _insist(self, at: str, happened: Happened) -> None:
        """Send until it is answered 2xx."""
        for number in range(_TRIES_MAX):
            now = f"{at}.try{number}"
            tries = [self._once(f"{now}.a", happened)]
            if self._chance.draw(f"{now}.twice") < _TWICE:
                tries.append(self._once(f"{now}.b", happened))
            if any(await asyncio.gather(*tries)):
                return
            await asyncio.sleep(self._chance.skewed(f"{now}.wait", 0.05, 3.0))
        self._auditor.blame(Promise.ENDS, f"{self._name} was never answered")

    async def _once(self, at: str, happened: Happened) -> bool:
        """Return whether one attempt was answered 2xx."""
        body = message(happened, at)
        answer = await self._post(at, body, self._secret)
        if answer is None:
            return False
        self._auditor.demand(
            Promise.HEARD,
            answer.status == HTTPStatus.OK,
            lambda: f"{at} was answered {answer.status}",
        )
        self._hearings.answered(self._connector, body)
        return not self._chance.fires(f"{at}.reply_lost", self._reply_lost_rate)

    async def _forge(self, at: str, happened: Happened) -> None:
        """Send what nobody said, signed by somebody else: it must not be believed."""
        said = happened._replace(payment=happened.payment.replace(b'"amount":', b'"amount":9'))
        answer = await self._post(at, message(said, at), self._secret + "00")
        if answer is not None:
            self._auditor.mark("forgery refused")
            self._auditor.demand(
                Promise.HEARD,
                answer.status == HTTPStatus.UNAUTHORIZED,
                lambda: f"{at} was answered {answer.status}, and nobody has said it",
            )

    async def _post(self, at: str, body: bytes, secret: str) -> Answer | None:
        """Return what one process answers; None where it does not."""
        process = self._pick(at)
        signed = OWLPAY.sign(
            message_id=at,
            body=body,
            secrets=[OWLPAY.signing_secret(secret)],
            now=self._clock.now(),
        )
        incoming = Incoming("POST", "", dict(signed.headers), body)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await process.call(lambda: process.hear(self._connector, incoming))
        except _TRY_AGAIN:
            return None
        except Exception as error:  # noqa: BLE001 - nothing else may be answered
            self._auditor.blame(Promise.NO_BUG, f"{self._name} was answered {error!r}")
            return None
