"""Every route of the description, met with nonsense in its path and its parameters."""

from collections.abc import Iterator
from functools import partial
from typing import Final

import pytest
from tests.support.bad_input import Ground

from payhooks.api.app import _ROUTERS

_METHODS: Final = ("get", "post", "put", "patch", "delete")
_UNDESCRIBED: Final = frozenset({"/metrics", "/openapi.json", "/asyncapi.json", "/problems/{name}"})
_PUBLIC: Final = frozenset({"/healthz", "/readyz"})


@pytest.mark.shows("C1")
def test_no_route_answers_without_a_key(served_ground: Ground) -> None:
    """The list is the description's, so a route that is new is asked the day it comes."""
    for path, method in _operations(served_ground):
        if path in _PUBLIC:
            continue
        target = path.format_map(_Anything())
        served_ground.refuses(
            partial(
                served_ground.call,
                method.upper(),
                target,
                b"{}" if method in {"post", "patch"} else None,
                key=None,
            ),
            {401},
        )


@pytest.mark.shows("C8")
def test_every_id_in_a_path_may_be_nonsense(served_ground: Ground) -> None:
    """An id is somebody's text until it was found to be one."""
    for path, method in _operations(served_ground):
        for name in [part[1:-1] for part in path.split("/") if part.startswith("{")]:
            known = _furnished_ids(served_ground) | {name: "%E2%80%AE%27%20OR%201%3D1%20--"}
            target = path.format_map(known)
            reply = served_ground.call(
                method.upper(), target, b"{}" if method in {"post", "patch"} else None
            )
            served_ground.judge(reply, {404, 422})
            assert reply.body.isascii()  # what is repeated of a path is escaped
    assert served_ground.answers_a_good_request()


@pytest.mark.shows("C9")
def test_every_route_refuses_a_parameter_that_it_does_not_have(served_ground: Ground) -> None:
    """A misspelt filter that is ignored selects more than was meant."""
    known = _furnished_ids(served_ground)
    for path, method in _operations(served_ground):
        if path in _PUBLIC:
            continue
        target = f"{path.format_map(known)}?lmit=1"
        reply = served_ground.call(
            method.upper(), target, b"{}" if method in {"post", "patch"} else None
        )
        served_ground.judge(reply, {404, 422})
    assert served_ground.answers_a_good_request()


@pytest.mark.shows("C8")
@pytest.mark.parametrize("path", sorted(_UNDESCRIBED))
def test_a_route_for_machines_takes_no_nonsense(served_ground: Ground, path: str) -> None:
    """They need no key, so whatever can be sent to them is sent to them."""
    target = path.format_map(_Anything())
    for method in ("POST", "PUT", "PATCH", "DELETE", "PROPFIND"):
        served_ground.refuses(
            partial(served_ground.call, method, target, b"{}"),
            {404, 405},
        )
    assert served_ground.call("GET", f"{target}?x=%ff", key=None).status in {200, 404}


def test_every_route_is_met_here(served_ground: Ground) -> None:
    """A route that is neither described nor named above would be met by nobody."""
    paths = [route.path for router in _ROUTERS for route in router.routes]  # type: ignore[attr-defined] # Each is an APIRoute.
    routes = {path.replace(":path}", "}") for path in paths}
    described = {path for path, _ in _operations(served_ground)}
    assert routes == described | _UNDESCRIBED


class _Anything(dict[str, str]):
    """A value for every parameter of a path."""

    def __missing__(self, name: str) -> str:
        return "x"


def _furnished_ids(ground: Ground) -> dict[str, str]:
    return {
        "m": ground.tenant.id,
        "endpoint_id": "ep_" + "0" * 26,
        "event_id": "evt_" + "0" * 26,
        "delivery_id": "del_" + "0" * 26,
        "replay_id": "rpl_" + "0" * 26,
        "run_id": "run_" + "0" * 26,
        "inbox_id": "inb_" + "0" * 26,
        "heard_id": "hrd_" + "0" * 26,
        "connector_id": "con_" + "0" * 26,
        "receipt_id": "rcp_" + "0" * 26,
        "key_id": "key_" + "0" * 26,
        "user_id": "usr_" + "0" * 26,
        "invitation_id": "inv_" + "0" * 26,
        "object_type": "payment",
        "object_id": "pay_0",
        "family": "own",
        "name": "some.thing",
    }


def _operations(ground: Ground) -> Iterator[tuple[str, str]]:
    document = ground.api.get("/openapi.json")
    count = 0
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                count += 1
                yield path, method
    assert count > 40
