"""What never stands in the code of the package: the short list that every review would ask for.

ruff's S rules ask more, line by line; these are those that no comment may switch off.
"""

import ast
import re
from pathlib import Path

import pytest
from tests.support.source_tree import (
    PACKAGE,
    ROOT,
    name_of,
    names_used,
    package_files,
    text_of,
    tracked_files,
    tree_of,
)

_NEVER = (
    "pickle", "marshal", "shelve", "yaml.load", "xml", "telnetlib", "tempfile.mktemp",
    "os.system", "os.popen", "hashlib.md5", "hashlib.sha1", "ssl._create_unverified_context",
    "ssl.CERT_NONE", "ssl.wrap_socket",
)  # fmt: skip
_NEVER_CALLED = {"eval", "exec", "compile", "__import__"}
# Names of what a forger would guess byte by byte.
_SECRET_NAME = re.compile(r"(digest|signature|seal|mac|token|password|secret)s?$")
# Compared to know what kind of thing it is, or which of ours; none is a caller's guess.
_MAY_COMPARE = {
    "console/pages/webhooks_form.py": "which kind of signature was chosen",
    "console/pages/welcome.py": "what one person typed twice into one form",
    "control/endpoint_draft.py": "asks whether there is one",
    "control/key_text.py": "a checksum, which anybody can make",
    "control/resealing.py": "ids of keys, in the clear in every row",
    "receiver/secrets.py": "a forger's own text with its own other spelling",
    "storage/memory/controlling.py": "of tests and the simulator; what is compared is a hash",
    "storage/memory/identity.py": "of tests and the simulator; what is compared is a hash",
}
_RESULTS = ROOT / "benchmarks" / "results"  # written by machines, with the names of tests
_SECRETS_IN_FILES = (
    re.compile(r"-----BEGIN (?:RSA |EC |OPENSSH )?PRIVATE KEY-----"),
    re.compile(r"phk_(?:live|operator)_[0-9A-Za-z]{49}"),
    re.compile(r"AKIA[0-9A-Z]{16}"),
    re.compile(r"gh[pousr]_[0-9A-Za-z]{36}"),
    re.compile(r"xox[abprs]-[0-9A-Za-z-]{10,}"),
)


@pytest.mark.shows("S47")
def test_nothing_runs_or_loads_what_came_from_outside() -> None:
    """Each of these has been the way in to somebody's server."""
    found = {name_of(path): words for path in package_files() if (words := _forbidden(path))}
    assert found == {}


def _forbidden(path: Path) -> list[str]:
    tree = tree_of(path)
    found = [
        f"{name} at line {line}"
        for name, line in names_used(tree)
        if any(name == never or name.startswith(f"{never}.") for never in _NEVER)
    ]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in _NEVER_CALLED:
            found.append(f"{node.func.id} at line {node.lineno}")
        for keyword in node.keywords:
            off = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            on = isinstance(keyword.value, ast.Constant) and keyword.value.value is True
            if (keyword.arg in {"verify", "check_hostname"} and off) or (
                keyword.arg == "shell" and on
            ):
                found.append(f"{keyword.arg} at line {node.lineno}")
    return found


@pytest.mark.shows("S47", "S08")
def test_digests_are_compared_in_constant_time() -> None:
    """`==` ends at the first byte that differs, and says by its time which one that was."""
    found = {
        f"{name_of(path)}:{node.lineno}"
        for path in package_files()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Compare)
        and any(isinstance(operator, ast.Eq | ast.NotEq) for operator in node.ops)
        and any(_names_a_secret(side) for side in (node.left, *node.comparators))
        and not _is_none_or_absent(node)
        and str(path.relative_to(PACKAGE)) not in _MAY_COMPARE
    }
    assert found == set()


def _is_none_or_absent(node: ast.Compare) -> bool:
    """Whether it only asks for a constant: is there one, which kind is it."""
    return any(isinstance(side, ast.Constant) for side in (node.left, *node.comparators))


def _names_a_secret(node: ast.expr) -> bool:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return bool(_SECRET_NAME.search(name))
        case ast.Call(func=ast.Attribute(attr="digest" | "hexdigest")):
            return True
        case _:
            return False


@pytest.mark.shows("S47")
def test_sql_is_not_built_from_values() -> None:
    """Statements stand in files of their own; what code writes into one is never a value."""
    building = re.compile(r"f[\"'](?:SELECT|INSERT|UPDATE|DELETE|ALTER|DROP|CREATE)\b[^\"']*\{")
    found = {
        name_of(path): line.strip()
        for path in package_files()
        for line in text_of(path).splitlines()
        if building.search(line) and not _BUILT_OF_CONSTANTS.search(line)
    }
    assert found == {}


# Fragments, partitions named by their day, and numbers of placeholders; each looked at.
_BUILT_OF_CONSTANTS = re.compile(r"\{(?:_?[A-Z_]+\b|table\b|name\b|partition|marks|columns)")


@pytest.mark.shows("S47")
def test_no_file_has_a_secret_of_somebody() -> None:
    """What was once committed is known for ever."""
    found = [
        name_of(path)
        for path in tracked_files()
        for pattern in _SECRETS_IN_FILES
        if pattern.search(text_of(path)) and path != Path(__file__) and _RESULTS not in path.parents
    ]
    assert found == []


@pytest.mark.shows("S47")
def test_the_checks_that_run_on_every_change_look_for_holes() -> None:
    """Those of ruff named S are those of bandit; none of them is switched off for the package."""
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'select = ["ALL"]' in settings
    everywhere = settings.partition("ignore = [")[2].partition("]")[0]
    assert re.findall(r'"(S\d*)"', everywhere) == ["S101"]
