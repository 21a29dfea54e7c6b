"""What is said about a merchant's team: users, roles, invitations."""

from pydantic import Field

from payhooks.api.schemas.base import Body, Page, View
from payhooks.limits import EMAIL_CHARS_MAX, PASSWORD_CHARS_MAX, USERNAME_CHARS_MAX
from payhooks.model.user import Role


class UserCreate(Body):
    """Somebody who may sign in to the console, for this merchant."""

    username: str = Field(min_length=1, max_length=USERNAME_CHARS_MAX)
    email: str = Field(min_length=1, max_length=EMAIL_CHARS_MAX)
    # Longer than may be, so that the one check that there is says what is wrong with it.
    password: str = Field(min_length=1, max_length=2 * PASSWORD_CHARS_MAX)
    role: Role


class MemberEdit(Body):
    """What changes of a member: what they may do for this merchant."""

    role: Role


class InvitationCreate(Body):
    """Somebody to be asked into the team, by a link that works once."""

    email: str = Field(min_length=1, max_length=EMAIL_CHARS_MAX)
    role: Role


class MemberView(View):
    """A user, as the team sees them."""

    id: str
    username: str
    email: str
    role: Role
    two_factor: bool
    created_at: str
    disabled_at: str | None


class MemberPage(Page):
    """The team, newest first."""

    data: list[MemberView]


class InvitationView(View):
    """An invitation that waits, without its link."""

    id: str
    email: str
    role: Role
    invited_by: str
    created_at: str
    expires_at: str


class NewInvitationView(InvitationView):
    """A new invitation with its link, shown this once."""

    url: str
    mailed: bool


class InvitationPage(Page):
    """Invitations that wait, newest first."""

    data: list[InvitationView]
