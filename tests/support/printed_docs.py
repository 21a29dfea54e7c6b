"""The parts of the docs that are printed from the code, so that they cannot drift from it.

python -m tests.support.printed_docs        writes them anew; prose around them stays
"""

import inspect
import sys
from collections.abc import Callable, Mapping
from functools import partial
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pydantic.fields import FieldInfo
from tests.support import printed_catalogue, printed_connectors, printed_dialects
from tests.support.printed_commands import commands
from tests.support.source_tree import ROOT

from payhooks import errors
from payhooks.model.delivery import TRANSITIONS
from payhooks.policy.retry import POLICIES
from payhooks.settings import FILE_SUFFIX, PREFIX, SECRETS, Settings

_BEGIN: Final = "<!-- printed from the code: python -m tests.support.printed_docs -->"
_END: Final = "<!-- end of what is printed -->"


def state_diagram() -> str:
    """Return the table of delivery states as a Mermaid diagram."""
    arrows = [f"    {state} --> {to}: {trigger}" for (state, trigger), to in TRANSITIONS.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", *arrows, "```"])


def error_classes() -> list[type[errors.PayhooksError]]:
    """Return every error the package raises on purpose, in the order of errors.py."""
    return [
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, errors.PayhooksError)
    ]


def errors_table() -> str:
    """Return one line for each error: its name, its kind, and what it says."""
    rows = [
        f"| `{error.__name__}` | `{error.__bases__[0].__name__}` | "
        f"{(inspect.getdoc(error) or '').splitlines()[0]} |"
        for error in error_classes()
    ]
    return "\n".join(["| Error | Is a | Says |", "|---|---|---|", *rows])


def settings_table() -> str:
    """Return one line for each setting: its name, what it is without being set, its meaning."""
    rows = []
    for name, field in Settings.model_fields.items():
        variable = f"`{PREFIX}{name.upper()}`"
        if name in SECRETS:
            variable += f", `{PREFIX}{name.upper()}{FILE_SUFFIX}`"
        rows.append(f"| {variable} | {_default_of(field)} | {field.description} |")
    return "\n".join(["| Setting | Default | Meaning |", "|---|---|---|", *rows])


def _default_of(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    match field.default:
        case None | ():
            return "not set"
        case bool(switch):
            return "`true`" if switch else "`false`"
        case value:
            return f"`{value}`"


def policies_table() -> str:
    """Return one line for each named retry policy: its waits, in runs of equal ones."""
    rows = []
    for policy in POLICIES.values():
        runs = [(wait_s, len(list(same))) for wait_s, same in groupby(policy.delays_s)]
        waits = ", ".join(
            f"{count} times {_span(w)}" if count > 1 else _span(w) for w, count in runs
        )
        gone = "disables" if policy.gone_disables else "is retried"
        cells = (f"`{policy.name}`", policy.attempts_max, waits, _span(policy.total_s), gone)
        rows.append(f"| {' | '.join(map(str, cells))} |")
    head = "| Policy | Attempts | Waits between them | First to last | A 410 |"
    return "\n".join([head, "|---|---|---|---|---|", *rows])


def _span(seconds: float) -> str:
    """Return a whole number of seconds as people say it: 75 h 35 min 5 s."""
    minutes, second = divmod(round(seconds), 60)
    hour, minute = divmod(minutes, 60)
    parts = ((hour, "h"), (minute, "min"), (second, "s"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count)


PRINTED: Final[Mapping[str, Callable[[], str]]] = MappingProxyType(
    {
        "docs/cli.md": commands,
        "docs/connectors/providers.md": printed_connectors.providers,
        "docs/errors.md": errors_table,
        "docs/retries.md": policies_table,
        "docs/settings.md": settings_table,
        "docs/state-machine.md": state_diagram,
        "docs/verification.md": printed_dialects.decisions,
        "docs/dialects/README.md": printed_dialects.overview,
        **{
            f"docs/dialects/{name}.md": partial(printed_dialects.page, name)
            for name in printed_dialects.PAGES
        },
        "docs/catalogue/README.md": printed_catalogue.overview,
        **{
            f"docs/catalogue/{name}.md": partial(printed_catalogue.page, name)
            for name in printed_catalogue.FAMILIES
        },
    }
)


def printed_in(path: Path) -> str:
    """Return what stands between the marks in *path*."""
    _, _, after = path.read_text(encoding="utf-8").partition(_BEGIN)
    between, mark, _ = after.partition(_END)
    assert mark, f"{path} has lost its marks"
    return between.strip("\n")


def write(path: Path, text: str) -> None:
    """Put *text* between the marks in *path*."""
    before, _, after = path.read_text(encoding="utf-8").partition(_BEGIN)
    _, mark, behind = after.partition(_END)
    assert mark, f"{path} has lost its marks"
    path.write_text(f"{before}{_BEGIN}\n\n{text}\n\n{_END}{behind}", encoding="utf-8")


def main() -> int:
    """Write every printed part, and the pictures, which are printed as a whole."""
    for name, text in PRINTED.items():
        write(ROOT / name, text())
    for name, picture in printed_catalogue.PICTURES.items():
        (ROOT / name).write_text(picture(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
