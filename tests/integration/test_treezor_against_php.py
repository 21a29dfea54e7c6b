"""What we spell and sign for treezor is what PHP itself spells and signs."""

import base64
import json
import shutil
import struct
import subprocess
from random import Random
from typing import Final

import pytest
from tests.support.dialect_events import MERCHANT, drawn_events, endpoint_of

from payhooks.dialects import php_json
from payhooks.dialects.treezor import TREEZOR

PHP: Final = shutil.which("php")
DOCUMENTS: Final = 4_000
MESSAGES: Final = 1_000
SECRET: Final = "a/b+c=:0123456789"

pytestmark = [
    pytest.mark.shows("V11"),
    pytest.mark.skipif(PHP is None, reason="php is not installed (Debian: php-cli)"),
]

# A document per line, in base64, because a line of PHP's own output has no place for a NUL.
_RESPELL: Final = r"""
while (($line = fgets(STDIN)) !== false) {
    $once = json_encode(json_decode(base64_decode($line)));
    if ($once === false) { fwrite(STDERR, json_last_error_msg()); exit(1); }
    echo base64_encode($once), ' ', base64_encode(json_encode(json_decode($once))), "\n";
}
"""
_VERIFY: Final = r"""
while (($line = fgets(STDIN)) !== false) {
    $hook = json_decode(base64_decode($line));
    $made = hash_hmac('sha256', json_encode($hook->object_payload), $argv[1], true);
    echo hash_equals(base64_encode($made), $hook->object_payload_signature) ? "yes\n" : "no\n";
}
"""
_SIGN: Final = r"""
while (($line = fgets(STDIN)) !== false) {
    $payload = json_decode(base64_decode($line));
    $made = hash_hmac('sha256', json_encode($payload), $argv[1], true);
    $hook = ['webhook' => 'payin.update', 'object_payload' => $payload,
        'object_payload_signature' => base64_encode($made)];
    echo base64_encode(json_encode($hook, $argv[2])), "\n";
}
"""


def test_documents_are_spelled_as_php_spells_them() -> None:
    """One byte that differs is a signature that does not verify at a merchant's.

    What PHP spells when it reads its own spelling counts, because that is what receivers do: the
    two differ for a zero below zero alone.
    """
    random = Random(11)
    documents = [_document(random) for _ in range(DOCUMENTS)]
    lines = _php(_RESPELL, [document.encode() for document in documents])
    for document, line in zip(documents, lines, strict=True):
        once, again = (base64.b64decode(part).decode() for part in line.split())
        ours = php_json.encode(document)
        assert ours == again
        if "-0" not in document:
            assert ours == once


def test_php_verifies_what_we_sign() -> None:
    """As a merchant does: decode the body, encode the payload, compare."""
    secret = TREEZOR.signing_secret(SECRET)
    endpoint = endpoint_of("treezor")
    bodies = []
    for event in drawn_events("treezor", count=MESSAGES, seed=12):
        body = TREEZOR.render(event=event, endpoint=endpoint, merchant=MERCHANT).body
        now = event.created_at
        bodies.append(TREEZOR.sign(message_id="m", body=body, secrets=[secret], now=now).body)
    assert _php(_VERIFY, bodies, SECRET) == ["yes"] * MESSAGES
    assert _php(_VERIFY, bodies, SECRET + "!") == ["no"] * MESSAGES


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(0, id="as it stands"),
        # JSON_PRETTY_PRINT | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE
        pytest.param(128 | 64 | 256, id="spelled anew by what it passed through"),
    ],
)
def test_we_verify_what_php_signs(flags: int) -> None:
    """The other way: a provider's body, and one that a proxy printed for people."""
    random = Random(13)
    payloads = [f'{{"payins":[{_document(random)}]}}' for _ in range(MESSAGES)]
    if flags:
        # Whoever spells a zero below zero anew has made another number of it.
        payloads = [payload for payload in payloads if "-0" not in payload]
    secret = TREEZOR.verifying_secret(SECRET)
    lines = _php(_SIGN, [payload.encode() for payload in payloads], SECRET, str(flags))
    assert len(lines) == len(payloads) > MESSAGES // 4
    for line in lines:
        TREEZOR.verify({}, base64.b64decode(line), [secret], MERCHANT.created_at)


def _php(script: str, said: list[bytes], *arguments: str) -> list[str]:
    assert PHP is not None
    lines = "".join(f"{base64.b64encode(one).decode()}\n" for one in said)
    # -n: no php.ini, so precision is what PHP has by default.
    done = subprocess.run(  # noqa: S603 - our own script
        [PHP, "-n", "-r", script, "--", *arguments],
        input=lines,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.splitlines()


def _document(random: Random) -> str:
    """Return a JSON text: spelled as publishers may, so hardly ever as PHP does."""
    value = _drawn(random, 3)
    text = json.dumps(
        value, ensure_ascii=random.random() < 0.5, indent=random.choice([None, None, 1, "\t"])
    )
    # Spellings that json.dumps never chooses.
    text = text.replace("/", random.choice(["/", "\\/", "\\u002F"])).replace("\\ud83d", "\\uD83D")
    for word in sorted(_NUMBERS):
        text = text.replace(f'"{_MARK}{word}"', word)
    return text


_MARK: Final = "number "
_NUMBERS: Final = {
    "1.10", "20.0", "1e2", "1E25", "1e-7", "0.1e1", "123456789012345678", "9223372036854775807",
    "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "100000000000000000000",
    "1e15", "1e16", "1e17", "1e21", "1e22", "12345678901234567.0", "123456789012345678.5",
    "0.00001", "0.0001", "-0", "-0.0", "-0.5", "4.35", "5e-324", "1.7976931348623157e308",
}  # fmt: skip
_LETTERS: Final = [
    *'ab/\\"',
    "\x7f",
    "\x00",
    "\x1f",
    "\n",
    "\t",
    "é",
    "\u2028",
    "\uffff",
    "😀",
    "{}",
]


def _drawn(random: Random, depth: int) -> object:
    kind = random.randrange(7 if depth else 5)
    if kind <= 1:
        return _text(random)
    if kind == 2:
        # sorted, because a set has another order in every process.
        return _MARK + random.choice(sorted(_NUMBERS))
    if kind == 3:
        return random.choice([None, True, False, 0, -7, random.getrandbits(62), _double(random)])
    if kind == 4:
        return random.choice([{}, [], "", round(random.random() * 10**6, 2)])
    if kind == 5:
        return [_drawn(random, depth - 1) for _ in range(random.randrange(4))]
    # PHP has no property whose name begins with NUL.
    return {
        _text(random).lstrip("\x00"): _drawn(random, depth - 1) for _ in range(random.randrange(5))
    }


def _double(random: Random) -> float:
    while True:
        (value,) = struct.unpack("<d", random.randbytes(8))
        if abs(value) < float("inf"):  # NaN is not below it either
            return float(value)


def _text(random: Random) -> str:
    return "".join(random.choice(_LETTERS) for _ in range(random.randrange(8)))
