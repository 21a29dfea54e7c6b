"""The whole command line as one application. Each command is in the file of its name."""

from typing import Annotated

import typer

from payhooks.cli import (
    audit_log,
    config,
    connectors,
    deliveries,
    dev,
    doctor,
    endpoints,
    event_types,
    events,
    keys,
    listen,
    merchants,
    migrate,
    objects,
    receipts,
    reconcile,
    replay,
    serve,
    sign,
    simulate,
    trigger,
    users,
    verify,
    version,
    worker,
)
from payhooks.cli.exits import ExitCode, end

app = typer.Typer(
    name="payhooks",
    help="The open-source webhook platform for payments.",
    no_args_is_help=True,
    # Its tracebacks print local variables, and those may be secrets.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_TRY = "Try it"
_RUN = "Run it"
_USE = "Use it"
_CHECK = "Check it"

app.command("dev", rich_help_panel=_TRY)(dev.dev)
app.command("trigger", rich_help_panel=_TRY)(trigger.trigger)
app.command("listen", rich_help_panel=_TRY)(listen.listen)
app.command("verify", rich_help_panel=_TRY)(verify.verify)
app.command("sign", rich_help_panel=_TRY)(sign.sign)
app.command("serve", rich_help_panel=_RUN)(serve.serve)
app.command("worker", rich_help_panel=_RUN)(worker.worker)
app.command("migrate", rich_help_panel=_RUN)(migrate.migrate)
app.add_typer(config.group, name="config", rich_help_panel=_RUN)
app.command("doctor", rich_help_panel=_RUN)(doctor.doctor)
app.add_typer(keys.group, name="keys", rich_help_panel=_USE)
app.add_typer(users.group, name="users", rich_help_panel=_USE)
app.add_typer(merchants.group, name="merchants", rich_help_panel=_USE)
app.add_typer(endpoints.group, name="endpoints", rich_help_panel=_USE)
app.add_typer(events.group, name="events", rich_help_panel=_USE)
app.add_typer(objects.group, name="objects", rich_help_panel=_USE)
app.add_typer(event_types.group, name="event-types", rich_help_panel=_USE)
app.add_typer(deliveries.group, name="deliveries", rich_help_panel=_USE)
app.add_typer(connectors.group, name="connectors", rich_help_panel=_USE)
app.add_typer(receipts.group, name="receipts", rich_help_panel=_USE)
app.add_typer(replay.group, name="replay", rich_help_panel=_USE)
app.command("reconcile", rich_help_panel=_CHECK)(reconcile.reconcile)
app.add_typer(audit_log.group, name="audit-log", rich_help_panel=_CHECK)
app.command("simulate", rich_help_panel=_CHECK)(simulate.simulate)
app.command("version", rich_help_panel=_CHECK)(version.version)


def _print_version(asked: bool) -> None:  # noqa: FBT001 - Typer calls it with what was given
    if asked:
        version.version()
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=_print_version,
            help="Print which version this is.",
        ),
    ] = False,
) -> None:
    """Take what stands before a command."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; whatever it meets ends as one sentence."""
    try:
        result = app(args=arguments, prog_name="payhooks", standalone_mode=False)
    except typer.TyperException as error:
        return _usage(error)
    except typer.Abort:
        return ExitCode.INTERRUPTED
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the end of the line
        return end(error)
    return result if isinstance(result, int) else ExitCode.OK


def _usage(error: typer.TyperException) -> int:
    words = error.format_message()
    context = getattr(error, "ctx", None)
    if words and context is not None and not words.startswith("Usage"):
        stop = "" if words.endswith((".", "?", "!")) else "."
        words = f"payhooks: {words}{stop} Try: {context.command_path} --help"
    if words:  # Help that was not asked for is on standard output already.
        typer.echo(words, err=True)
    return error.exit_code
