"""Which URLs may be saved as an endpoint, and how they are stored."""

from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payhooks.errors import InvalidError
from payhooks.policy.address_guard import AllowList
from payhooks.policy.hook_url import Advice, UrlRules, read_hook_url

LIVE = UrlRules(allow_http=False, own_hosts=frozenset({"hooks.payhooks.example"}))
SANDBOX = UrlRules(allow_http=True)


def code_of(text: str, rules: UrlRules = LIVE) -> str:
    """Return the code of the refusal, or the empty string."""
    try:
        read_hook_url(text, pointer="/url", rules=rules)
    except InvalidError as error:
        (fault,) = error.faults
        assert fault.pointer == "/url"
        assert fault.detail.endswith((".", "hooks."))
        return fault.code
    return ""


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://Example.COM:443/Hooks?A=b", "https://example.com/Hooks?A=b"),
        ("https://example.com:8443/", "https://example.com:8443/"),
        ("https://example.com:10443/a", "https://example.com:10443/a"),
        ("https://example.com?x=1", "https://example.com/?x=1"),
        ("https://1.1.1.1/a", "https://1.1.1.1/a"),
        ("https://[2606:4700:4700::1111]:8443/a", "https://[2606:4700:4700::1111]:8443/a"),
        ("https://example.com/a%20b/..c/.well-known", "https://example.com/a%20b/..c/.well-known"),
        ("https://example.com//a", "https://example.com//a"),
    ],
)
def test_a_url_is_stored_in_its_one_spelling(text: str, url: str) -> None:
    assert read_hook_url(text, pointer="/url", rules=LIVE).url == url


