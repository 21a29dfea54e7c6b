"""Time, randomness, ids and the network come in as arguments, or a seed replays nothing."""

import ast
import sys
from pathlib import Path

import pytest
from tests.support.source_tree import (
    PACKAGE,
    imports_of,
    name_of,
    names_used,
    package_files,
    tree_of,
)

# Who may ask the machine, and why. A folder ends in a slash.
MAY_ASK_THE_MACHINE = {
    "clock.py": "is where the answer comes from",
    "bootstrap.py": "hands the machine's clock and randomness to everybody else",
    "cli/": "runs once, for a person who sits there",
    "publisher/": "runs in somebody else's process, without a composition root",
    "receiver/": "runs in somebody else's process, without a composition root",
}
ASKS_THE_MACHINE = (
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "os.urandom",
    "secrets.choice",
    "secrets.randbelow",
    "secrets.randbits",
    "secrets.token_bytes",
    "secrets.token_hex",
    "secrets.token_urlsafe",
    "time.clock_gettime",
    "time.clock_gettime_ns",
    "time.gmtime",
    "time.localtime",
    "time.monotonic",
    "time.monotonic_ns",
    "time.perf_counter",
    "time.perf_counter_ns",
    "time.sleep",
    "time.time",
    "time.time_ns",
    "uuid.uuid1",
    "uuid.uuid4",
)

# The bottom layer, which imports nothing but the standard library itself.
OWN_IN_THE_SDK = (
    "payhooks.__version__",
    "payhooks.clock",
    "payhooks.dialects.php_json",
    "payhooks.dialects.provider_words",
    "payhooks.dialects.schemes",
    "payhooks.dialects.secret_text",
    "payhooks.dialects.treezor_signature",
    "payhooks.errors",
    "payhooks.limits",
    "payhooks.publisher",
    "payhooks.receiver",
)
# Adapters: whoever imports one has the framework already, and nothing of the SDK imports them.
ADAPTERS_IN_THE_SDK = {
    "publisher/postgres.py": ("psycopg",),
    "receiver/django.py": ("django",),
    "receiver/flask.py": ("flask", "werkzeug"),
    "receiver/pytest_plugin.py": ("pytest",),
}
# Inside a function only: Ed25519 is not in the standard library, and most never ask for it.
OPTIONAL_IN_THE_SDK = "cryptography"

MAY_OPEN_SOCKETS = {
    "cli/": "talks to a server its user named",
    "publisher/": "sends to a server its user named, from the user's process",
    "receiver/": "has an example server",
    "sandbox/": "is a test receiver",
    "serving.py": "binds the listening socket",
    "storage/postgres/": "connects to the operator's database only",
    "transport/": "is the one way out, with the address guard before it",
}
LOOP_OPENS_SOCKETS = {
    "create_connection",
    "create_datagram_endpoint",
    "create_unix_connection",
    "getaddrinfo",
    "sock_connect",
}
OPENS_SOCKETS = (
    "aiohttp",
    "asyncio.create_connection",
    "asyncio.open_connection",
    "asyncpg",
    "ftplib",
    "http.client",
    "httpx",
    "pycurl",
    "requests",
    "smtplib",
    "socket",
    "urllib.request",
    "urllib3",
    "websockets",
    "xmlrpc.client",
)


def _listed(path: Path, exceptions: dict[str, str]) -> bool:
    name = str(path.relative_to(PACKAGE))
    return any(
        name.startswith(exception) if exception.endswith("/") else name == exception
        for exception in exceptions
    )


def _is_or_is_in(name: str, banned: str) -> bool:
    return name == banned or name.startswith(f"{banned}.")


def _uses(path: Path, banned: tuple[str, ...]) -> list[str]:
    return [
        f"{name} at line {line}"
        for name, line in names_used(tree_of(path))
        if any(_is_or_is_in(name, word) for word in banned)
    ]


@pytest.mark.parametrize("path", package_files(), ids=name_of)
def test_nobody_asks_the_machine_for_time_or_chance(path: Path) -> None:
    """One hidden clock, and a failing seed of the simulator no longer fails again."""
    if _listed(path, MAY_ASK_THE_MACHINE):
        return
    found = _uses(path, ASKS_THE_MACHINE)
    assert not found, f"take a Clock, a Random or an IdSource instead of {found}"
    module_level = [
        f"{name} at line {line}"
        for name, line in names_used(tree_of(path))
        if name.startswith("random.") and name.split(".")[1] != "Random"
    ]
    assert not module_level, f"take a random.Random instead of {module_level}"


@pytest.mark.shows("S01")
@pytest.mark.parametrize("path", package_files(), ids=name_of)
def test_only_transport_opens_sockets(path: Path) -> None:
    """A second way out would be a way around the address guard."""
    if _listed(path, MAY_OPEN_SOCKETS):
        return
    found = _uses(path, OPENS_SOCKETS)
    # Of whatever object: an event loop opens them too, under any name.
    found += [
        f"{node.attr} at line {node.lineno}"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and node.attr in LOOP_OPENS_SOCKETS
    ]
    assert not found, f"send through ports.transport instead of {found}"


@pytest.mark.parametrize(
    "path",
    [p for p in package_files() if p.relative_to(PACKAGE).parts[0] in {"receiver", "publisher"}],
    ids=name_of,
)
def test_the_sdk_is_standard_library_only(path: Path) -> None:
    """Merchants install it into their shop; it must not bring anything along."""
    tree = tree_of(path)
    adapted = ADAPTERS_IN_THE_SDK.get(str(path.relative_to(PACKAGE)), ())
    at_import = {
        name
        for statement in tree.body
        if isinstance(statement, ast.Import | ast.ImportFrom)
        for name, _ in imports_of(statement)
    }
    strangers = [
        name
        for name, _ in imports_of(tree)
        if name.split(".")[0] not in sys.stdlib_module_names
        and not any(_is_or_is_in(name, word) for word in (*OWN_IN_THE_SDK, *adapted))
        and (name in at_import or not _is_or_is_in(name, OPTIONAL_IN_THE_SDK))
    ]
    assert not strangers
