"""What we are made of: locked by hash, above the versions with known holes, and listed."""

import re
from importlib import metadata
from pathlib import Path

import pytest
from tests.support.bill_of_materials import LOCK, bill, pins
from tests.support.source_tree import ROOT

_LOCKS = [LOCK, ROOT / "requirements-dev.lock"]
# The first version without the holes that are known of it, and which they are.
_FLOORS = {
    "starlette": ("1.3.1", "CVE-2025-62727, CVE-2026-48710, CVE-2026-54283: ranges, paths, forms"),
    "h11": ("0.16.0", "CVE-2025-43859: chunks that two servers read differently"),
    "urllib3": ("2.7.0", "CVE-2025-66418, CVE-2025-66471, CVE-2026-21441: bombs in encodings"),
    "aiohttp": ("3.14.4", "CVE-2025-69223 to 69229: bombs, smuggling"),
    "python-multipart": ("0.0.32", "forms that take for ever"),
    "cryptography": ("46.0.0", "the OpenSSL it brings"),
    "requests": ("2.32.4", "CVE-2024-47081: credentials of netrc to another host"),
    "jinja2": ("3.1.6", "CVE-2025-27516: out of the sandbox"),
    "apsw": ("3.51.3.0", "the SQLite it brings: a reset of the log that loses commits"),
    "idna": ("3.7", "CVE-2024-3651: names that take for ever"),
    "certifi": ("2024.7.4", "CVE-2024-39689: a root that is trusted no more"),
}
_NOT_ALLOWED = ("aiohttp", "httpx", "requests", "urllib3", "pyyaml")  # in what is installed


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


@pytest.mark.shows("S46")
@pytest.mark.parametrize("lock", _LOCKS, ids=lambda path: path.name)
def test_no_locked_version_has_a_known_hole(lock: Path) -> None:
    """Where no advisory service is reachable, this list still is."""
    versions = {pin.name: pin.version for pin in pins(lock)}
    old = {
        name: f"{versions[name]}: {why}"
        for name, (floor, why) in _FLOORS.items()
        if name in versions and _order(versions[name]) < _order(floor)
    }
    assert old == {}


@pytest.mark.shows("S46")
@pytest.mark.parametrize("lock", _LOCKS, ids=lambda path: path.name)
def test_every_line_of_a_lock_has_a_hash_and_no_line_names_a_registry(lock: Path) -> None:
    """A package that was exchanged behind its version is not installed; the mirror is one's own."""
    found = pins(lock)
    assert len(found) > 20
    assert [pin.name for pin in found if not pin.hashes] == []
    text = lock.read_text(encoding="utf-8")
    assert "@ " not in text
    # What is not a pin, a hash or a comment would be taken from wherever it is found.
    others = [
        line
        for line in text.splitlines()
        if line.strip() and not re.match(r"(\s*#|\s+--hash=sha256:|[A-Za-z0-9._-]+==)", line)
    ]
    assert others == []


@pytest.mark.shows("S46")
def test_installing_demands_the_hashes() -> None:
    """A lock that nobody enforces is a list of wishes."""
    assert "--require-hashes" in (ROOT / "scripts" / "lib.sh").read_text(encoding="utf-8")


@pytest.mark.shows("S46", "S01")
def test_what_is_installed_has_no_second_way_out() -> None:
    """A client of HTTP that nobody uses is one that somebody will."""
    assert [pin.name for pin in pins(LOCK) if pin.name in _NOT_ALLOWED] == []


@pytest.mark.shows("S46")
def test_the_bill_of_materials_is_whole_and_comes_out_the_same() -> None:
    """Who must know whether a hole is in what he runs looks here."""
    made = bill()
    assert made == bill()
    assert (made["bomFormat"], made["specVersion"]) == ("CycloneDX", "1.6")
    references = [component["bom-ref"] for component in made["components"]]
    assert len(set(references)) == len(references) == len(pins(LOCK))
    ours = made["metadata"]["component"]["bom-ref"]
    known = {ours, *references}
    for dependency in made["dependencies"]:
        assert {dependency["ref"], *dependency["dependsOn"]} <= known
    # Whatever is there is there because somebody needs it, down from us.
    needed, looked = {ours}, [ours]
    by_reference = {each["ref"]: each["dependsOn"] for each in made["dependencies"]}
    while looked:
        new = set(by_reference[looked.pop()]) - needed
        needed |= new
        looked += new
    assert needed == known
    installed = {each.name.lower().replace("_", "-") for each in metadata.distributions()}
    unlicensed = {each["name"] for each in made["components"] if not each.get("licenses")}
    assert unlicensed & installed == set()
