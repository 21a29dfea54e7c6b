"""Group D: where an endpoint may not be, at create and at edit alike."""

import json
import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from tests.support.api_world import World
from tests.support.bad_input import Ground, case, ground
from tests.support.server import Tenant

from payhooks.limits import ENDPOINTS_PER_MERCHANT_MAX, URL_CHARS_MAX

_STRICT: Final = {
    "PAYHOOKS_ALLOW_HTTP": "false",
    "PAYHOOKS_EGRESS_ALLOW": "",
    "PAYHOOKS_PUBLIC_URL_LIVE": "https://hooks.payhooks.example",
}
_GOOD: Final = {"label": "A", "url": "https://example.com/a", "events": ["nothing.else"]}


@pytest.fixture(scope="module")
def strict_ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Serve as in production: no plain http, no private address."""
    with ground(tmp_path_factory.mktemp("input"), _STRICT) as found:
        yield found


@pytest.fixture(scope="module")
def tenant(strict_ground: Ground) -> Tenant:
    """Return a merchant whose money is real."""
    return Tenant(strict_ground.api, "Live", mode="live")


@pytest.fixture(scope="module")
def endpoint(tenant: Tenant) -> str:
    """Return the path of an endpoint that is paused."""
    made = tenant.api.post(f"{tenant.path}/endpoints", _GOOD)["id"]
    tenant.api.post(f"{tenant.path}/endpoints/{made}/pause")
    return f"{tenant.path}/endpoints/{made}"


def _written() -> Iterator[object]:
    path = Path(__file__).with_name("urls.toml")
    for row, codes in tomllib.loads(path.read_text("utf-8")).items():
        for code, urls in codes.items():
            for url in urls:
                yield case(row, ascii(url)[:60], url, code)


_LONG: Final = [
    case("D8", "a label of 64", f"https://{'a' * 64}.example.com/", "invalid_host"),
    case("D8", "a name of 260", f"https://{'a.' * 124}example.com/", "invalid_host"),
    case("D10", "one too long", "https://example.com/".ljust(URL_CHARS_MAX + 1, "a"), "too_long"),
    case("D10", "8 KB of query", "https://example.com/?" + "a" * 8_192, "too_long"),
    case("D10", "too long once it is ASCII", "https://b\xfc.example/" + "a" * 2_024, "too_long"),
    case("D12", "nothing", None, "wrong_type"),
    case("D12", "a list", ["https://example.com/"], "wrong_type"),
]


@pytest.mark.parametrize(("url", "code"), [*_LONG, *_written()])
def test_a_url_that_we_do_not_call_is_refused_at_create_and_at_edit(
    strict_ground: Ground, tenant: Tenant, endpoint: str, url: object, code: str
) -> None:
    """An edit must not be the way around a check, and what is refused is not repeated."""
    for method, target, body in (
        ("POST", f"{tenant.path}/endpoints", {**_GOOD, "url": url}),
        ("PATCH", endpoint, {"url": url}),
    ):
        with strict_ground.unharmed():
            reply = strict_ground.call(method, target, json.dumps(body).encode())
            strict_ground.judge(reply, {422})
        assert [(fault["pointer"], fault["code"]) for fault in reply.json["errors"]] == [
            ("/url", code)
        ]


# What is given, what is stored.
_TAKEN: Final = [
    case("D1", "capitals", "HTTPS://EXAMPLE.COM", "https://example.com/"),
    case("D4", "a port above 1023", "https://example.com:1024/", "https://example.com:1024/"),
    case("D4", "the port that goes without saying", "https://example.com:443/", "https://example.com/"),
    case("D8", "a name of another script", "https://b\xfccher.example/", "https://xn--bcher-kva.example/"),
    case("D10", "just long enough", "https://example.com/".ljust(URL_CHARS_MAX, "a"), None),
    case("D10", "a secret in the query", "https://example.com/?token=1", "https://example.com/?token=1"),
    case("D11", "the same again", "https://example.com/a", "https://example.com/a"),
]  # fmt: skip


@pytest.mark.parametrize(("url", "stored"), _TAKEN)
def test_a_url_is_stored_in_its_one_spelling(
    strict_ground: Ground, tenant: Tenant, url: str, stored: str | None
) -> None:
    """The good cases, so that the refusals mean something."""
    body = json.dumps({**_GOOD, "url": url}).encode()
    with strict_ground.unharmed(stores=True):
        reply = strict_ground.call("POST", f"{tenant.path}/endpoints", body)
        assert (reply.status, reply.json["url"]) == (201, stored or url)
        strict_ground.api.call("DELETE", reply.headers["location"])


@pytest.mark.shows("D12")
def test_a_strangers_endpoint_cannot_be_turned(strict_ground: Ground, endpoint: str) -> None:
    """Whose it is not, for them it is not there, with a good URL and with a bad one."""
    stranger = strict_ground.tenant
    theirs = endpoint.rpartition("/")[2]
    target = f"{stranger.path}/endpoints/{theirs}"
    for url in ("https://example.com/mine", "https://127.0.0.1/"):
        body = json.dumps({"url": url}).encode()
        strict_ground.refuses(
            partial(strict_ground.call, "PATCH", target, body),
            {404},
        )
        strict_ground.refuses(
            partial(strict_ground.call, "PUT", target, body),
            {405},
        )


@pytest.mark.shows("D11")
async def test_a_merchant_has_a_limit_of_endpoints() -> None:
    """One merchant must not fill what all of them share."""
    world = World()
    merchant = await world.merchant()

    async def full(_merchant_id: object) -> int:
        return ENDPOINTS_PER_MERCHANT_MAX + 1

    world.break_store("next_number", full)
    answer = await world.call("POST", f"/v1/merchants/{merchant}/endpoints", _GOOD)
    assert (answer.status, answer.json["errors"][0]["code"]) == (422, "quota")


# The headers of an endpoint, the code.
_HEADERS: Final = [
    *(
        case("C18", name, {name: "x"}, "header_not_allowed")
        for name in (
            "Host", "Content-Length", "Transfer-Encoding", "Connection", "TE", "Trailer", "Upgrade",
            "Expect", "Proxy-Authorization", "webhook-id", "Webhook-Signature", "Cookie",
            "Authorization", "content-type", "Keep-Alive", "Via", "Forwarded", "X-Forwarded-For",
        )
    ),
    *(
        case("C18", f"name {ascii(name)[:20]}", {name: "x"}, "invalid_header_name")
        for name in ("", " ", "a b", "a:", "a\r\nb", "\xe4", "a\tb", "(a)", "a" * 129)
    ),
    *(
        case("C18", f"value {ascii(value)[:20]}", {"x-a": value}, "invalid_character")
        for value in ("b\r\nhost: c", "b\nc", "b\rc", "caf\xe9", "\x7f", " b", "b ", "\u2028")
    ),
    case("C18", "21 of them", {f"x-{n}": "b" for n in range(21)}, "too_many"),
    case("C18", "more than 4 KB", {"x-a": "b" * 4_097}, "too_long"),
    case("C18", "one name in two cases", {"x-a": "b", "X-A": "b"}, "duplicate"),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "code"), _HEADERS)
def test_a_header_that_is_not_the_merchants_to_write_is_refused(
    strict_ground: Ground, endpoint: str, headers: dict[str, str], code: str
) -> None:
    """A line end in a value is a header of its own, or a request of its own."""
    body = json.dumps({"headers": headers}).encode()
    reply = strict_ground.refuses(lambda: strict_ground.call("PATCH", endpoint, body), {422})
    assert {fault["code"] for fault in reply.json["errors"]} == {code}
