"""What must hold, by name. Every violation begins with one of these; the docs list them."""

from enum import StrEnum
from typing import Final


class Promise(StrEnum):
    """A number, and one word for it."""

    STORED = "I1 stored"
    ENDS = "I2 ends"
    SAME_MESSAGE = "I3 same message"
    EXPLAINED = "I4 explained"
    ORDER = "I5 order"
    FINAL = "I6 final"
    SCHEDULE = "I7 schedule"
    SIGNED = "I8 signed"
    SILENCE = "I9 silence"
    TENANT = "I10 tenant"
    KEYS = "I11 keys"
    CAPS = "I12 caps"
    RECORD = "I13 record"
    AUDIT = "I14 audit"
    GAUGES = "I15 gauges"
    RECONCILED = "I16 reconciled"
    REPLAYS = "I17 replays"
    LEASES = "I18 leases"
    NO_BUG = "I19 no bug"
    HEARD = "I20 heard"
    TOLD = "I21 told"


MEANING: Final[dict[Promise, str]] = {
    Promise.STORED: "An answer means stored: the event, its key and all its deliveries, one for "
    "each endpoint that was subscribed when it was accepted, until the end. `delivered` means "
    "that a receiver answered 2xx to the request of that lease.",
    Promise.ENDS: "When faults end, everything ends: within 30 minutes of virtual time no delivery "
    "is undone, no announcement unpublished, no job under way, no slot taken.",
    Promise.SAME_MESSAGE: "One `webhook-id` and the same body for every attempt of a delivery.",
    Promise.EXPLAINED: "One request per lease, fences only grow, and each sight of a request has "
    "an attempt that tells of it, abandoned or late ones included: each duplicate is explained.",
    Promise.ORDER: "First sights of one object are in the order of acceptance, which is the order "
    "of the answers; an object that waits for a person waits, after a poisoned head too.",
    Promise.FINAL: "What has ended stays ended, but for a replay; nothing is cancelled that nobody "
    "asked to cancel.",
    Promise.SCHEDULE: "Attempts are spent only by requests, never more than the policy has, never "
    "before their time nor before a Retry-After, nor while a request that a stop broke off may be "
    "at work; and not one fewer before a delivery is given up; poison is six leases in a row that "
    "ran out.",
    Promise.SIGNED: "Each request is signed with every secret that counts, and with nothing whose "
    "grace is over or that was revoked.",
    Promise.SILENCE: "Nothing is leased while its endpoint is paused, disabled, deleted or rests; "
    "what is leased is sent in seconds or given back, to the URL and with the headers it has then.",
    Promise.TENANT: "An event, its deliveries and its endpoints belong to one merchant.",
    Promise.KEYS: "Equal keys get equal ids, whichever process is asked; one publication is one "
    "event; another content under the same key is a conflict; merchants share no keys.",
    Promise.CAPS: "Requests under way in one lane of one process, and requests a second of an "
    "endpoint, never exceed their limits; a circuit that saw a success is closed.",
    Promise.RECORD: "Attempts on record are the requests that were made: no outcome that a living "
    "process knows is forgotten, and every lease that ran out says so.",
    Promise.AUDIT: "Every chain of the audit log verifies.",
    Promise.GAUGES: "What the gauges say of the queue is what is in it.",
    Promise.RECONCILED: "Reconcile finds both sides equal, at any time.",
    Promise.REPLAYS: "A replay sends each delivery once, no faster than its rate, and nothing "
    "more, not even what waits, once its cancel was answered.",
    Promise.LEASES: "No lease runs out during a request of a process that was awake, and a process "
    "that stops in order leaves none that it did not use.",
    Promise.NO_BUG: "No lane drifts. No loop catches an error that nothing should raise, and "
    "nobody is answered one.",
    Promise.HEARD: "A provider that is answered 2xx was heard: each of its messages is stored, and "
    "read in the end. What is signed by somebody else is refused, and never believed.",
    Promise.TOLD: "What a payment's messages mean together is told, each word as often as they "
    "mean it, whatever order they came in and however often: none lost, doubled or made up. A "
    "receipt says that it told something only when the event is there.",
}
