"""What to ask of a request that does not verify, in the order to ask it, and what to do then.

The command line says it under the step that failed, and docs/verification.md is printed from it:
one source, so that both give the same advice.
"""

from dataclasses import dataclass
from typing import Final

from payhooks.receiver.errors import Code


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One question, to be answered with yes."""

    codes: tuple[Code, ...]  # of the errors that a no to it causes
    question: str
    advice: str  # for whoever says no


DECISIONS: Final = (
    Decision(
        codes=(Code.MALFORMED_SECRET,),
        question="Is the secret complete?",
        advice="Copy it again from the sender, with all that it begins with and without spaces or"
        " a line feed around it.",
    ),
    Decision(
        codes=(Code.MISSING_HEADER,),
        question="Is the signature where the dialect has it?",
        advice="Look by the headers which dialect it is. Where it is the right one, the endpoint"
        " has the signature none, or something on the way removes the header.",
    ),
    Decision(
        codes=(Code.MALFORMED_HEADER,),
        question="Is each header there once, as it was sent?",
        advice="Find what joins, cuts or rewrites headers on the way, and make it stop.",
    ),
    Decision(
        codes=(Code.UNSUPPORTED_SCHEME,),
        question="Is the secret of the kind that signed?",
        advice="Give a whsec_ secret for v1 signatures and a whpk_ key for v1a; install"
        " cryptography for the second.",
    ),
    Decision(
        codes=(Code.TIMESTAMP_TOO_OLD, Code.TIMESTAMP_TOO_NEW),
        question="Was it signed within the tolerance, by this machine's clock?",
        advice="Set the clock, by NTP. Where it is right, somebody shows an old request again:"
        " refuse it. One that you captured yourself is checked with --any-age.",
    ),
    Decision(
        codes=(Code.BODY_TOO_LARGE,),
        question="Is the body within the size that is read?",
        advice="Raise max_body, if this sender has a reason to send so much.",
    ),
    Decision(
        codes=(Code.NO_MATCH,),
        question="Is it the secret that signs for this endpoint?",
        advice="Take the one of this endpoint: each has its own, sandbox and live as well, and an"
        " old one ends some time after a rotation.",
    ),
    Decision(
        codes=(Code.NO_MATCH,),
        question="Are these the bytes of the body as they came?",
        advice="Take the raw body before a framework parses it. What was parsed and written again"
        " has other spaces, escapes or numbers; an editor adds a line end.",
    ),
    Decision(
        codes=(Code.NO_MATCH,),
        question="Does nothing on the way change the body?",
        advice="Receive one without proxy, gateway and middleware, and compare the two byte by"
        " byte.",
    ),
    Decision(
        codes=(Code.NOT_JSON,),
        question="Is the body one of this dialect?",
        advice="Name the dialect that the endpoint has. Where it is that, the body was cut.",
    ),
)


def advice_on(code: Code) -> tuple[str, ...]:
    """Return what to ask and do about an error, most likely first."""
    return tuple(
        f"{decision.question} If not: {decision.advice}"
        for decision in DECISIONS
        if code in decision.codes
    )
