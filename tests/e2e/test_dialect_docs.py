"""The snippets of docs/dialects, run: a merchant copies them, so they have to be right."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.support.documented import named, request_in, secret_of
from tests.support.printed_dialects import PAGES
from tests.support.snippets import (
    Case,
    judged_by_node,
    judged_by_php,
    judged_by_python,
    judged_by_shell,
    snippets_in,
)
from tests.support.source_tree import ROOT

from payhooks.dialects.registry import DIALECTS

pytestmark = pytest.mark.shows("V58")

OLD = timedelta(minutes=6)
# One page tells of both.
ON_THE_PAGE_OF = {"hyperswitch": "owngateway"}
# A word of what each event of the docs publishes: every dialect signs that.
PUBLISHED = (b"USD", b"TWD", b"11.26", b"1nftvzx7xtcggm3", b"AED", b"usd")
SIGN_THE_TIME = {"standard", "cloudevents", "owlpay", "stripe", "custom"}
SIGN_WITH_EACH = {"standard", "cloudevents", "owlpay", "stripe"}

Judge = Callable[[list[Case]], list[bool | str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A request, with the secret of whoever receives it, and what he should find."""

    name: str
    secret: str
    headers: Mapping[str, str]
    body: bytes
    good: bool


def _snippets(heading: str) -> dict[str, str]:
    """Return the code under *heading* for every dialect that has it."""
    found: dict[str, str] = {}
    for dialect in DIALECTS:
        for name in (dialect, ON_THE_PAGE_OF.get(dialect)):
            page = ROOT / "docs" / "dialects" / f"{name}.md"
            snippets = snippets_in(page.read_text(encoding="utf-8")) if page.exists() else {}
            if heading in snippets:
                found.setdefault(dialect, snippets[heading])
    return found


def _asked(dialect: str) -> Iterator[_Asked]:
    now = datetime.now(UTC)
    secret, other = secret_of(dialect), secret_of(dialect, first=100)
    request = request_in(dialect, sent_at=now)
    headers, body = named(request), request.body

    def about(
        name: str,
        *,
        good: bool = False,
        **instead: Any,  # noqa: ANN401 - any part of a request
    ) -> _Asked:
        said = {"secret": secret, "headers": headers, "body": body, **instead}
        return _Asked(name=f"{dialect}, {name}", good=good, **said)

    yield about("as it was sent", good=True)
    yield about("another secret", secret=other)
    published = next(word for word in PUBLISHED if word in body)
    yield about("a changed body", body=body.replace(published, published[:-1] + b"7"))
    yield about("no body", body=b"")
    yield about("no JSON", body=b"[{")
    unsigned = request_in(dialect, sent_at=now, secrets=[])
    yield about("no signature", headers=named(unsigned), body=unsigned.body)
    if dialect != "treezor":  # what stands outside of its payload is not signed, headers neither
        yield about("a line feed at the end", body=body + b"\n")
        yield about("no headers", headers={})
        place = next(name for name in headers if "signature" in name)
        for name, value in (("half a", headers[place][:-9]), ("a strange", "é,t=,=v1,")):
            yield about(f"{name} signature", headers={**headers, place: value})
    both = request_in(dialect, sent_at=now, secrets=[other, secret])
    sent = {"headers": named(both), "body": both.body}
    yield about("while a secret is replaced, by the new one", secret=other, good=True, **sent)
    with_old = dialect in SIGN_WITH_EACH
    yield about("while a secret is replaced, by the old one", good=with_old, **sent)
    for sent_at, name in ((now - OLD, "an old one"), (now + OLD, "one of the future")):
        moved = request_in(dialect, sent_at=sent_at)
        sent = {"headers": named(moved), "body": moved.body}
        yield about(name, good=dialect not in SIGN_THE_TIME, **sent)


def _wrongly_judged(heading: str, judge: Judge, *, judges_age: bool = True) -> dict[str, object]:
    """Return what the snippets said of those requests that they judged wrongly."""
    codes = _snippets(heading)
    assert codes
    pairs = [(asked, code) for dialect, code in codes.items() for asked in _asked(dialect)]
    if not judges_age:
        pairs = [(a, code) for a, code in pairs if not a.name.endswith(("old one", "future"))]
    cases = [
        Case(code=code, secret=asked.secret, headers=asked.headers, body=asked.body)
        for asked, code in pairs
    ]
    said = judge(cases)
    return {
        asked.name: verdict
        for (asked, _), verdict in zip(pairs, said, strict=True)
        if verdict is not asked.good
    }


@pytest.mark.parametrize("heading", ["Python", "PHP", "Node", "openssl"])
def test_every_dialect_has_a_snippet_in(heading: str) -> None:
    """Who receives one dialect reads one page."""
    assert set(_snippets(heading)) == set(DIALECTS)


def test_the_sdk_snippets_accept_what_is_signed_and_refuse_the_rest() -> None:
    """The first thing that somebody copies."""
    assert set(_snippets("The SDK")) == set(DIALECTS) - {"custom"}
    assert _wrongly_judged("The SDK", judged_by_python) == {}


def test_the_python_snippets_accept_what_is_signed_and_refuse_the_rest() -> None:
    """Not everybody may install a package."""
    assert _wrongly_judged("Python", judged_by_python) == {}


@pytest.mark.skipif(shutil.which("php") is None, reason="there is no php here")
def test_the_php_snippets_accept_what_is_signed_and_refuse_the_rest() -> None:
    """A warning counts as an error: servers print those to whoever sent the request."""
    assert _wrongly_judged("PHP", judged_by_php) == {}


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node here")
def test_the_node_snippets_accept_what_is_signed_and_refuse_the_rest() -> None:
    """In JavaScript a header that is missing is an exception away."""
    assert _wrongly_judged("Node", judged_by_node) == {}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl here")
def test_the_openssl_commands_find_what_is_signed(tmp_path: Path) -> None:
    """The second opinion on a captured request; its age is not asked."""
    shell = partial(judged_by_shell, folder=tmp_path)
    assert _wrongly_judged("openssl", shell, judges_age=False) == {}


def test_every_page_is_of_a_dialect_and_every_dialect_has_one() -> None:
    """A page that nobody links is a page that nobody reads."""
    assert {name for names in PAGES.values() for name in names} == set(DIALECTS)
    written = {path.stem for path in (ROOT / "docs" / "dialects").glob("*.md")}
    assert written == {*PAGES, "README"}
