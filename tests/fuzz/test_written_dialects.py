"""What publishers may say, in every dialect: written, signed and read again, or refused before.

Nothing may first be found out when it is sent: then it is accepted, and nobody can mend it.
"""

import json
from datetime import UTC, datetime
from typing import Final

from hypothesis import strategies as st
from tests.support.dialect_events import MERCHANT, attempt_of, new_event_id, spoken
from tests.support.fuzzing import hunt

from payhooks.api import strict_json
from payhooks.api.problems import ProblemError
from payhooks.catalogue.registry import CATALOGUE
from payhooks.dialects.registry import DIALECTS
from payhooks.errors import InvalidError
from payhooks.limits import OCCURRED_AT_YEARS
from payhooks.model.event import Event

# What stands in the publisher's data has to agree with what happened, so that reading may refuse
# what was written: a treezor payin under the name of a refund, a foloosi transfer without status.
DATA_DECIDES: Final = {"treezor", "foloosi"}
_TEXT: Final = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12
)
_NAMES: Final = st.sampled_from(
    ["id", "transfer", "order", "payins", "transactions", "status", "created", "object", "a b", ""]
)
_SPACE: Final = st.sampled_from(["", "", " ", "\n\t", "\r\n  "])
_NUMBERS: Final = st.sampled_from(
    [
        "0", "-0", "-0.0", "1.10", "20.0", "1e2", "1E-7", "0.1e+1", "1e25", "5e-324", "1e-400",
        "1.7976931348623157e308", "9223372036854775807", "9223372036854775808", "1" * 40, "1" * 400,
    ]
)  # fmt: skip
_SCALARS: Final = (
    st.sampled_from(["true", "false", "null", '""', r'"\/\b\f\u001f\u007f\u2028\uD83D\uDE00"'])
    | _NUMBERS
    | st.floats(allow_nan=False, allow_infinity=False).map(repr)
    | _TEXT.map(json.dumps)
    | _TEXT.map(lambda text: json.dumps(text, ensure_ascii=False))
)


@st.composite
def _object(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    names = draw(st.lists(_NAMES | _TEXT, max_size=3, unique=True))
    members = [f"{json.dumps(name)}{draw(_SPACE)}:{draw(_SPACE)}{draw(values)}" for name in names]
    return "{" + draw(_SPACE) + f"{draw(_SPACE)},".join(members) + draw(_SPACE) + "}"


def _array(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(values, max_size=3).map(lambda items: "[ " + ",".join(items) + "]")


_VALUES: Final = st.recursive(_SCALARS, lambda inner: _array(inner) | _object(inner), max_leaves=6)
_PLURAL: Final = _object(_VALUES).map(lambda item: f'{{"payins": [{item}]}}')


@st.composite
def _events(draw: st.DrawFn) -> Event:
    type_ = draw(st.sampled_from(CATALOGUE.types))
    about = draw(st.none() | st.tuples(_NAMES | _TEXT, _TEXT))
    first = datetime(OCCURRED_AT_YEARS.start, 1, 1)  # noqa: DTZ001 - hypothesis wants it naive
    last = datetime(OCCURRED_AT_YEARS.stop - 1, 12, 31)  # noqa: DTZ001 - as above
    return Event(
        id=new_event_id(),
        merchant_id=MERCHANT.id,
        type=draw(st.just(type_.name) | st.sampled_from(["a", "A-b.c_d", "x" * 128])),
        family=type_.family,
        data=draw(_object(_VALUES) | _PLURAL).encode(),
        object_type=about and (about[0] or "x"),
        object_id=about and (about[1] or "1"),
        occurred_at=draw(st.none() | st.datetimes(first, last, timezones=st.just(UTC))),
        metadata=draw(st.none() | _object(_VALUES).map(str.encode)),
    )


def test_what_is_accepted_is_written_or_refused_before() -> None:
    """And what is written is JSON with one meaning, which says what the publisher said."""
    carried = dict.fromkeys(DIALECTS, 0)

    def check(event: Event) -> None:
        for raw in (event.data, event.metadata or b"{}"):
            try:
                strict_json.check(raw)
            except ProblemError:
                return  # the API refuses it whatever the dialect
        for name in carried:
            dialect = spoken(name)
            sentence = dialect.refusal(event)
            if sentence is not None:
                assert sentence.endswith(".")
                continue
            attempt = attempt_of(dialect, event)
            strict_json.check(attempt.body)
            dialect.verify(attempt.headers, attempt.body, attempt.verifying, attempt.now)
            try:
                reading = dialect.read(attempt.headers, attempt.body)
            except InvalidError:
                assert name in DATA_DECIDES
                continue
            assert reading.event_type == event.type
            assert _meaning(reading.payload) == _meaning(event.data)
            carried[name] += 1

    hunt(check, _events())
    assert all(carried.values()), carried


def _meaning(raw: bytes) -> object:
    # PHP has no integers beyond 64 bits, and prints fewer digits of a fraction.
    return json.loads(raw, parse_int=float)