@pytest.mark.shows("S03", "S04")
@pytest.mark.parametrize(
    ("text", "code"),
    [
        # Row D1, schemes.
        ("http://example.com/", "scheme_not_allowed"),
        ("ftp://example.com/", "scheme_not_allowed"),
        ("file:///etc/passwd", "scheme_not_allowed"),
        ("gopher://example.com/", "scheme_not_allowed"),
        ("ws://example.com/", "scheme_not_allowed"),
        ("unix://run/socket", "scheme_not_allowed"),
        ("data:text/plain,x", "invalid_url"),
        ("javascript:alert(1)", "invalid_url"),
        ("example.com/hooks", "invalid_url"),
        ("", "invalid_url"),
        # Row D2, userinfo.
        ("https://u:p@example.com/", "userinfo_not_allowed"),
        ("https://u@example.com/", "userinfo_not_allowed"),
        ("https://@example.com/", "userinfo_not_allowed"),
        # Row D3, incomplete.
        ("https://example.com/#part", "fragment_not_allowed"),
        ("https://example.com/#", "fragment_not_allowed"),
        ("https:///x", "invalid_host"),
        ("https://", "invalid_host"),
        ("https://:443/", "invalid_host"),
        ("https:x", "invalid_url"),
        ("//x", "invalid_url"),
        # Row D4, ports.
        ("https://example.com:0/", "invalid_port"),
        ("https://example.com:/", "invalid_port"),
        ("https://example.com:0443/", "invalid_port"),
        ("https://example.com:65536/", "invalid_port"),
        ("https://example.com:٨٠/", "invalid_port"),
        ("https://example.com:80:443/", "invalid_port"),
        ("https://example.com:+443/", "invalid_port"),
        ("https://example.com:22/", "port_not_allowed"),
        ("https://example.com:25/", "port_not_allowed"),
        ("https://example.com:80/", "port_not_allowed"),
        ("https://example.com:444/", "port_not_allowed"),
        ("https://example.com:5432/", "port_not_allowed"),
        ("https://example.com:5672/", "port_not_allowed"),
        ("https://example.com:6379/", "port_not_allowed"),
        ("https://example.com:11211/", "port_not_allowed"),
        # Row D5, what parsers read differently.
        ("https://127.0.0.1\\@example.com/", "userinfo_not_allowed"),
        ("https://example.com\\.evil.example/", "invalid_host"),
        ("https://127.0.0.1%2f@example.com/", "userinfo_not_allowed"),
        ("https://example%2ecom/", "invalid_host"),
        ("https://exam\tple.com/", "invalid_character"),
        ("https://example.com/\r\nX: y", "invalid_character"),
        ("https://example.com/a b", "invalid_character"),
        (" https://example.com/", "invalid_character"),
        ("https://example.com/\x00", "invalid_character"),
        ("https://example.com/a\\b", "invalid_character"),
        ("https://example.com/é", "invalid_character"),
        ("https://example.com/%zz", "invalid_character"),
        ("https://example.com/a/../b", "invalid_path"),
        ("https://example.com/a/%2e%2E/b", "invalid_path"),
        ("https://example.com/.", "invalid_path"),
        ("https://①②⑦.⓪.⓪.①/", "invalid_host"),
        # Row D6, forms of hosts.
        ("https://2130706433/", "host_not_allowed"),
        ("https://0x7f000001/", "host_not_allowed"),
        ("https://0177.0.0.1/", "host_not_allowed"),
        ("https://127.1/", "host_not_allowed"),
        ("https://127.0.0.1/", "host_not_allowed"),
        ("https://169.254.169.254/latest/", "host_not_allowed"),
        ("https://127.0.0.1./", "invalid_host"),
        ("https://example.com./", "invalid_host"),
        ("https://[::1]/", "host_not_allowed"),
        ("https://[0:0:0:0:0:0:0:1]/", "invalid_host"),
        ("https://[2606:4700::0001]/", "invalid_host"),
        ("https://[2606:4700::ABCD]/", "invalid_host"),
        ("https://[fe80::1%25eth0]/", "invalid_host"),
        ("https://[fe80::1%eth0]/", "invalid_host"),
        ("https://[::ffff:127.0.0.1]/", "invalid_host"),
        ("https://[::ffff:7f00:1]/", "host_not_allowed"),
        ("https://[1.1.1.1]/", "invalid_host"),
        ("https://[::1/", "invalid_host"),
        ("https://::1/", "invalid_host"),
        ("https://\uff11\uff12\uff17.0.0.1/", "invalid_host"),
        ("https://127。0。0。1/", "invalid_host"),
        # Row D7, names that mean something only inside a network.
        ("https://localhost/", "host_not_allowed"),
        ("https://a.localhost/", "host_not_allowed"),
        ("https://printer.local/", "host_not_allowed"),
        ("https://db.internal/", "host_not_allowed"),
        ("https://router.home.arpa/", "host_not_allowed"),
        ("https://metadata.google.internal/", "host_not_allowed"),
        ("https://intranet/", "host_not_allowed"),
        ("https://kubernetes.default.svc/", "host_not_allowed"),
        ("https://hooks.payhooks.example/", "own_host"),
        ("https://Hooks.Payhooks.Example/", "own_host"),
        # Row D8, names.
        ("https://xn--a.example/", "invalid_host"),
        ("https://xn--.example/", "invalid_host"),
        ("https://a_b.example.com/", "invalid_host"),
        ("https://-a.example.com/", "invalid_host"),
        ("https://a-.example.com/", "invalid_host"),
        ("https://a..example.com/", "invalid_host"),
        ("https://.example.com/", "invalid_host"),
        (f"https://{'a' * 64}.example.com/", "invalid_host"),
        (f"https://{'a.' * 124}example.com/", "invalid_host"),
        ("https://straße.example/", "invalid_host"),
        ("https://ex\u200cample.com/", "invalid_host"),
        # Row D10, length.
        ("https://example.com/" + "a" * 2_029, "too_long"),
        ("https://example.com/?" + "a" * 8_192, "too_long"),
        ("https://bücher.example/" + "a" * 2_024, "too_long"),
    ],
)
def test_what_we_cannot_call_or_parsers_disagree_about_is_refused(text: str, code: str) -> None:
    assert code_of(text) == code


def test_the_longest_url() -> None:
    """2,048 characters is the published limit."""
    assert code_of("https://example.com/" + "a" * 2_028) == ""


@pytest.mark.shows("S04", "S45")
def test_plain_http_is_for_those_whom_the_rules_allow_it() -> None:
    assert code_of("http://example.com/", SANDBOX) == ""
    assert code_of("http://example.com:80/", SANDBOX) == ""
    assert code_of("http://example.com:81/", SANDBOX) == "port_not_allowed"
    assert code_of("ftp://example.com/", SANDBOX) == "scheme_not_allowed"
    assert read_hook_url("http://example.com:80/", pointer="", rules=SANDBOX).port == 80


