"""What every provider that we hear promises, asked of each.

How to add one: docs/connectors/next-provider.md.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.connectors.folding import history_of
from tests.connectors.samples import MAKERS, Sample
from tests.support.dialect_events import MERCHANT

from payhooks.catalogue import CATALOGUE
from payhooks.catalogue.validation import faults
from payhooks.connectors.contract import Heard, Incoming, Keys, Source
from payhooks.connectors.judging import judged
from payhooks.connectors.registry import PROVIDERS
from payhooks.connectors.unified import FAMILY, object_of, written
from payhooks.connectors.words import Message
from payhooks.errors import InvalidError, SignatureError
from payhooks.limits import OBJECT_ID_CHARS_MAX
from payhooks.model.receipt import Verdict

pytestmark = pytest.mark.shows("N01")

_NAME = re.compile(r"[a-z][a-z0-9-]{1,39}")
_MEMBER = re.compile(r"[a-z][a-z0-9_]{1,39}")
_UNREASONABLE = timedelta(days=60)
_WORDS_MAX = 400
_EVERY = pytest.mark.parametrize("name", sorted(PROVIDERS))
_T = TypeVar("_T")


def _sample(name: str, which: int = 0) -> Sample:
    return MAKERS[name](which)


def _heards(sample: Sample) -> list[Heard]:
    """Return what the sample says, asked for where its provider signs nothing."""
    provider = sample.provider
    found: list[Heard] = []
    for heard in provider.read(sample.incoming, sample.options):
        if provider.source is Source.FETCH:
            found += provider.asked(heard, sample.answer, sample.options)
        else:
            found.append(heard)
    return found


def test_every_provider_has_a_sample_and_every_sample_a_provider() -> None:
    """One without is asked nothing of all that follows."""
    assert sorted(MAKERS) == sorted(PROVIDERS)


@_EVERY
def test_a_provider_is_called_as_urls_and_files_can_call_it(name: str) -> None:
    """The name stands in settings, metrics and the API for ever."""
    provider = PROVIDERS[name]
    assert provider.name == name
    assert _NAME.fullmatch(name)
    assert provider.title
    assert provider.methods <= {"POST", "PUT", "GET"}
    assert "POST" in provider.methods


@_EVERY
def test_a_guide_says_in_sentences_what_to_do(name: str) -> None:
    """It is all that a merchant has, who stands before a dashboard of another company's."""
    guide = PROVIDERS[name].guide
    for words in (guide.where, guide.events, guide.secret):
        assert 20 < len(words) <= _WORDS_MAX
        assert words.endswith(".")
        assert words[0].isupper() or words[0].islower()
    assert guide.source_url.startswith("https://")


@_EVERY
def test_choices_have_names_words_and_a_default_that_they_offer(name: str) -> None:
    """A form is made of them."""
    choices = PROVIDERS[name].choices
    assert len({choice.name for choice in choices}) == len(choices)
    for choice in choices:
        assert _MEMBER.fullmatch(choice.name)
        assert choice.words.endswith(".")
        assert not choice.values or choice.default in choice.values


@_EVERY
def test_waits_are_for_unified_events_that_something_follows(name: str) -> None:
    """What never ends is never late; what ends in a year is late when nobody looks any more."""
    for event, wait in PROVIDERS[name].waits.items():
        type_ = CATALOGUE.find(FAMILY, event)
        assert type_ is not None
        assert timedelta(0) < wait < _UNREASONABLE


@_EVERY
def test_how_a_request_is_known_and_what_is_kept_for_that_agree(name: str) -> None:
    """A form must ask for what verifies, and for nothing else."""
    sample = _sample(name)
    provider = sample.provider
    for words in (provider.secret, provider.credential):
        if words is not None:
            assert words.label
            assert words.words.endswith(".")
    match provider.source:
        case Source.SIGNATURE:
            with_certificate = provider.needs(sample.incoming, sample.options) is not None
            assert with_certificate or (provider.secret is not None and provider.secret.required)
        case Source.CREDENTIALS:
            assert provider.credential is not None
            assert provider.credential.required
        case Source.FETCH:
            assert provider.credential is not None


