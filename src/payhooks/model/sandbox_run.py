"""A sandbox run: one job that plays a scenario, paced, resumable, on record."""

from datetime import datetime
from enum import StrEnum

import msgspec

from payhooks.ids import EventId, MerchantId, RunId


class RunState(StrEnum):
    """Where the job stands."""

    PLAYING = "playing"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """One event of the run that was published."""

    place: int  # in the life that is told, from 0
    event_id: EventId
    at: datetime


class SandboxRun(msgspec.Struct, frozen=True, kw_only=True):
    """One job and how far it is. Only what follows from nothing else is kept."""

    id: RunId
    merchant_id: MerchantId
    name: str  # of the scenario, or of the event type that is played alone
    family: str
    alone: bool  # an event type, not a scenario
    seed: int
    values: tuple[tuple[str, str], ...]  # of variables, as the caller set them
    members: str  # of data, as the caller set them: a JSON object
    speed: str | None  # as in 1d=1s; None: without waiting
    disorder: int  # percent
    duplicate: int  # percent
    auto_capture: bool  # the merchant's setting when it began
    fingerprint: bytes  # of the script: another version of Payhooks may tell another story
    steps: int  # events in all
    left_out: int  # steps that the merchant's setting left out
    begins_at: datetime  # the life that is told; its last event is no later than its publication
    created_at: datetime
    state: RunState = RunState.PLAYING
    revision: int = 1  # counts writes
    played: tuple[Played, ...] = ()  # in the order in which they went out
    repeated: tuple[int, ...] = ()  # places whose deliveries were looked at, to be sent again
    sent_again: int = 0  # deliveries
    finished_at: datetime | None = None
    reason: str | None = None  # why it failed
