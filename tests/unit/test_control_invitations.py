"""Invitations: one link, one person, seven days."""

from datetime import timedelta

import msgspec
import pytest
from tests.support.people import EVERYTHING, PASSWORD, VISITOR, People, caller_of

from payhooks import ids, limits
from payhooks.control import invitations, keys, sessions
from payhooks.control.context import SYSTEM, Caller, UrlPolicy
from payhooks.control.invitations import Mailing, NewInvitation
from payhooks.control.keys import KeyDraft
from payhooks.errors import (
    ForbiddenError,
    InvalidError,
    NotFoundError,
    UnavailableError,
    WrongStateError,
)
from payhooks.model.key import Scope
from payhooks.model.merchant import Merchant
from payhooks.model.user import SCOPES, Role
from payhooks.ports.mailing import Mail

BASE = "https://hooks.example"


class Post:
    """A mail server that keeps what it gets, or takes nothing."""

    def __init__(self, *, takes: bool = True) -> None:
        self.mails: list[Mail] = []
        self._takes = takes

    async def send(self, mail: Mail) -> None:
        """Keep the mail."""
        if not self._takes:
            raise UnavailableError("The mail server took nothing.")
        self.mails.append(mail)


async def invite(
    people: People, merchant: Merchant, email: str = "ines@shop.example", role: Role = Role.VIEWER
) -> NewInvitation:
    """Return a new invitation."""
    return await invitations.invite(
        people.control, SYSTEM, merchant, email=email, role=role, base_url=BASE
    )


def text_of(new: NewInvitation) -> str:
    """Return what the link ends in."""
    return new.url.removeprefix(f"{BASE}/console/invitations/")


async def accept(people: People, text: str, username: str = "ines") -> None:
    """Accept as somebody new."""
    await invitations.accept_as_new(
        people.control, VISITOR, text, username=username, password=PASSWORD
    )


async def test_a_link_makes_a_user_in_the_team_who_can_sign_in() -> None:
    people = People()
    merchant = await people.merchant()
    new = await invite(people, merchant, role=Role.SUPPORT)
    assert new.mailing is Mailing.NO_SERVER
    found = await invitations.find(people.control, text_of(new))
    assert found == new.invitation
    await accept(people, text_of(new))
    _, signed_in = await people.sign_in("ines")
    [membership] = signed_in.memberships
    assert (membership.merchant_id, membership.role) == (merchant.id, Role.SUPPORT)
    assert signed_in.user.email == "ines@shop.example"
    assert (await people.actions(merchant.id))[1:] == ["invitation.created", "user.created"]
    assert await people.told() == ["agent.invite.created", "agent.created"]


async def test_the_link_is_in_no_entry_no_announcement_and_no_repr() -> None:
    """Whoever reads the audit log must not be able to join with it."""
    people = People()
    merchant = await people.merchant()
    new = await invite(people, merchant)
    text = text_of(new)
    assert len(text) == 43
    kept = [repr(new), repr(new.invitation), *map(repr, await people.log(merchant.id))]
    kept += map(repr, await people.store.announcements(limit=9))
    assert all(text not in each for each in kept)


@pytest.mark.shows("W17")
async def test_a_link_counts_once() -> None:
    people = People()
    merchant = await people.merchant()
    text = text_of(await invite(people, merchant))
    await accept(people, text)
    with pytest.raises(NotFoundError):
        await accept(people, text, "rosa")
    assert len(await people.store.users(EVERYTHING)) == 1


async def test_somebody_who_has_a_user_already_joins_with_it() -> None:
    people = People()
    first, second = await people.merchant("First"), await people.merchant("Second")
    await people.user("maria", first)
    _, signed_in = await people.sign_in()
    text = text_of(await invite(people, second, "maria@other.example", Role.DEVELOPER))
    await invitations.accept(people.control, caller_of(signed_in), signed_in, text)
    roles = [one.role for one in await people.store.memberships(signed_in.user.id)]
    assert roles == [Role.OWNER, Role.DEVELOPER]
    again = text_of(await invite(people, second, "maria@other.example"))
    with pytest.raises(WrongStateError):
        await invitations.accept(people.control, caller_of(signed_in), signed_in, again)
    assert (await people.actions(second.id))[2] == "member.added"


