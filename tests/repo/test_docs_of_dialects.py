"""What docs/dialects says beside what is printed there: names, choices, how to tell them apart."""

import json
import re

import pytest
from tests.support.documented import SENT_AT, named, request_in, secret_of, spoken
from tests.support.printed_dialects import PAGES
from tests.support.source_tree import ROOT

from payhooks.dialects.custom_values import PRINTED
from payhooks.dialects.provider_words import FOLOOSI_EVENT_OF_STATUS, OWLPAY_ALIASES
from payhooks.dialects.registry import DIALECTS
from payhooks.errors import InvalidError
from payhooks.model.custom_dialect import CustomDialect
from payhooks.receiver import verify
from payhooks.receiver.dialects import DIALECTS as VERIFIED
from payhooks.receiver.explain import speaks

FOLDER = ROOT / "docs" / "dialects"
PAGE_OF = {dialect: page for page, dialects in PAGES.items() for dialect in dialects}


def _text(page: str) -> str:
    return (FOLDER / f"{page}.md").read_text(encoding="utf-8")


def _is_in(body: object, path: str) -> bool:
    for name in path.split("."):
        if not isinstance(body, dict) or name not in body:
            return False
        body = body[name]
    return True


def _rows() -> list[tuple[str, list[str], str]]:
    """Return the table of how to tell dialects apart: header, members, page."""
    _, _, table = _text("README").partition("| Header | In the body | Dialect |")
    found = re.findall(r"^\| (.*?) \| (.*?) ?\| .*?\]\(([a-z-]+)\.md\)", table, re.MULTILINE)
    return [(header.strip("`"), re.findall(r"`(.*?)`", body), page) for header, body, page in found]


def _page_by_table(headers: dict[str, str], body: bytes, *, signed: bool) -> str:
    content = json.loads(body)
    for header, members, page in _rows():
        there = any(_is_in(content, path) for path in members) or not members
        if there and (header in headers or not signed or header.startswith("none")):
            return page
        if there and header == "any other":
            return page
    raise AssertionError("the last line takes everything")


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_table_tells_every_dialect_from_the_others(dialect: str, *, signed: bool) -> None:
    """Who got a request from somebody asks first what it is."""
    assert len(_rows()) == len(PAGES)
    request = request_in(dialect, secrets=None if signed else [])
    assert _page_by_table(named(request), request.body, signed=signed) == PAGE_OF[dialect]


@pytest.mark.parametrize("dialect", VERIFIED)
def test_the_command_tells_them_apart_as_the_table_does(dialect: str) -> None:
    """The table and ``payhooks verify`` give one answer."""
    request = request_in(dialect)
    spoken_there = speaks(named(request), request.body)
    assert dialect in spoken_there
    headers = [header for header, _, page in _rows() if page == PAGE_OF[dialect]]
    same = {page for header, _, page in _rows() if header in headers}
    assert {PAGE_OF[name] for name in spoken_there} == same


@pytest.mark.parametrize("dialect", VERIFIED)
def test_the_sdk_reads_what_the_page_says(dialect: str) -> None:
    """The tables are made by what reads on the server; merchants read with the SDK."""
    request = request_in(dialect)
    event = verify(request.body, named(request), secret_of(dialect), dialect=dialect, now=SENT_AT)
    reading = spoken(dialect).read(named(request), request.body)
    assert (event.id, event.type) == (reading.ids[0][1], reading.event_type)
    assert (event.object_type, event.object_id) == (reading.object_type, reading.object_id)
    assert event.timestamp == reading.occurred_at


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_option_is_on_its_page_and_no_other(dialect: str) -> None:
    """A choice that nobody can read about is made by nobody."""
    text = _text(PAGE_OF[dialect])
    _, _, table = text.partition("| `dialect_options` |")
    documented = re.findall(r"^\| `(\w+)` \|", table.partition("\n\n")[0], re.MULTILINE)
    assert bool(documented) != ("It has no `dialect_options`" in text)
    with pytest.raises(InvalidError) as caught:
        spoken(dialect).check_options({"no_such_option": "x"})
    [fault] = caught.value.faults
    # The refusal names every option there is.
    assert documented == re.findall(r"\w+_\w+", fault.detail)
    for name in documented:
        with pytest.raises(InvalidError) as caught:
            spoken(dialect).check_options({name: "no such value"})
        assert caught.value.faults[0].pointer == f"/dialect_options/{name}"


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("owlpay", [*OWLPAY_ALIASES, *OWLPAY_ALIASES.values()]),
        ("foloosi", [*FOLOOSI_EVENT_OF_STATUS, *FOLOOSI_EVENT_OF_STATUS.values()]),
        ("custom", [f"{{{name}}}" for name in PRINTED]),
        ("custom", [name for name in CustomDialect.__struct_fields__ if name != "version"]),
    ],
)
def test_every_name_that_the_code_knows_is_on_the_page(page: str, names: list[str]) -> None:
    """A name that is written or read and not documented surprises somebody at night."""
    text = _text(page)
    assert [name for name in names if f"`{name}`" not in text and f'"{name}"' not in text] == []
