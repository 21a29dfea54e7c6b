"""The demo merchant of ``payhooks dev``: made once, found again at every later start."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import pyotp

from payhooks import ids
from payhooks.cli.client import read_dev_file
from payhooks.cli.local import CALLER
from payhooks.clock import SystemClock
from payhooks.control import endpoints, factors, key_text, keys, merchants, sessions, users
from payhooks.control.context import Control
from payhooks.control.endpoint_draft import EndpointDraft
from payhooks.control.key_text import KeyKind
from payhooks.control.keyring import new_key_text
from payhooks.control.keys import GRANTABLE, KeyDraft
from payhooks.control.merchants import MerchantDraft
from payhooks.control.secrets import open_secret
from payhooks.control.sessions import Visitor
from payhooks.control.users import UserDraft
from payhooks.errors import NotFoundError, WrongStateError
from payhooks.model.merchant import Merchant, Mode
from payhooks.model.secret import SecretPurpose
from payhooks.ports.controlling import Window

FILE_NAME: Final = "dev.json"
STORE_NAME: Final = "payhooks.db"
_LABEL: Final = "Test receiver"
_SIGNING: Final = frozenset(
    {SecretPurpose.ENDPOINT, SecretPurpose.SIGNATURE_KEY, SecretPurpose.SOURCE_KEY}
)
_PAGE: Final = 100
USERNAME: Final = "demo"
# The code of the step before confirms, so that the one that is printed is not used up.
_STEP: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What is kept between starts, secrets included: the file is for its owner alone."""

    secret_key: str
    operator_key: str
    url: str = ""
    merchant_id: str = ""
    api_key: str = ""
    endpoint_id: str = ""
    password: str = ""  # of the user who is called demo
    totp_seed: str = ""


def load(directory: Path) -> Demo:
    """Return what an earlier start kept, or new keys.

    Raises:
        WrongStateError: There is data, but the key that opens it is gone.

    """
    kept = read_dev_file(directory / FILE_NAME)
    if "secret_key" in kept and "operator_key" in kept:
        names = Demo.__dataclass_fields__
        demo = Demo(**{name: value for name, value in kept.items() if name in names})
        return demo if demo.password else replace(demo, password=_new_password())
    if (directory / STORE_NAME).exists():
        raise WrongStateError(
            f"{directory / FILE_NAME} is gone, and with it the key to the data beside it;"
            f" delete {directory} to start again"
        )
    return Demo(
        secret_key=new_key_text(os.urandom),
        operator_key=key_text.new_key(KeyKind.OPERATOR, os.urandom),
        password=_new_password(),
    )


def save(directory: Path, demo: Demo) -> None:
    """Keep *demo*, whole or not at all."""
    new = directory / f"{FILE_NAME}.new"
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(demo), file, indent=2)
    new.replace(directory / FILE_NAME)


async def prepare(control: Control, demo: Demo, *, receiver_url: str) -> Demo:
    """Return the demo with its merchant, key and endpoint; the endpoint posts to *receiver_url*."""
    merchant = await _merchant(control, demo)
    demo = replace(demo, merchant_id=ids.to_text(ids.MERCHANT, merchant.id))
    if not demo.api_key:
        draft = KeyDraft(label="payhooks dev", scopes=sorted(GRANTABLE))
        made = await keys.create(control, CALLER, merchant, draft)
        demo = replace(demo, api_key=made.text)
    demo = replace(demo, totp_seed=await _user(control, merchant, demo))
    return replace(demo, endpoint_id=await _endpoint(control, merchant, demo, receiver_url))


def code_now(demo: Demo) -> str:
    """Return what the demo user's phone would show."""
    return pyotp.TOTP(demo.totp_seed).at(SystemClock().now())


async def signing_secrets(control: Control) -> Sequence[str]:
    """Return every secret that anything here signs with, so that the receiver can check all."""
    found: list[str] = []
    now = control.clock.now()
    for merchant in await control.store.merchants(Window(limit=_PAGE)):
        owners = [merchant.id]
        page = Window(limit=_PAGE)
        owners += [each.id for each in await control.store.endpoints(merchant.id, page)]  # type: ignore[misc]  # all owners are bytes
        owners += [each.id for each in await control.store.keys(merchant.id, page) if each.signing]  # type: ignore[misc]  # as above
        for owner in owners:
            found += [
                open_secret(control.keyring, secret)
                for secret in await control.store.secrets(merchant.id, owner)
                if secret.purpose in _SIGNING
                and (secret.expires_at is None or secret.expires_at > now)
            ]
    return found


async def _merchant(control: Control, demo: Demo) -> Merchant:
    if demo.merchant_id:
        try:
            return await merchants.find(control, CALLER, demo.merchant_id)
        except NotFoundError:
            pass  # An earlier start was broken off before it was stored.
    draft = MerchantDraft(name="Demo shop")
    return await merchants.create(control, CALLER, Mode.SANDBOX, draft)


async def _user(control: Control, merchant: Merchant, demo: Demo) -> str:
    """Return the seed of the demo user's codes, made with the user where there is none."""
    user = await control.store.user_by_name(USERNAME)
    if user is None:
        draft = UserDraft(
            username=USERNAME,
            email=f"{USERNAME}@payhooks.invalid",
            password=demo.password,
            merchant=merchant,
        )
        user = await users.create(control, CALLER, draft)
    if user.has_factor and demo.totp_seed:
        return demo.totp_seed
    if user.has_factor:  # An earlier start was broken off before it kept the seed.
        await factors.reset(control, CALLER, user)
    visitor = Visitor(ip=None, agent="payhooks dev")
    new = await sessions.sign_in(control, visitor, name=USERNAME, password=demo.password)
    signed_in = await sessions.find(control, new.text)
    assert signed_in is not None, "it was just opened"
    enrolment = await factors.enrol(control, CALLER, signed_in.user)
    code = pyotp.TOTP(enrolment.seed).at(control.clock.now() - _STEP)
    await factors.confirm(control, CALLER, signed_in, code)
    await sessions.end(control, CALLER, signed_in.user, signed_in.session.id)
    return enrolment.seed


def _new_password() -> str:
    # Hexadecimal, so that the username cannot be in it by chance.
    return os.urandom(10).hex()


async def _endpoint(control: Control, merchant: Merchant, demo: Demo, url: str) -> str:
    try:
        endpoint = await endpoints.find(control, merchant, demo.endpoint_id)
    except NotFoundError:
        draft = EndpointDraft(label=_LABEL, url=url, events=("*",))
        endpoint, _ = await endpoints.create(control, CALLER, merchant, draft)
    if endpoint.url != url:  # the receiver had to take another port
        draft = EndpointDraft(url=url)
        endpoint = await endpoints.edit(control, CALLER, merchant, endpoint, draft, if_version=None)
    return ids.to_text(ids.ENDPOINT, endpoint.id)