@pytest.mark.shows("W17")
async def test_a_link_that_a_key_made_counts_while_the_key_is_not_revoked() -> None:
    """Whoever had a stolen key would come in by a link made before it was closed."""
    people = People()
    merchant = await people.merchant()
    for owner in (merchant, None):
        soon = people.clock.now() + timedelta(days=1)
        draft = KeyDraft(label="k", scopes=sorted(SCOPES[Role.OWNER]), expires_at=soon)
        made = await keys.create(people.control, SYSTEM, owner, draft)
        caller = keys.caller_of(made.key, request_id=None, ip=None)
        new = await invitations.invite(
            people.control, caller, merchant, email="a@b.example", role=Role.OWNER, base_url=BASE
        )
        people.clock.advance(timedelta(days=2))
        await invitations.find(people.control, text_of(new))
        await keys.revoke(people.control, SYSTEM, made.key)
        with pytest.raises(NotFoundError):
            await invitations.find(people.control, text_of(new))


async def test_a_user_is_in_so_many_teams_and_no_more() -> None:
    """All of them are read with each of the user's requests."""
    people = People()
    first, second = await people.merchant("First"), await people.merchant("Second")
    await people.user("maria", first)
    _, signed_in = await people.sign_in()
    busy = msgspec.structs.replace(
        signed_in, memberships=signed_in.memberships * limits.TEAMS_PER_USER_MAX
    )
    text = text_of(await invite(people, second, "maria@other.example"))
    with pytest.raises(WrongStateError):
        await invitations.accept(people.control, caller_of(busy), busy, text)
    await invitations.accept(people.control, caller_of(signed_in), signed_in, text)


async def test_an_invitation_ends_after_seven_days_or_when_it_is_revoked() -> None:
    people = People()
    merchant, other = await people.merchant(), await people.merchant("Other")
    kept = text_of(await invite(people, merchant))
    taken = await invite(people, merchant, "rosa@shop.example")
    printed = ids.to_text(ids.INVITATION, taken.invitation.id)
    for wrong in (printed[:-1], "inv_" + "0" * 26, "usr_x", ""):
        with pytest.raises(NotFoundError):
            await invitations.revoke(people.control, SYSTEM, merchant.id, wrong)
    with pytest.raises(NotFoundError):
        await invitations.revoke(people.control, SYSTEM, other.id, printed)
    await invitations.revoke(people.control, SYSTEM, merchant.id, printed)
    with pytest.raises(NotFoundError):
        await accept(people, text_of(taken))
    assert (await people.told())[-1] == "agent.invite.deleted"
    await invitations.find(people.control, kept)
    people.clock.advance(timedelta(days=limits.INVITATION_DAYS))
    with pytest.raises(NotFoundError):
        await accept(people, kept)


@pytest.mark.parametrize("text", ["", "x", "x" * 43, "x" * 100_000, "\ud800"])
async def test_what_is_no_link_of_ours_finds_nothing(text: str) -> None:
    with pytest.raises(NotFoundError):
        await invitations.find(People().control, text)


async def test_a_name_that_is_taken_leaves_the_invitation_as_it_was() -> None:
    """Somebody who picks a taken name tries another, with the same link."""
    people = People()
    merchant = await people.merchant()
    await people.user("maria")
    text = text_of(await invite(people, merchant))
    with pytest.raises(WrongStateError):
        await accept(people, text, "MARIA")
    for username, password in (("no spaces", PASSWORD), ("ines", "short"), ("ines", "ines" * 4)):
        with pytest.raises(InvalidError):
            await invitations.accept_as_new(
                people.control, VISITOR, text, username=username, password=password
            )
    await accept(people, text)


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ines",
        "@shop.example",
        "ines@",
        "ines@shop..example",
        "a b@shop.example",
        "ines@shop.example\r\nBcc: all@shop.example",
        f"{'i' * 250}@shop.example",
        "ïnes@shop.example",
    ],
)
async def test_what_is_no_address_is_refused(email: str) -> None:
    """It becomes a header of a mail."""
    people = People()
    merchant = await people.merchant()
    with pytest.raises(InvalidError) as refused:
        await invite(people, merchant, email)
    assert [fault.pointer for fault in refused.value.faults] == ["/email"]


