"""Second factors: codes that count once, and recovery codes for when the phone is gone."""

import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.support.people import VISITOR, People, caller_of

from payhooks.control import factors, sessions
from payhooks.control.context import SYSTEM
from payhooks.control.factors import Enrolment
from payhooks.errors import ForbiddenError, InvalidError, RateLimitedError, WrongStateError
from payhooks.model.user import NO_MERCHANT
from payhooks.ports.identity import SignedIn

STEP = timedelta(seconds=30)


async def enrolled() -> tuple[People, SignedIn, str, tuple[str, ...]]:
    """Return a user with a second factor in a new session, the seed, and the recovery codes."""
    people = People()
    await people.user()
    _, signed_in = await people.sign_in()
    caller = caller_of(signed_in)
    enrolment = await factors.enrol(people.control, caller, signed_in.user)
    codes = await factors.confirm(people.control, caller, signed_in, people.code(enrolment.seed))
    people.clock.advance(2 * STEP)
    _, later = await people.sign_in()
    return people, later, enrolment.seed, codes


async def found_again(people: People, signed_in: SignedIn) -> SignedIn:
    """Return the session as the next request finds it."""
    found = await people.store.signed_in(signed_in.session.digest)
    assert found is not None
    return found


async def give(people: People, signed_in: SignedIn, code: str) -> None:
    """Give a code in a session."""
    await factors.verify(people.control, caller_of(signed_in), signed_in, code)


@pytest.mark.shows("W6")
async def test_a_seed_counts_only_after_one_of_its_codes_came_back() -> None:
    """A QR code that was never scanned would lock its user out."""
    people = People()
    user = await people.user()
    _, signed_in = await people.sign_in()
    caller = caller_of(signed_in)
    with pytest.raises(WrongStateError):
        await factors.confirm(people.control, caller, signed_in, "123456")
    first = await factors.enrol(people.control, caller, user)
    begun = await factors.enrol(people.control, caller, user)
    assert await factors.pending(people.control, user) == begun
    assert not (await found_again(people, signed_in)).user.has_factor
    for wrong in (people.code(first.seed), "000000", "", "12345", "not a code", "١٢٣٤٥٦"):
        if wrong != people.code(begun.seed):
            with pytest.raises(InvalidError):
                await factors.confirm(people.control, caller, signed_in, wrong)
            people.clock.advance(timedelta(minutes=5))
    codes = await factors.confirm(people.control, caller, signed_in, people.code(begun.seed))
    found = await found_again(people, signed_in)
    assert found.user.has_factor
    assert found.session.factor_at == people.clock.now(), "the factor just given counts"
    assert len(set(codes)) == 10
    assert len(await people.store.secrets(NO_MERCHANT, user.id)) == 1
    assert await factors.pending(people.control, found.user) is None
    with pytest.raises(WrongStateError):
        await factors.enrol(people.control, caller, found.user)


async def test_the_provisioning_url_says_whose_it_is() -> None:
    """The phone lists it under this name."""
    people = People()
    user = await people.user()
    enrolment = await factors.enrol(people.control, SYSTEM, user)
    url = urlsplit(enrolment.url)
    assert (url.scheme, url.netloc, url.path) == ("otpauth", "totp", "/Payhooks:maria")
    assert parse_qs(url.query) == {"secret": [enrolment.seed], "issuer": ["Payhooks"]}


async def test_the_seed_is_sealed_and_printed_by_nothing() -> None:
    people, signed_in, seed, codes = await enrolled()
    [secret] = await people.store.secrets(NO_MERCHANT, signed_in.user.id)
    assert seed.encode() not in secret.sealed
    entries = b"".join(entry.changes for entry in await people.log())
    assert all(text.encode() not in entries for text in (seed, *codes))
    assert all(code not in repr(signed_in.user) for code in codes)
    shown = Enrolment(seed=seed, url="otpauth://totp/…")
    assert seed not in repr(shown)


@pytest.mark.shows("W6")
@pytest.mark.parametrize("steps", [-1, 0, 1])
async def test_a_code_of_one_step_around_now_counts(steps: int) -> None:
    """Phones are up to half a minute off, and people slow."""
    people, signed_in, seed, _ = await enrolled()
    await give(people, signed_in, people.code(seed, steps=steps))
    again = await found_again(people, signed_in)
    assert again.session.factor_at == people.clock.now()


@pytest.mark.shows("W6")
@pytest.mark.parametrize("steps", [-2, 2])
async def test_a_code_of_another_time_does_not_count(steps: int) -> None:
    people, signed_in, seed, _ = await enrolled()
    with pytest.raises(InvalidError) as refused:
        await give(people, signed_in, people.code(seed, steps=steps))
    [fault] = refused.value.faults
    assert (fault.pointer, fault.code) == ("/code", "wrong_code")
    assert "That code did not match" in fault.detail


