"""Every command with its arguments and options, as docs/cli.md prints them."""

import inspect
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from payhooks.cli import app


def commands() -> str:
    """Return one section per command, in the order of ``payhooks --help``."""
    return "\n\n".join(_sections(get_command(app), "payhooks"))


def _sections(command: Any, path: str) -> Iterator[str]:  # noqa: ANN401 - of Typer's own making
    children = getattr(command, "commands", {})
    for name, child in children.items():
        yield from _sections(child, f"{path} {name}")
    if not children:
        yield _section(command, path)


def _section(command: Any, path: str) -> str:  # noqa: ANN401 - of Typer's own making
    shown = [each for each in command.params if not each.hidden]
    arguments = [each for each in shown if each.param_type_name == "argument"]
    options = [each for each in shown if each.param_type_name == "option"]
    usage = " ".join([path, *[_placeholder(each) for each in arguments]])
    lines = [f"### `{usage}`", "", inspect.cleandoc(command.help or "")]
    described = [
        *[f"- `{_name(each)}`: {each.help}" for each in arguments if each.help],
        *[f"- {_spelled(each)}: {each.help}{_default(each)}" for each in options],
    ]
    return "\n".join([*lines, "", *described] if described else lines)


def _name(argument: Any) -> str:  # noqa: ANN401 - of Typer's own making
    return str(argument.metavar or argument.name.upper().strip("_"))


def _placeholder(argument: Any) -> str:  # noqa: ANN401 - of Typer's own making
    name = _name(argument)
    return name if argument.required else f"[{name}]"


def _spelled(option: Any) -> str:  # noqa: ANN401 - of Typer's own making
    names = [f"`{name}`" for name in (*option.opts, *option.secondary_opts)]
    return ", ".join(names) + (" (required)" if option.required else "")


def _default(option: Any) -> str:  # noqa: ANN401 - of Typer's own making
    default = option.default
    variable = f" Also `{option.envvar}`." if option.envvar else ""
    if default is None or isinstance(default, bool) or option.required:
        return variable
    return f" Default: {getattr(default, 'value', default)}.{variable}"
