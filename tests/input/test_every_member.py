"""Every member of every body, met with nonsense.

In a file of its own, and so with a process of its own: what some of these change is announced
a moment later, and other tests count the rows that are written.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from tests.support.bad_input import Ground

_VALUES: Final[list[Any]] = [
    None, True, 0, -1, 1e300, 10**30, "", "x", "\u202e", [], [[]], {}, {"type": "x"}, [None],
]  # fmt: skip


@pytest.mark.shows("B12")
def test_no_wrong_type_of_any_member_harms(served_ground: Ground) -> None:
    """Every member of every body, from the description, as everything that JSON has."""
    known = _furnished(served_ground)
    asked = 0
    for path, method, schema in _bodies(served_ground):
        target = path.format_map(known)
        for name in schema["properties"]:
            for value in _VALUES:
                body = json.dumps({name: value}).encode()
                reply = served_ground.call(method.upper(), target, body)
                served_ground.judge(reply, {200, 201, 202, 400, 404, 409, 422})
                asked += 1
    assert asked > 500
    assert served_ground.answers_a_good_request()


def _furnished(ground: Ground) -> dict[str, str]:
    """Return ids for the paths, of an endpoint that nothing is sent to."""
    target = f"{ground.path}/endpoints"
    body = {"label": "A", "url": "https://example.com/a", "events": ["nothing.else"]}
    endpoint: str = ground.api.post(target, body)["id"]
    ground.api.post(f"{target}/{endpoint}/pause")
    user = {"username": "ines", "email": "i@x.example", "password": "six green bicycles"}
    made = ground.api.post(f"{ground.path}/users", {**user, "role": "viewer"})
    said = {"name": "owl", "dialect": "owlpay", "secrets": ["whs_of-a-test"]}
    connector = ground.api.post(f"{ground.path}/connectors", said)
    return {
        "m": ground.tenant.id,
        "connector_id": connector["id"],
        "receipt_id": "rcp_" + "0" * 26,
        "user_id": made["id"],
        "endpoint_id": endpoint,
        "family": "own",
        "name": "some.thing",
    }


def _bodies(ground: Ground) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield path, method and schema of every operation that takes a body."""
    document = ground.api.get("/openapi.json")
    schemas = document["components"]["schemas"]
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if "requestBody" in operation:
                said = operation["requestBody"]["content"]["application/json"]["schema"]
                reference = said.get("$ref") or said["anyOf"][0]["$ref"]
                yield path, method, schemas[reference.rpartition("/")[2]]
