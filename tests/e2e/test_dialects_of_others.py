"""A merchant's own format and a distribution's own dialect, through a served process."""

import hmac
import re
from pathlib import Path

import pytest
from tests.outside import verify_custom, verify_standard
from tests.support.captured import capturing
from tests.support.commands import run, run_json
from tests.support.custom_formats import CASHFREE, HUB, SLACK
from tests.support.server import (
    OPERATOR_KEY,
    ROOT,
    SECRET_KEY,
    Api,
    Refused,
    Server,
    ServerError,
    Tenant,
    sqlite_url,
)

pytestmark = pytest.mark.shows("V10")

# The example of the documentation: who copies it must get what it promises.
PAGE = (ROOT / "docs" / "dialects-in-code.md").read_text(encoding="utf-8")
ACME, ENTRY_POINT = re.findall(r"```(?:python|toml)\n(.*?)```", PAGE, re.DOTALL)
BROKEN = """
class Acme:
    name = "acme"

ACME = Acme()
"""


def _site(folder: Path, code: str) -> Path:
    """Return a folder in which the distribution acme-webhooks is installed."""
    about = folder / "acme_webhooks-2.1.dist-info"
    about.mkdir(parents=True)
    (folder / "acme_webhooks.py").write_text(code, encoding="utf-8")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-webhooks\nVersion: 2.1\n")
    # As an installer writes what the project's file says.
    named = ENTRY_POINT.splitlines()[1].replace('"', "")
    (about / "entry_points.txt").write_text(f"[payhooks.dialects]\n{named}\n")
    return folder


def _path(site: Path) -> str:
    return f"{ROOT / 'src'}:{ROOT}:{site}"


@pytest.mark.parametrize("said", [HUB, SLACK, CASHFREE], ids=["hub", "slack", "cashfree"])
def test_a_receiver_verifies_the_format_that_its_company_always_had(
    tmp_path: Path, said: dict[str, str]
) -> None:
    """The whole way: set on the merchant, published, sent, verified by code that is not ours."""
    with sqlite_url(tmp_path) as url, capturing() as capture:
        server = Server(tmp_path / "server", url).start()
        try:
            tenant = Tenant(Api(server.port), custom_dialect=said)
            tenant.endpoint(capture.url("/hook"), dialect="custom", secret="their-old-secret")
            tenant.publish({"amount": 1})
            [request] = capture.until(1)
            assert verify_custom.is_signed_by("their-old-secret", request.named, request.body)
            assert not verify_custom.is_signed_by("another-secret", request.named, request.body)
            assert b'{"amount": 1}' in request.body
            assert said["signature_header"] in dict(request.headers)
            # An edit holds for the next request.
            edited = {**said, "algorithm": "sha512", "encoding": "hex", "signed": "{body}"}
            tenant.api.call("PATCH", tenant.path, {"custom_dialect": edited})
            tenant.publish({"amount": 2})
            request = capture.until(2)[1]
            mac = hmac.digest(b"their-old-secret", request.body, "sha512").hex()
            shown = dict(request.headers)[said["signature_header"]]
            assert shown == said.get("signature_prefix", "") + mac
        finally:
            server.close()


def test_a_dialect_that_was_installed_is_spoken(tmp_path: Path) -> None:
    """With nothing to configure; doctor says who brought it."""
    environment = {"PYTHONPATH": _path(_site(tmp_path / "site", ACME))}
    with sqlite_url(tmp_path) as url, capturing() as capture:
        server = Server(tmp_path / "server", url, environment=environment).start()
        try:
            tenant = Tenant(Api(server.port))
            tenant.endpoint(capture.url("/hook"), dialect="acme")
            tenant.publish({"amount": 1})
            [request] = capture.until(1)
            secret = tenant.secrets["/hook"]
            assert verify_standard.is_signed_by(secret, request.named, request.body)
            with pytest.raises(Refused, match="Did you mean acme"):
                tenant.endpoint(capture.url("/other"), dialect="acmee")
        finally:
            server.close()
        settings = {
            "PAYHOOKS_DATABASE_URL": url,
            "PAYHOOKS_SECRET_KEY": SECRET_KEY,
            "PAYHOOKS_OPERATOR_KEY": OPERATOR_KEY,
        }
        findings = {
            each["name"]: each for each in run_json(tmp_path, "doctor", **settings, **environment)
        }
        assert findings["dialects"]["words"] == "ours and acme in acme-webhooks 2.1"


@pytest.mark.long
@pytest.mark.parametrize(
    ("code", "words"),
    [
        pytest.param(
            BROKEN, "acme in acme-webhooks 2.1 is no dialect: it has no version", id="half"
        ),
        pytest.param(
            "import nothing_of_that_name",
            "acme in acme-webhooks 2.1 cannot be imported: ModuleNotFoundError.",
            id="import",
        ),
        pytest.param(
            ACME.replace('"acme"', '"standard"'),
            "acme in acme-webhooks 2.1 is no dialect: the name standard is taken.",
            id="taken name",
        ),
    ],
)
def test_a_broken_one_keeps_the_server_from_starting_and_is_named(
    tmp_path: Path, code: str, words: str
) -> None:
    """Found out later, it would be found out by merchants."""
    environment = {"PYTHONPATH": _path(_site(tmp_path / "site", code))}
    settings = {
        "PAYHOOKS_DATABASE_URL": f"sqlite:///{tmp_path}/payhooks.db",
        "PAYHOOKS_SECRET_KEY": SECRET_KEY,
        "PAYHOOKS_OPERATOR_KEY": OPERATOR_KEY,
        **environment,
    }
    checked = run(tmp_path, "config", "check", **settings)
    assert (checked.returncode, checked.stdout) == (2, "")
    assert checked.stderr.startswith(f"payhooks: payhooks.dialects: {words}")
    looked = run(tmp_path, "doctor", **settings)
    assert looked.returncode == 1
    assert f"✗ dialects: {words}" in looked.stdout
    server = Server(tmp_path / "server", settings["PAYHOOKS_DATABASE_URL"], environment=environment)
    try:
        with pytest.raises(ServerError) as caught:
            server.start()
        assert "ended with 2" in str(caught.value)
        assert words in str(caught.value)
    finally:
        server.close()
