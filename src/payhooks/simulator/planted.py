"""Bugs put in on purpose. A simulator that does not find them proves nothing about the rest.

Each is one part of a world made wrong, with the real mistake it stands for in its docstring.
``FOUND_BY`` says which seed shows each first; ``scripts/prove simulator`` looks it up anew.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from payhooks.simulator import planted_flow as flow
from payhooks.simulator import planted_heard as heard
from payhooks.simulator import planted_store as store
from payhooks.simulator.parts import Parts

PLANTED: Final[Mapping[str, Parts]] = MappingProxyType(
    {
        "no fence": Parts(store=store.NoFence),
        "settle before send": Parts(attempts=flow.SettlesFirst),
        "forgotten lane": Parts(store=store.ForgottenLane),
        "answer before commit": Parts(acceptor=flow.AnswersFirst),
        "keys shared by merchants": Parts(acceptor=flow.SharedKeys),
        "key apart from its event": Parts(store=store.LooseKey),
        "content of a key not compared": Parts(acceptor=flow.AnyContent),
        "rotation gap": Parts(store=store.RotationGap),
        "revoked secret signs": Parts(store=store.RevokedSigns),
        "attempts counted twice": Parts(store=store.DoubleCount),
        "resent outcome counted again": Parts(store=store.ResentCount),
        "given up one too early": Parts(settler=flow.OneMore),
        "breaker never closes": Parts(store=store.OpenForEver),
        "Retry-After not read": Parts(attempts=flow.DeafToRetryAfter),
        "rest cut short": Parts(store=store.ShortRest),
        "jitter downward": Parts(settler=flow.JitterDown),
        "order by id": Parts(store=store.OrderById),
        "failed head does not block": Parts(store=store.NobodyWaits),
        "lease shorter than the request": Parts(store=store.ShortLease),
        "two workers get one delivery": Parts(store=store.TwoOwners),
        "sleeper sends what it held": Parts(dispatcher=flow.Sleepwalker),
        "retry with a new id": Parts(transport=flow.NewAttemptNewId),
        "retry rendered anew": Parts(transport=flow.RenderedAnew),
        "replay deaf to its cancel": Parts(store=store.DeafReplay),
        "cancelled replay leaves its backlog": Parts(store=store.KeptBacklog),
        "replay without a pace": Parts(replayer=flow.AllAtOnce),
        "pause forgets what waits": Parts(store=store.ForgetfulPause),
        "fan-out by stale routing": Parts(store=store.StaleFanOut),
        "sends to disabled endpoints": Parts(store=store.DeadEars),
        "deleted endpoint leaves orphans": Parts(store=store.Orphans),
        "outcome lost with its reply": Parts(settler=flow.LostBatch),
        "endpoint of another merchant": Parts(store=store.OthersEndpoint),
        "expired lease leaves no trace": Parts(store=store.SilentExpiry),
        "expired lease spends an attempt": Parts(store=store.CostlyExpiry),
        "no cap on a lane": Parts(dispatcher=flow.NoCap),
        "no rate limit": Parts(store=store.NoLimit),
        "stop forgets what it holds": Parts(dispatcher=flow.HoldsOn),
        "word of another taken for its own": Parts(teller=heard.DeafToOthers),
        "receipt ends before its events": Parts(teller=heard.EndsFirst),
        "equal words told once": Parts(teller=heard.OncePerMeaning),
    }
)


# The first seed that shows each, and that the right engine passes.
FOUND_BY: Final[Mapping[str, int]] = MappingProxyType(
    {
        "no fence": 8,
        "settle before send": 1,
        "forgotten lane": 1,
        "answer before commit": 5,
        "keys shared by merchants": 1,
        "key apart from its event": 1,
        "content of a key not compared": 1,
        "rotation gap": 9,
        "revoked secret signs": 9,
        "attempts counted twice": 1,
        "resent outcome counted again": 15,
        "given up one too early": 4,
        "breaker never closes": 1,
        "Retry-After not read": 1,
        "rest cut short": 1,
        "jitter downward": 1,
        "order by id": 1,
        "failed head does not block": 1,
        "lease shorter than the request": 2,
        "two workers get one delivery": 1,
        "sleeper sends what it held": 4,
        "retry with a new id": 1,
        "retry rendered anew": 1,
        "replay deaf to its cancel": 27,
        "cancelled replay leaves its backlog": 27,
        "replay without a pace": 140,
        "pause forgets what waits": 179,
        "fan-out by stale routing": 1,
        "sends to disabled endpoints": 1,
        "deleted endpoint leaves orphans": 9,
        "outcome lost with its reply": 15,
        "endpoint of another merchant": 1,
        "expired lease leaves no trace": 1,
        "expired lease spends an attempt": 1,
        "no cap on a lane": 19,
        "no rate limit": 1,
        "stop forgets what it holds": 9,
        "word of another taken for its own": 66,
        "receipt ends before its events": 3,
        "equal words told once": 3,
    }
)


def mistake(parts: Parts) -> str:
    """Return in one sentence which real mistake a planted bug is."""
    names = (
        "store", "acceptor", "attempts", "settler", "dispatcher", "replayer", "transport",
        "teller",
    )  # fmt: skip
    right = Parts()
    [wrong] = [
        getattr(parts, name) for name in names if getattr(parts, name) is not getattr(right, name)
    ]
    assert wrong.__doc__ is not None
    return str(wrong.__doc__).splitlines()[0]