@pytest.mark.shows("W6")
async def test_no_code_counts_twice_nor_does_an_earlier_one() -> None:
    """What somebody reads over a shoulder is used up."""
    people, signed_in, seed, _ = await enrolled()
    used = people.code(seed)
    await give(people, signed_in, used)
    for replayed in (used, people.code(seed, steps=-1)):
        with pytest.raises(InvalidError):
            await give(people, signed_in, replayed)
    await give(people, signed_in, people.code(seed, steps=1))


@pytest.mark.shows("W6")
async def test_the_code_that_enabled_the_factor_does_not_open_the_gate_again() -> None:
    people = People()
    await people.user()
    _, signed_in = await people.sign_in()
    caller = caller_of(signed_in)
    enrolment = await factors.enrol(people.control, caller, signed_in.user)
    code = people.code(enrolment.seed)
    await factors.confirm(people.control, caller, signed_in, code)
    with pytest.raises(InvalidError):
        await give(people, signed_in, code)


@pytest.mark.shows("W8")
async def test_a_recovery_code_counts_once_however_it_is_typed() -> None:
    people, signed_in, _, codes = await enrolled()
    assert all(re.fullmatch("[a-z2-7]{4}(-[a-z2-7]{4}){3}", code) for code in codes)
    await give(people, signed_in, f" {codes[0].upper().replace('-', ' ')} ")
    with pytest.raises(InvalidError):
        await give(people, signed_in, codes[0])
    await give(people, signed_in, codes[9])
    user = await people.store.user(signed_in.user.id)
    assert user is not None
    assert len(user.recovery_digests) == 8


@pytest.mark.shows("W6", "W8")
async def test_five_wrong_codes_in_a_row_make_the_next_wait() -> None:
    """A million codes are few for a program."""
    people, signed_in, seed, codes = await enrolled()
    for _ in range(5):
        with pytest.raises(InvalidError):
            await give(people, signed_in, "2345-2345-2345-2345")
    for right in (people.code(seed), codes[0]):
        with pytest.raises(RateLimitedError):
            await give(people, signed_in, right)
    # The password is counted apart: whoever has it must not reset the count of codes.
    await people.sign_in()
    with pytest.raises(RateLimitedError):
        await give(people, signed_in, codes[0])
    people.clock.advance(STEP)
    await give(people, signed_in, codes[0])


async def test_new_recovery_codes_need_a_fresh_factor_and_replace_the_old() -> None:
    people, signed_in, seed, codes = await enrolled()
    with pytest.raises(ForbiddenError):
        await factors.renew_recovery_codes(people.control, caller_of(signed_in), signed_in)
    await give(people, signed_in, people.code(seed))
    fresh = await found_again(people, signed_in)
    renewed = await factors.renew_recovery_codes(people.control, caller_of(fresh), fresh)
    assert not set(renewed) & set(codes)
    with pytest.raises(InvalidError):
        await give(people, fresh, codes[1])
    await give(people, fresh, renewed[1])


async def test_turning_it_off_needs_a_fresh_factor_and_ends_other_sessions() -> None:
    people, signed_in, seed, codes = await enrolled()
    with pytest.raises(ForbiddenError):
        await factors.turn_off(people.control, caller_of(signed_in), signed_in)
    await give(people, signed_in, people.code(seed))
    fresh = await found_again(people, signed_in)
    user = await factors.turn_off(people.control, caller_of(fresh), fresh)
    assert not user.has_factor
    assert await people.store.secrets(NO_MERCHANT, user.id) == []
    assert [one.id for one in await people.store.sessions(user.id)] == [signed_in.session.id]
    after = await found_again(people, signed_in)
    assert not sessions.factor_fresh(after, people.clock.now(), within_s=900)
    with pytest.raises(WrongStateError):
        await give(people, after, codes[0])


async def test_who_lost_everything_is_reset_and_signed_out() -> None:
    people, signed_in, _, _ = await enrolled()
    user = await people.store.user(signed_in.user.id)
    assert user is not None
    reset = await factors.reset(people.control, SYSTEM, user)
    assert (reset.has_factor, reset.recovery_digests) == (False, ())
    assert await people.store.sessions(user.id) == []
    assert (await people.actions())[-1] == "factor.reset"


async def test_each_change_leaves_exactly_one_entry() -> None:
    people, signed_in, seed, _ = await enrolled()
    await give(people, signed_in, people.code(seed))
    assert await people.actions() == [
        "user.created",
        "user.signed_in",
        "factor.begun",
        "factor.enabled",
        "user.signed_in",
        "factor.given",
    ]
    assert {entry.ip for entry in (await people.log())[1:]} == {VISITOR.ip}


async def test_beginning_again_does_not_forget_a_seed_that_was_just_confirmed() -> None:
    """Two tabs: the one that confirms must not lose its factor to the one that begins."""
    people = People()
    user = await people.user()
    _, signed_in = await people.sign_in()
    caller = caller_of(signed_in)
    enrolment = await factors.enrol(people.control, caller, user)
    await factors.confirm(people.control, caller, signed_in, people.code(enrolment.seed))
    with pytest.raises(WrongStateError):
        await factors.enrol(people.control, caller, user)
    people.clock.advance(STEP)
    await give(people, signed_in, people.code(enrolment.seed))