@pytest.mark.shows("D8")
def test_an_international_name_is_stored_as_it_is_resolved_and_said_so() -> None:
    """The picker then shows the look-alike for what it is."""
    read = read_hook_url("https://Bücher.example/x", pointer="/url", rules=LIVE)
    assert read.url == "https://xn--bcher-kva.example/x"
    assert read.advice == (Advice.INTERNATIONAL_NAME,)
    cyrillic = read_hook_url("https://\u0430\u0440\u0440le.example/", pointer="/url", rules=LIVE)
    assert cyrillic.host.startswith("xn--")


@pytest.mark.shows("D10")
@pytest.mark.parametrize(
    "query", ["token=1", "a=b&api_key=1", "access_token=1", "Secret=1", "sig=1", "key=1"]
)
def test_a_secret_in_the_query_is_advised_against(query: str) -> None:
    """Queries end up in access logs on the way."""
    read = read_hook_url(f"https://example.com/?{query}", pointer="/url", rules=LIVE)
    assert read.advice == (Advice.SECRET_IN_QUERY,)


@pytest.mark.parametrize("query", ["", "monkey=1", "a=token", "tokens=1", "design=1"])
def test_an_ordinary_query_is_not_advised_against(query: str) -> None:
    read = read_hook_url(f"https://example.com/?{query}", pointer="/url", rules=LIVE)
    assert read.advice == ()


def test_what_the_operator_allows_may_be_private_but_not_oddly_spelt() -> None:
    """Development runs against loopback; the denied ports stay denied."""
    rules = UrlRules(allow_http=True, allowed=AllowList.of(("127.0.0.1/32", "::1", "localhost")))
    assert code_of("http://127.0.0.1:9000/ok", rules) == ""
    assert code_of("http://[::1]:9000/ok", rules) == ""
    assert code_of("http://localhost:9000/ok", rules) == ""
    assert code_of("http://127.0.0.2:9000/ok", rules) == "host_not_allowed"
    assert code_of("http://127.1:9000/ok", rules) == "host_not_allowed"
    assert code_of("http://a.localhost:9000/ok", rules) == "host_not_allowed"
    assert code_of("http://127.0.0.1:6379/", rules) == "port_not_allowed"


def test_an_inbox_of_ours_may_be_called_and_nothing_beside_it() -> None:
    """It takes whatever comes and sends nothing on, so no loop can begin there."""
    host = "hooks.payhooks.example"
    rules = UrlRules(allow_http=True, own_hosts=frozenset({host}), inboxes=f"https://{host}/in/")
    assert code_of(f"https://{host}/in/0123456789abcdef", rules) == ""
    assert code_of(f"https://{host}/in/../v1/merchants", rules) == "invalid_path"
    assert code_of(f"https://{host}/in/%2e%2e/v1", rules) == "invalid_path"
    assert code_of(f"https://{host}/inbox", rules) == "own_host"
    assert code_of(f"https://{host}:8443/in/0123456789abcdef", rules) == "own_host"
    assert code_of(f"https://{host}/in/0123456789abcdef", LIVE) == "own_host"


URL_PIECES = st.sampled_from(
    ["https", "http", "://", "/", "\\", "@", ":", "#", "?", "%2f", "[", "]", "::1", "example.com",
     "127.0.0.1", "127.1", "0x7f", ".", "..", "xn--", "ü", "。", "①", "\t", "443", "80", "a"]
)  # fmt: skip


@given(st.one_of(st.text(), st.lists(URL_PIECES, max_size=12).map("".join)))
@example("https://example.com:443/a?b=c")
@example("https://xn--bcher-kva.example/")
@example("https://xn--ls8h.example/")
def test_whatever_comes_in_what_is_stored_is_read_the_same_by_everybody(text: str) -> None:
    """The parser that checks and the one that connects must see the same host and port."""
    try:
        read = read_hook_url(text, pointer="/url", rules=SANDBOX)
    except InvalidError:
        return
    assert read.url.isascii()
    assert read_hook_url(read.url, pointer="/url", rules=SANDBOX) == read
    other = urlsplit(read.url)
    assert (other.scheme, other.hostname) == (read.scheme, read.host)
    assert (other.port or {"https": 443, "http": 80}[other.scheme]) == read.port
    assert other.username is None
    assert other.fragment == ""
