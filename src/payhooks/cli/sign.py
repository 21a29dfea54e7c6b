"""``payhooks sign``: a signed request, for trying out a receiver."""

import secrets
import shlex
from dataclasses import replace
from typing import Annotated

import typer

from payhooks.cli.inputs import read_bytes
from payhooks.cli.output import AsJson, as_json, line
from payhooks.clock import SystemClock


def sign(
    *,
    secret: Annotated[
        list[str],
        typer.Option(help="whsec_…, whsk_… or a Source Key; may be given several times."),
    ],
    body: Annotated[str, typer.Option(help="A file with the bytes to sign, or -.")],
    message_id: Annotated[
        str | None, typer.Option("--id", help="The message id; drawn where there is none.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Print a curl command that posts to this URL.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Print the headers that sign a body, or a curl command with them."""
    from payhooks.dialects.standard import STANDARD  # noqa: PLC0415 - start-up time
    from payhooks.errors import InvalidError  # noqa: PLC0415 - beside its use

    message_id = message_id or f"msg_{secrets.token_hex(12)}"
    if "." in message_id or not message_id.isascii() or not message_id.isprintable():
        raise InvalidError.at("--id", "malformed", "An id is printable ASCII without a dot.")
    try:
        signing = [STANDARD.signing_secret(text) for text in secret]
    except InvalidError as error:
        raise InvalidError([replace(fault, pointer="--secret") for fault in error.faults]) from None
    headers, _ = STANDARD.sign(
        message_id=message_id,
        body=read_bytes(body, option="--body"),
        secrets=signing,
        now=SystemClock().now(),
    )
    if json:
        as_json(dict(headers))
    elif url is None:
        for name, value in headers:
            line(f"{name}: {value}")
    else:
        said = [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in headers]
        said.append("-H 'content-type: application/json'")
        said.append(f"--data-binary {shlex.quote('@' + body)}")
        line(" ".join(["curl", "-i", *said, shlex.quote(url)]))
