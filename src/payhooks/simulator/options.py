"""What one seed switches on, and how often. A swarm: faults that are all on hide each other."""

from dataclasses import dataclass
from typing import Final

from payhooks.simulator.chance import Chance

# How often a fault happens where its site is switched on: between these, by decades.
_RATE_MIN: Final = 0.003
_RATE_MAX: Final = 0.3
_ON: Final = 0.5  # of the sites, in each seed

STORE_FAULTS: Final = ("refused", "unknown_before", "unknown_after", "stalled")
RECEIVER_FAULTS: Final = (
    "refused",
    "reset_before",
    "reset_after",
    "error",
    "redirect",
    "rate_limited",
    "slow",
    "hang",
    "our_fault",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much of the seed's world is there at most; a failing run is made smaller by these."""

    processes: int = 3
    merchants: int = 2
    endpoints: int = 4
    publishers: int = 3
    publications: int = 50
    payments: int = 12
    safety_s: float = 160.0


FULL: Final = Size()


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The world of one seed."""

    seed: int
    processes: int
    merchants: int
    endpoints: int  # per merchant
    publishers: int  # per merchant
    publications: int  # per publisher
    payments: int  # per provider, of which each merchant has one; 0: none has any
    thinks_s: float  # at most, between two requests of a publisher
    slots: int  # of each process; few, so that lanes and merchants compete
    signed: bool  # endpoints have secrets, which operators rotate
    replays: bool  # operators send again, one by one and in jobs
    safety_s: float  # how long everything may fail
    deviation_rate: float
    store_rates: dict[str, float]
    receiver_rates: dict[str, float]
    outage_rate: float  # of the store, per second
    death_rate: float  # of a receiver, per second
    kill_rate: float  # per process and second
    pause_rate: float
    stop_rate: float
    operator_rate: float
    disable_rate: float  # of answers that tell us to stop
    reply_lost_rate: float  # of answers to publishers

    @classmethod
    def of(cls, chance: Chance, seed: int, size: Size = FULL) -> "Options":
        """Return what *seed* draws, no more of it than *size*."""

        def rate(site: str, high: float = _RATE_MAX) -> float:
            if chance.draw(f"options.{site}.on") >= _ON:
                return 0.0
            return chance.skewed(f"options.{site}.rate", min(_RATE_MIN, high / 10), high)

        # Behind a good wire more can be demanded of a process, such as how it stops.
        wire = chance.one_of("options.wire", (0.0, 1.0, 1.0))
        return cls(
            seed=seed,
            processes=min(chance.whole("options.processes", 2, 3), size.processes),
            merchants=min(chance.whole("options.merchants", 1, 2), size.merchants),
            endpoints=min(chance.whole("options.endpoints", 1, 4), size.endpoints),
            publishers=min(chance.whole("options.publishers", 1, 3), size.publishers),
            publications=min(chance.whole("options.publications", 5, 50), size.publications),
            payments=min(
                chance.one_of("options.hears", (0, 1)) * chance.whole("options.payments", 1, 12),
                size.payments,
            ),
            thinks_s=chance.skewed("options.thinks", 0.05, 8.0),
            slots=chance.one_of("options.slots", (4, 10, 1_024)),
            signed=chance.one_of("options.signed", (False, True)),
            replays=chance.one_of("options.replays", (False, True)),
            safety_s=min(chance.between("options.safety", 40, 160), size.safety_s),
            deviation_rate=rate("deviation", 0.2),
            store_rates={name: wire * rate(f"store.{name}", 0.1) for name in STORE_FAULTS},
            receiver_rates={name: rate(f"receiver.{name}") for name in RECEIVER_FAULTS},
            outage_rate=wire * rate("outage", 0.05),
            death_rate=rate("death", 0.02),
            kill_rate=rate("kill", 0.2),
            pause_rate=rate("pause", 0.2),
            stop_rate=rate("stop", 0.1),
            operator_rate=rate("operator", 0.9),
            disable_rate=rate("disable", 0.02),
            reply_lost_rate=rate("reply_lost", 0.1),
        )
