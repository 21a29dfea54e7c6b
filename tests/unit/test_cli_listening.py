"""Where `payhooks listen` forwards to: this machine, unless somebody says otherwise."""

import pytest

from payhooks.cli.listening import target_of
from payhooks.errors import InvalidError


@pytest.mark.parametrize(
    ("text", "host", "port", "path"),
    [
        pytest.param("localhost:8000/webhooks", "localhost", 8000, "/webhooks", id="no scheme"),
        pytest.param("http://127.0.0.1:3000", "127.0.0.1", 3000, "/", id="address"),
        pytest.param("https://[::1]:8443/a?b=c", "::1", 8443, "/a?b=c", id="IPv6 and query"),
        pytest.param("shop.localhost/hook", "shop.localhost", None, "/hook", id="a local name"),
        pytest.param("bücher.localhost/b%C3%BC", "bücher.localhost", None, "/b%C3%BC", id="IDNA"),
    ],
)
def test_targets_on_this_machine(text: str, host: str, port: int | None, path: str) -> None:
    """As developers write them."""
    target = target_of(text, allow_external=False)
    assert (target.host, target.port, target.path) == (host, port, path)


@pytest.mark.parametrize(
    "text",
    [
        "example.com/hook",
        "http://10.0.0.1/",
        "http://0.0.0.0:80/",
        "http://127.0.0.1.example.com/",
        "http://localhost.example.com/",
        "http://169.254.169.254/",
    ],
)
def test_events_do_not_leave_the_machine_by_accident(text: str) -> None:
    """They are payments, if only of a sandbox, and whoever listens may have copied the URL."""
    with pytest.raises(InvalidError, match="allow-external"):
        target_of(text, allow_external=False)
    assert target_of(text, allow_external=True).host


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ftp://localhost/",
        "http://",
        "http://[::1",
        "http://[::1/",
        "//x:y/",
        "http://host:99999/",
        "http://localhost:0/",
        "http://a b/",
        "http://localhost/a b",
        "http://localhost/a\x01",
        "http://localhost/für",
        "http://localhost/?a=für",
        "http://shop..localhost/",
        pytest.param(f"http://{'a' * 64}.localhost/", id="a label that is too long"),
        pytest.param(f"http://{'ü' * 60}.localhost/", id="a label that is too long in IDNA"),
    ],
)
def test_what_no_request_can_be_made_to_is_refused(text: str) -> None:
    """With the option's name, and before the first delivery: each would end in an error of ours."""
    with pytest.raises(InvalidError, match="--forward-to"):
        target_of(text, allow_external=True)
