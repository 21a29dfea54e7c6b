"""The fenced code of a page of the docs, run as its readers would: one process per language.

A snippet is what stands under a heading of the third level, like ``### PHP``. Each is put in a
place of its own, so that all of them may have the same names.
"""

import base64
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_S_MAX: Final = 60
_SNIPPET: Final = re.compile(r"^### ([^\n]+)\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# Each reads a list of cases and prints a list of what came of them: true, false, or an error.
_PYTHON: Final = """
import base64, inspect, io, json, sys
from contextlib import redirect_stdout
def judged(function, case):
    given = {"secret": case["secret"], "headers": case["headers"],
             "body": base64.b64decode(case["body"])}
    names = inspect.signature(function).parameters
    with redirect_stdout(io.StringIO()):
        found = function(**{name: given[name] for name in names})
    return found == 200 if isinstance(found, int) and found > 1 else bool(found)
results = []
for case in json.load(sys.stdin):
    names = {}
    exec(case["code"], names)
    try:
        results.append(judged(names[case["function"]], case))
    except BaseException as error:
        results.append(f"{type(error).__name__}: {error}")
print(json.dumps(results))
"""
_NODE: Final = """
const results = [];
for (const c of JSON.parse(require('node:fs').readFileSync(0))) {
  try {
    const f = new Function('require', `${c.code}\\nreturn ${c.function};`)(require);
    const body = Buffer.from(c.body, 'base64');
    const found = f.length === 2 ? f(c.secret, body) : f(c.secret, c.headers, body);
    results.push(typeof found === 'boolean' ? found : found !== null);
  } catch (error) {
    results.push(String(error));
  }
}
console.log(JSON.stringify(results));
"""
_PHP: Final = """
foreach ($cases as $number => $case) {
    try {
        $function = "snippet_{$case['snippet']}\\\\{$case['function']}";
        $body = base64_decode($case['body']);
        $wanted = (new ReflectionFunction($function))->getNumberOfParameters();
        $found = $wanted === 2
            ? $function($case['secret'], $body)
            : $function($case['secret'], $case['headers'], $body);
        $results[] = is_bool($found) ? $found : $found !== null;
    } catch (Throwable $error) {
        $results[] = get_class($error) . ': ' . $error->getMessage();
    }
}
echo json_encode($results);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One request, and the code to ask about it."""

    code: str
    secret: str
    headers: Mapping[str, str]
    body: bytes


def snippets_in(text: str) -> dict[str, str]:
    """Return the code under each heading of the third level."""
    return dict(_SNIPPET.findall(text))


def judged_by_python(cases: Sequence[Case]) -> list[bool | str]:
    """Return what the functions of the snippets say; an exception as text."""
    told = _told(cases, r"^def (\w+)")
    return _json(_ran([sys.executable, "-W", "error", "-c", _PYTHON], json.dumps(told)))


def judged_by_node(cases: Sequence[Case]) -> list[bool | str]:
    """Return the same of functions in JavaScript."""
    return _json(_ran(["node", "-e", _NODE], json.dumps(_told(cases, r"^function (\w+)"))))


def judged_by_php(cases: Sequence[Case]) -> list[bool | str]:
    """Return the same of functions in PHP; a warning is an error there."""
    told = _told(cases, r"^function (\w+)")
    codes = list(dict.fromkeys(case.code for case in cases))
    spaces = "\n".join(
        f"namespace snippet_{number} {{\n{code}\n}}" for number, code in enumerate(codes)
    )
    given = base64.b64encode(json.dumps(told).encode()).decode()
    program = (
        f"<?php\n{spaces}\nnamespace {{\n"
        "error_reporting(E_ALL);\n"
        "set_error_handler(fn ($n, $words) => throw new ErrorException($words));\n"
        f"$results = [];\n$cases = json_decode(base64_decode('{given}'), true);\n{_PHP}}}\n"
    )
    return _json(_ran(["php"], program))


def judged_by_shell(cases: Sequence[Case], folder: Path) -> list[bool | str]:
    """Return what the commands of the snippets print: true for signed."""
    lines = []
    for number, case in enumerate(cases):
        place = folder / str(number)
        place.mkdir()
        lines_of_headers = [f"{name}: {value}\r\n" for name, value in case.headers.items()]
        (place / "headers.txt").write_text("".join(lines_of_headers), encoding="latin-1")
        (place / "body.json").write_bytes(case.body)
        (place / "snippet.sh").write_text(case.code)
        secret = shlex.quote(case.secret)
        lines.append(f"(cd {shlex.quote(str(place))} && SECRET={secret} && . ./snippet.sh)")
    printed = _ran(["sh"], "\n".join(lines)).splitlines()
    assert set(printed) <= {"signed", "not signed"}
    return [line == "signed" for line in printed]


def _told(cases: Sequence[Case], function: str) -> list[dict[str, Any]]:
    codes = list(dict.fromkeys(case.code for case in cases))
    told = []
    for case in cases:
        found = re.search(function, case.code, re.MULTILINE)
        assert found is not None, f"there is no function in {case.code!r}"
        told.append(
            {
                "snippet": codes.index(case.code),
                "function": found[1],
                "code": case.code,
                "secret": case.secret,
                "headers": dict(case.headers),
                "body": base64.b64encode(case.body).decode(),
            }
        )
    return told


def _ran(command: Sequence[str], given: str) -> str:
    done = subprocess.run(
        command, input=given, capture_output=True, text=True, check=False, timeout=_S_MAX
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return done.stdout


def _json(printed: str) -> list[bool | str]:
    results: list[bool | str] = json.loads(printed)
    return results
