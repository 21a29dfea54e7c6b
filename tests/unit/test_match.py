"""Who hears of what."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payhooks import limits
from payhooks.policy import match
from payhooks.policy.match import MatchTable, is_valid_event_type, is_valid_pattern, matches

# One name of each form that the five documents use, the odd ones all.
PROVIDER_TYPES = [
    "application.base_information.updated",
    "webhook.renew.secret",
    "order.payout.succeed",
    "reconciliations.draft_audit.need_check.created",
    "vendor.visa.card.created",
    "payment_intent.checking_out",
    "topupCard.validate",
    "payinrefund.create",
    "card.acquiring.chargeback.create",
    "cau.updated_expiration",
    "product.inventory.ordered",
    "order.cancel",
    "payment_succeeded",
]

# Few letters, so that beginnings meet types often.
PART = st.text(alphabet="ab_", min_size=1, max_size=3)
TYPE = st.lists(PART, min_size=1, max_size=3).map(".".join)
PATTERN = st.one_of(
    TYPE,
    st.just("*"),
    TYPE.map(lambda text: f"{text}.*"),
    TYPE.flatmap(lambda t: st.integers(0, len(t)).map(lambda n: f"{t[:n]}*")),
)


@pytest.mark.parametrize("text", [*PROVIDER_TYPES, "a", "A-b.9_", "x" * 128])
def test_a_name_in_parts_is_an_event_type_and_a_pattern_that_selects_it(text: str) -> None:
    """Every name in the providers' documents must be usable as it stands."""
    assert is_valid_event_type(text)
    assert is_valid_pattern(text)
    assert matches(text, text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(".", id="a dot"),
        pytest.param("a.", id="ends in a dot"),
        pytest.param(".a", id="begins with a dot"),
        pytest.param("a..b", id="an empty part"),
        pytest.param("a b", id="a blank"),
        pytest.param("a\n", id="a newline at the end"),
        pytest.param("a/b", id="a slash"),
        pytest.param("zahlung.geprüft", id="a letter beyond ASCII"),
        pytest.param("a.٣", id="a digit beyond ASCII"),
        pytest.param("a\x00", id="a zero byte"),
        pytest.param("x" * 129, id="one too long"),
    ],
)
def test_what_is_no_event_type_is_no_pattern_either(text: str) -> None:
    """These end in headers, metrics and file names."""
    assert not is_valid_event_type(text)
    assert not is_valid_pattern(text)


@pytest.mark.parametrize(
    ("pattern", "valid"),
    [
        ("*", True),
        ("a*", True),
        ("a.*", True),
        ("a.b.*", True),
        ("a.b*", True),
        ("x" * 128 + "*", True),
        ("x" * 129 + "*", False),
        ("**", False),
        ("a**", False),
        ("*.a", False),
        ("a*b", False),
        ("a.*.b", False),
        (".*", False),
        ("a..*", False),
        ("a b*", False),
        ("*\n", False),
    ],
)
def test_a_star_stands_at_the_end_only(pattern: str, valid: bool) -> None:  # noqa: FBT001 - a table column
    """One rule for stars; a pattern that looks as if it meant more is refused, not guessed."""
    assert is_valid_pattern(pattern) is valid
    assert not is_valid_event_type(pattern)


@pytest.mark.parametrize(
    ("pattern", "event_type", "selected"),
    [
        ("*", "payment_intent.created", True),
        ("payment_intent.*", "payment_intent.created", True),
        ("payment_intent.*", "payment_intent.financial.reviewed", True),
        ("payment_intent.*", "payment_intent", False),
        ("payment_intent.*", "payment_intents.created", False),
        ("payment_*", "payment_succeeded", True),
        ("payment_*", "payments", False),
        ("order.success", "order.success", True),
        ("order.success", "order.success.late", False),
        ("order.success", "Order.success", False),
    ],
)
def test_what_a_pattern_selects(pattern: str, event_type: str, selected: bool) -> None:  # noqa: FBT001 - a table column
    """The table in the docs; a merchant's books depend on it."""
    assert matches(pattern, event_type) is selected


@given(st.lists(st.lists(PATTERN, max_size=4), max_size=12), st.lists(TYPE, max_size=6))
@example([["*"], [], ["a", "a*", "a.*", "*"]], ["a", "a.b", "b", "a"])
def test_the_table_answers_as_the_definition_does(
    endpoints: list[list[str]], event_types: list[str]
) -> None:
    """It is an index, nothing more: an endpoint left out is an event lost."""
    table = MatchTable(enumerate(endpoints))
    for event_type in event_types * 2:
        expected = tuple(
            index
            for index, patterns in enumerate(endpoints)
            if any(matches(pattern, event_type) for pattern in patterns)
        )
        assert table.select(event_type) == expected


@given(PATTERN)
def test_every_pattern_drawn_here_could_be_on_an_endpoint(pattern: str) -> None:
    """The property above must be about patterns that can exist."""
    assert is_valid_pattern(pattern)


def test_indexes_need_not_be_dense_or_in_order() -> None:
    """Routing tables use endpoint numbers, and endpoints are deleted."""
    table = MatchTable([(7, ["a.*"]), (3, ["*"]), (5, ["b"])])
    assert table.select("a.x") == (3, 7)


def test_only_the_subscribed_are_looked_at_among_fifty_thousand() -> None:
    """Fan-out must cost what the answer costs, not what the merchant owns."""
    entries = [(n, [f"own.type_{n}", f"family_{n}.*"]) for n in range(50_000)]
    table = MatchTable([*entries, (50_000, ["*"])])
    look_ups = CountingDict(table._beginnings)  # noqa: SLF001 - the cost is the point
    table._beginnings = look_ups  # noqa: SLF001 - the cost is the point
    assert table.select("family_77.created") == (77, 50_000)
    assert look_ups.asked <= len("family_77.created") + 1


class CountingDict(dict[str, list[int]]):
    """A dict that counts how often it is asked."""

    asked = 0

    def get(self, key: str, default: object = None) -> list[int]:
        """Count, then answer."""
        self.asked += 1
        return super().get(key, [])


def test_a_publisher_that_makes_up_types_does_not_grow_the_memo() -> None:
    """A type per event would otherwise be a leak, one tuple each."""
    table = MatchTable([(0, ["*"])])
    for n in range(match.MEMO_TYPES_MAX * 2 + 1):
        assert table.select(f"made.up_{n}") == (0,)
        assert len(table._memo) <= match.MEMO_TYPES_MAX  # noqa: SLF001 - the bound is the point


def test_long_answers_do_not_grow_the_memo_either() -> None:
    """Fifty thousand endpoints that hear everything, times a thousand types, are 400 MB."""
    table = MatchTable((n, ["*"]) for n in range(limits.ENDPOINTS_PER_MERCHANT_MAX))
    for n in range(12):
        assert len(table.select(f"type_{n}")) == limits.ENDPOINTS_PER_MERCHANT_MAX
        kept = sum(map(len, table._memo.values()))  # noqa: SLF001 - the bound is the point
        assert kept <= match.MEMO_INDEXES_MAX


def test_the_same_question_gets_the_same_tuple() -> None:
    """The hot path asks for a few types over and over; the answer must cost one look-up."""
    table = MatchTable([(0, ["*"])])
    assert table.select("a") is table.select("a")