@_EVERY
def test_settings_that_work_are_taken_and_those_that_cannot_are_refused(name: str) -> None:
    """Better while somebody looks than when the first webhook is refused."""
    sample = _sample(name)
    provider, keys = sample.provider, sample.keys
    provider.check(sample.options, keys.secrets, keys.credential)
    unusable = [({**sample.options, "no_such": "x"}, keys.secrets, keys.credential)]
    if sample.options or keys.secrets or keys.credential:
        unusable.append(({}, (), None))
    for options, secrets, credential in unusable:
        with pytest.raises(InvalidError) as refused:
            provider.check(options, secrets, credential)
        for fault in refused.value.faults:
            assert fault.pointer.startswith(("/options", "/secrets", "/credential"))
            assert not any(secret in fault.detail for secret in keys.secrets)


@_EVERY
def test_a_good_request_is_his(name: str) -> None:
    """The plain case."""
    sample = _sample(name)
    provider = sample.provider
    verdict = judged(provider, sample.incoming, sample.keys, sample.now, sample.options).verdict
    expected = Verdict.FETCH if provider.source is Source.FETCH else Verdict.VERIFIED
    assert verdict is expected


@_EVERY
@pytest.mark.parametrize("which", [0, 1])
def test_while_secrets_rotate_both_verify(name: str, which: int) -> None:
    """A provider signs with the old one for as long as he likes after the new one was saved."""
    sample = _sample(name, which)
    if sample.provider.source is Source.FETCH or len(sample.keys.secrets) < 2:
        return
    for keys in (sample.keys, Keys((sample.keys.secrets[which],))):
        sample.provider.verify(sample.incoming, keys, sample.now, sample.options)
    other = Keys((sample.keys.secrets[1 - which],))
    with pytest.raises(SignatureError):
        sample.provider.verify(sample.incoming, other, sample.now, sample.options)


@_EVERY
def test_what_is_not_his_is_refused_with_a_reason(name: str) -> None:
    """Empty, somebody else's, or changed: the quarantine says why, and nothing of a secret."""
    sample = _sample(name)
    provider = sample.provider
    if provider.source is Source.FETCH:
        return  # nothing is believed of it, whoever sent it
    assert sample.forged, "a sample of one who signs has some that are forged"
    tried = [
        (Incoming("POST", "", {}, b""), sample.keys),
        (sample.incoming._replace(body=b""), sample.keys),
        (sample.incoming, Keys(())),
        (sample.incoming, sample.strangers),
        *((forged, sample.keys) for forged in sample.forged),
    ]
    for place, (incoming, keys) in enumerate(tried):
        found = judged(provider, incoming, keys, sample.now, sample.options)
        assert found.verdict is Verdict.UNVERIFIED, f"number {place}"
        assert found.reason
        assert not any(secret in found.reason for secret in keys.secrets)


@_EVERY
def test_what_is_not_verified_is_no_success(name: str) -> None:
    """A provider that is told 2xx has delivered, and never sends it again."""
    provider = _sample(name).provider
    good, bad = provider.answer(verified=True), provider.answer(verified=False)
    assert 200 <= good.status < 300
    assert bad.status not in range(200, 300)
    for answer in (good, bad):
        assert len(answer.body) < 1_000
        assert "/" in answer.content_type


@_EVERY
def test_a_request_says_one_thing_of_an_object_at_a_time(name: str) -> None:
    """What is heard is kept, ordered and told of again: it has to say what it is about."""
    sample = _sample(name)
    heards = _heards(sample)
    assert heards
    for heard in heards:
        assert 0 < len(heard.word) <= OBJECT_ID_CHARS_MAX
        assert 0 < len(heard.object_type) <= OBJECT_ID_CHARS_MAX
        assert 0 < len(heard.object_id) <= OBJECT_ID_CHARS_MAX
        assert heard.event_id is None or heard.event_id
        assert heard.occurred_at is None or heard.occurred_at.utcoffset() is not None
        assert CATALOGUE.find(heard.family, heard.type) is not None
    assert heards == _heards(sample), "read twice, it is the same"


