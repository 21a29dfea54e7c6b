"""Templates: each compiled once and kept, escaped always, strict about names."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from payhooks import __version__, ids
from payhooks.console import chart
from payhooks.console.assets import Assets

_FOLDER: Final = Path(__file__).parent / "templates"
_MINUTE_S: Final = 60
_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400
_NOW_S: Final = 5  # nearer than this, a number says nothing


class Renderer:
    """Renders templates and their blocks. One per process."""

    def __init__(self, assets: Assets) -> None:
        self.environment = Environment(
            loader=FileSystemLoader(_FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            cache_size=-1,
        )
        self.environment.globals |= {
            "asset": assets.url,
            "version": __version__,
            "chart": chart,
        }
        self.environment.filters |= {
            "ago": ago,
            "utc": utc,
            "iso": iso,
            "count": count,
            "size": size,
            "printed": printed,
            "made_at": ids.made_at,
        }
        # A module, not an import in each template: blocks are rendered alone too, and know no
        # imports of the template around them.
        self.environment.globals["ui"] = self.environment.get_template("components.html").module

    def render(self, template: str, *, block: str | None, values: Mapping[str, object]) -> str:
        """Return the text of a template, or of one block of it."""
        found = self.environment.get_template(template)
        context = found.new_context(dict(values))
        draw = found.root_render_func if block is None else found.blocks[block]
        text = "".join(draw(context))
        # A template's own macros know the context, and it knows them: what a page was made of
        # would stay until the next collection, of which a serving process makes few.
        context.vars.clear()
        return text


def ago(at: datetime, now: datetime) -> str:
    """Return how long ago, or in how long, as lists say it; the script says the same."""
    seconds = (now - at).total_seconds()
    amount = abs(seconds)
    if amount < _NOW_S:
        return "now"
    if amount < _MINUTE_S:
        text = f"{amount:.0f} s"
    elif amount < _HOUR_S:
        text = f"{amount // _MINUTE_S:.0f} min"
    elif amount < _DAY_S:
        text = f"{amount // _HOUR_S:.0f} h"
    else:
        text = f"{amount // _DAY_S:.0f} d"
    return f"{text} ago" if seconds > 0 else f"in {text}"


def utc(at: datetime) -> str:
    """Return the exact time as people read it."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def iso(at: datetime) -> str:
    """Return the exact time as programs read it."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def count(number: int) -> str:
    """Return a number with its thousands apart."""
    return f"{number:,}"


def printed(value: bytes, prefix: str) -> str:
    """Return an id as it is printed everywhere."""
    return ids.to_text(prefix, value)


def size(amount: int) -> str:
    """Return a number of bytes as people read it."""
    kib = 1024
    if amount < kib:
        return f"{amount} bytes"
    return f"{amount / kib:.1f} KiB" if amount < kib * kib else f"{amount / kib / kib:.1f} MiB"
