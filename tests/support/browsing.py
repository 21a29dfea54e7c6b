"""The console in this process: an installation with a team, and browsers that speak ASGI to it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from http.cookies import SimpleCookie
from typing import Final
from urllib.parse import unquote, urlencode

import pyotp
from tests.support.api_world import World

from payhooks import ids
from payhooks.api.asgi import Message
from payhooks.control import factors, merchants, sessions, users
from payhooks.control.context import SYSTEM, audit_entry
from payhooks.control.merchants import MerchantDraft
from payhooks.control.secrets import open_secret
from payhooks.control.sessions import Visitor
from payhooks.control.users import UserDraft
from payhooks.model.merchant import Merchant, Mode
from payhooks.model.user import NO_MERCHANT, Role, User
from payhooks.ports.identity import IdentityChange

PASSWORD: Final = "seven tall herons wade"
OWN: Final = "own"
_TOKEN: Final = re.compile(r'name="form_token" value="([0-9a-f]+)"')


@dataclass(frozen=True)
class Seen:
    """What a browser was answered."""

    status: int
    headers: Sequence[tuple[str, str]]
    text: str

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    @property
    def heading(self) -> str:
        """The h1."""
        found = re.search(r"<h1>(.*?)</h1>", self.text, re.DOTALL)
        return "" if found is None else found[1].strip()

    @property
    def goes_to(self) -> str | None:
        return self.header("location")


def read(text: str) -> str:
    """Return the words of a page, one space between any two."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


class Browser:
    """Keeps cookies, sends what browsers send, and follows nothing by itself."""

    def __init__(self, world: "ConsoleWorld", address: str = "192.0.2.1") -> None:
        self.world = world
        self.address = address
        self.cookies: dict[str, str] = {}
        self.token = ""  # of the forms of the page that was seen last

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Seen:
        return await self.send("GET", path, headers={"sec-fetch-site": "none", **(headers or {})})

    async def post(
        self,
        path: str,
        fields: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        *,
        token: str | None = OWN,
        headers: Mapping[str, str] | None = None,
    ) -> Seen:
        """Send a form; its token is the right one unless another, or None, is given."""
        pairs = list(fields.items()) if isinstance(fields, Mapping) else list(fields)
        if token == OWN:
            token = self.token
        if token is not None:
            pairs.insert(0, ("form_token", token))
        sent = {
            "sec-fetch-site": "same-origin",
            "content-type": "application/x-www-form-urlencoded",
            **(headers or {}),
        }
        return await self.send("POST", path, urlencode(pairs).encode(), sent)

    async def send(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Seen:
        """Send one request as it is, with this browser's cookies."""
        sent = dict(headers or {})
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={text}" for name, text in self.cookies.items())
        answer = await self.world.request(
            method, path, body, {name: text for name, text in sent.items() if text}, self.address
        )
        for name, value in answer.headers:
            if name == "set-cookie":
                for morsel in SimpleCookie(value).values():
                    if morsel["max-age"] == "0":
                        self.cookies.pop(morsel.key, None)
                    else:
                        self.cookies[morsel.key] = morsel.value
        token = _TOKEN.search(answer.text)
        if token is not None:
            self.token = token[1]
        return answer

    async def sign_in(self, user: User, *, factor: bool = True) -> "Browser":
        """Go through the pages as a person does; without *factor* up to the second one."""
        await self.get("/console/sign-in")
        seen = await self.post("/console/sign-in", {"name": user.username, "password": PASSWORD})
        assert seen.status == 303, seen.text
        if factor and user.has_factor:
            await self.get("/console/")
            code = await self.world.code(user)
            seen = await self.post("/console/factor", {"second_factor": code, "next": "/console/"})
            assert seen.status == 303, seen.text
        return self


class ConsoleWorld(World):
    """An installation whose console is looked at."""

    async def tenant(self, name: str = "Acme", mode: Mode = Mode.SANDBOX) -> Merchant:
        return await merchants.create(self.control, SYSTEM, mode, MerchantDraft(name=name))

    async def person(
        self, merchant: Merchant | None, role: Role = Role.OWNER, *, factor: bool = True
    ) -> User:
        """Return a new user of the team, with a second factor that was given nowhere yet."""
        name = f"{role}{self.random_word()}"
        draft = UserDraft(
            username=name,
            email=f"{name}@example.com",
            password=PASSWORD,
            merchant=merchant,
            role=role,
        )
        user = await users.create(self.control, SYSTEM, draft)
        if not factor:
            return user
        visitor = Visitor(ip="198.51.100.1")
        opened = await sessions.sign_in(self.control, visitor, name=name, password=PASSWORD)
        signed_in = await sessions.find(self.control, opened.text)
        assert signed_in is not None
        enrolment = await factors.enrol(self.control, SYSTEM, user)
        code = pyotp.TOTP(enrolment.seed).at(self.clock.now())
        await factors.confirm(self.control, SYSTEM, signed_in, code)
        await sessions.end(self.control, SYSTEM, user, opened.session.id)
        found = await self.store.user(user.id)
        assert found is not None
        return found

    async def joins(self, user: User, merchant: Merchant, role: Role) -> None:
        """Let somebody who is a user already into another team."""
        entry = audit_entry(self.control, SYSTEM, merchant_id=merchant.id, action="x", target="x")
        change = users.joining(
            self.control, IdentityChange(audit=entry), user, merchant_id=merchant.id, role=role
        )
        await self.store.apply_identity(change)

    async def code(self, user: User) -> str:
        """Return a code that was not used: that of the next step."""
        self.advance(30)
        [seed] = await self.store.secrets(NO_MERCHANT, user.id)
        return pyotp.TOTP(open_secret(self.control.keyring, seed)).at(self.clock.now())

    def random_word(self) -> str:
        return ids.to_text(ids.USER, self.ids.new())[-6:]

    async def request(
        self, method: str, target: str, body: bytes, headers: Mapping[str, str], address: str
    ) -> Seen:
        """Send one request over ASGI."""
        path, _, query = target.partition("?")
        sent = {"host": "payhooks.test", **headers}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "https",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode(), text.encode("latin-1")) for name, text in sent.items()],
            "client": (address, 4711),
            "server": ("127.0.0.1", 443),
            "state": {},
        }
        incoming = iter([{"type": "http.request", "body": body, "more_body": False}])
        messages: list[Message] = []

        async def receive() -> Message:
            return next(incoming, {"type": "http.disconnect"})

        async def send(message: Message) -> None:
            messages.append(message)

        await self.app(scope, receive, send)
        start = messages[0]
        text = b"".join(message.get("body", b"") for message in messages[1:]).decode()
        found = [(name.decode(), value.decode("latin-1")) for name, value in start["headers"]]
        return Seen(start["status"], found, text)