@_EVERY
def test_what_is_told_is_an_event_that_its_schema_takes(name: str) -> None:
    """The whole way, but for the store: a merchant's receiver is made for this schema."""
    sample = _sample(name)
    messages = [Message(heard=heard, receipt_id=bytes(16)) for heard in _heards(sample)]
    history = history_of(sample, messages)
    assert sample.tells in [word.unified for word in history.words]
    for word in history.words:
        assert word.told.object_type == object_of(word.unified)
        data = written(
            word.told,
            word.unified,
            connector_name="main",
            connector_id_text="con_1",
            merchant=MERCHANT,
            at=sample.now,
        )
        type_ = CATALOGUE.find(FAMILY, word.unified)
        assert type_ is not None
        assert faults(type_, data, at_most=5) == ()


@_EVERY
def test_a_question_goes_to_the_provider_and_hides_who_asks(name: str) -> None:
    """A key in a URL stands in every log on the way."""
    sample = _sample(name)
    provider = sample.provider
    for heard in provider.read(sample.incoming, sample.options):
        question = provider.ask(heard, sample.keys, sample.options)
        if question is None:
            assert provider.source is not Source.FETCH
            continue
        credential = sample.keys.credential
        assert credential is not None
        assert question.url.startswith("https://")
        assert heard.object_id in question.url
        assert credential not in question.url
        assert any(credential in value for _, value in question.headers)
        assert provider.ask(heard, Keys(()), sample.options) is None


_SCRAPS = st.sampled_from([b"null", b"[]", b"{}", b"1e400", b'""', b"-1", b"\xff", b"[" * 2_000])


@st.composite
def _mutated(draw: st.DrawFn, body: bytes) -> bytes:
    made = bytearray(body)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(made)))
        until = draw(st.integers(at, min(len(made), at + 30)))
        made[at:until] = draw(st.binary(max_size=4) | _SCRAPS)
    return bytes(made)


def _result(call: Callable[..., _T], *arguments: object, allowed: type[Exception]) -> _T | None:
    try:
        return call(*arguments)
    except allowed:
        return None


@_EVERY
@settings(max_examples=60)
@given(data=st.data())
def test_whatever_arrives_ends_in_a_result_or_in_the_one_error(
    name: str, data: st.DataObject
) -> None:
    """A bug here would be anybody's way to stop the process, one request at a time."""
    sample = _sample(name)
    provider, options = sample.provider, sample.options
    headers = dict(sample.incoming.headers)
    for header in data.draw(st.sets(st.sampled_from([*headers, "authorization"]), max_size=2)):
        headers[header] = data.draw(st.text(max_size=40))
    incoming = Incoming(
        "POST",
        data.draw(st.text(max_size=20)),
        headers,
        data.draw(_mutated(sample.incoming.body)),
    )
    _result(provider.challenge, incoming, sample.keys, options, allowed=SignatureError)
    assert isinstance(provider.missing(incoming, options), str | None)
    _result(provider.needs, incoming, options, allowed=SignatureError)
    verify = (incoming, sample.keys, sample.now, options)
    _result(provider.verify, *verify, allowed=SignatureError)
    heards = [*(_result(provider.read, incoming, options, allowed=InvalidError) or ())]
    answer = data.draw(_mutated(sample.answer))
    for heard in heards[:1]:
        provider.ask(heard, sample.keys, options)
        heards += _result(provider.asked, heard, answer, options, allowed=InvalidError) or ()
    for heard in heards:
        _result(provider.tell, heard, sample.tells, options, allowed=InvalidError)