async def test_who_is_in_the_team_is_not_invited_and_the_list_is_bounded() -> None:
    people = People()
    merchant = await people.merchant()
    await people.user("maria", merchant)
    with pytest.raises(InvalidError):
        await invite(people, merchant, "MARIA@shop.example")
    for number in range(limits.INVITATIONS_PER_MERCHANT_MAX):
        await invite(people, merchant, f"a{number}@shop.example")
    with pytest.raises(WrongStateError):
        await invite(people, merchant)


@pytest.mark.shows("W17")
async def test_nobody_gives_away_more_than_they_have() -> None:
    """A key that may only invite must not make itself an owner."""
    people = People()
    merchant = await people.merchant()
    inviter = Caller(
        actor="key:key_1", scopes=frozenset({Scope.TEAM_WRITE}), merchant_id=merchant.id
    )
    for role in Role:
        with pytest.raises(ForbiddenError):
            await invitations.invite(
                people.control, inviter, merchant, email="a@b.example", role=role, base_url=BASE
            )
    assert await people.store.invitations(merchant.id, EVERYTHING) == []


async def test_the_link_is_mailed_where_there_is_a_server_for_it() -> None:
    post = Post()
    people = People(mailer=post)
    merchant = await people.merchant()
    new = await invite(people, merchant)
    [mail] = post.mails
    assert new.mailing is Mailing.SENT
    assert mail.to == "ines@shop.example"
    assert new.url in mail.text
    assert "Bakery" in mail.subject


async def test_a_mail_that_does_not_leave_costs_nothing_but_itself() -> None:
    """The inviter sees the link anyway, and is told."""
    people = People(mailer=Post(takes=False))
    merchant = await people.merchant()
    new = await invite(people, merchant)
    assert new.mailing is Mailing.NOT_TAKEN
    await accept(people, text_of(new))
    assert sessions.actor_of((await people.sign_in("ines"))[1].user).startswith("user:usr_")


async def test_nobodys_mailbox_is_filled_by_inviting_them_again_and_again() -> None:
    """Invited, revoked, invited: each was a mail of ours to somebody who asked for none."""
    post = Post()
    people = People(mailer=post)
    merchant = await people.merchant()
    made = []
    for _ in range(8):
        new = await invite(people, merchant)
        made.append(new.mailing)
        printed = ids.to_text(ids.INVITATION, new.invitation.id)
        await invitations.revoke(people.control, SYSTEM, merchant.id, printed)
    assert made == [Mailing.SENT] * 5 + [Mailing.TOO_MANY] * 3
    assert (await invite(people, merchant, "rosa@shop.example")).mailing is Mailing.SENT
    assert len(post.mails) == 6


async def test_a_mail_leads_to_no_other_name_where_ours_is_known() -> None:
    """A key that may invite could send links to anywhere, in mails that come from us."""
    post = Post()
    people = People(mailer=post)
    object.__setattr__(people.control, "urls", UrlPolicy(own_hosts=frozenset({"hooks.example"})))
    merchant = await people.merchant()
    assert (await invite(people, merchant)).mailing is Mailing.SENT
    for base in (
        "https://evil.example",
        "https://hooks.example.evil",
        "https://hooks.example@evil",
    ):
        new = await invitations.invite(
            people.control, SYSTEM, merchant, email="a@b.example", role=Role.VIEWER, base_url=base
        )
        assert new.mailing is Mailing.OTHER_NAME
        assert new.url.startswith(base)
    assert len(post.mails) == 1


@pytest.mark.parametrize(
    ("authority", "url"),
    [
        ("hooks.example", "https://hooks.example"),
        ("hooks.example:8443", "https://hooks.example:8443"),
        ("localhost:8420", "http://localhost:8420"),
        ("[::1]:8420", "http://[::1]:8420"),
        ("127.0.0.1.hooks.example", "https://127.0.0.1.hooks.example"),
    ],
)
def test_a_link_goes_over_tls_but_to_this_machine(authority: str, url: str) -> None:
    """A proxy takes TLS off before us; a link in the clear would be read on its way."""
    assert invitations.base_url_of(authority) == url
