"""What an installation consists of, as CycloneDX 1.6 JSON: printed from the lock and the packages.

    python -m tests.support.bill_of_materials [LOCK]        prints it; requirements.lock by default

Names, versions, hashes and who needs whom come from the lock; licences from what is installed.
Where both are the same, so is every byte that is printed: a release's bill can be made again.
"""

import json
import re
import sys
import tomllib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from tests.support.source_tree import ROOT

LOCK: Final = ROOT / "requirements.lock"
_PIN: Final = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)")
_HASH: Final = re.compile(r"--hash=sha256:(?P<hash>[0-9a-f]{64})\b")
_VIA: Final = re.compile(r"    # (?:via(?: (?P<one>\S.*))?|  (?P<many>\S.*))")
_LICENCE_CHARS_MAX: Final = 60  # some packages put the whole text there
_OURS: Final = "payhooks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One line of a lock with what stands under it."""

    name: str
    version: str
    hashes: tuple[str, ...]
    needed_by: tuple[str, ...]

    @property
    def reference(self) -> str:
        """How a bill names the package."""
        return f"pkg:pypi/{self.name}@{self.version}"


def pins(lock: Path) -> list[Pin]:
    """Return every package that the lock names, in its order."""
    found: list[Pin] = []
    for block in re.split(r"\n(?=[A-Za-z0-9])", lock.read_text(encoding="utf-8")):
        head = _PIN.match(block)
        if head is None:
            continue
        needed_by = [
            match["one"] or match["many"]
            for line in block.splitlines()
            if (match := _VIA.fullmatch(line)) and (match["one"] or match["many"])
        ]
        pin = Pin(
            name=head["name"].lower().replace("_", "-"),
            version=head["version"],
            hashes=tuple(match["hash"] for match in _HASH.finditer(block)),
            needed_by=tuple(name.split(" ")[0].split("[")[0] for name in needed_by),
        )
        found.append(pin)
    return found


def bill(lock: Path = LOCK) -> dict[str, Any]:
    """Return the bill of materials of this source tree with the packages of *lock*."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = pins(lock)
    ours = f"pkg:pypi/{_OURS}@{project['version']}"
    body = {
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": ours,
                "name": _OURS,
                "version": project["version"],
                "purl": ours,
                "licenses": [{"expression": project["license"]}],
            }
        },
        "components": [_component(pin) for pin in listed],
        "dependencies": list(_dependencies(ours, listed)),
    }
    # Made from what it names: the same bill has the same number.
    number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(body, sort_keys=True))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{number}",
        "version": 1,
        **body,
    }


def _component(pin: Pin) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": pin.reference,
        "name": pin.name,
        "version": pin.version,
        "purl": pin.reference,
        **_licences(pin.name),
        # One per file that may be installed: which of them is, the machine decides.
        "properties": [{"name": "lock:sha256", "value": value} for value in pin.hashes],
    }


def _licences(name: str) -> dict[str, Any]:
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return {}  # Of another platform.
    for expression in about.get_all("License-Expression") or ():
        return {"licenses": [{"expression": expression}]}
    classified = [
        classifier.rpartition(" :: ")[2]
        for classifier in about.get_all("Classifier") or ()
        if classifier.startswith("License :: ")
    ]
    written = [text for text in about.get_all("License") or () if len(text) <= _LICENCE_CHARS_MAX]
    named = classified or written
    return {"licenses": [{"license": {"name": text}} for text in named]} if named else {}


def _dependencies(ours: str, listed: list[Pin]) -> Iterator[Mapping[str, Any]]:
    references = {_OURS: ours, **{pin.name: pin.reference for pin in listed}}
    for name, reference in references.items():
        needs = sorted(pin.reference for pin in listed if name in pin.needed_by)
        yield {"ref": reference, "dependsOn": needs}


if __name__ == "__main__":
    made = bill(*map(Path, sys.argv[1:2]))
    sys.stdout.write(json.dumps(made, indent=2, ensure_ascii=False) + "\n")
