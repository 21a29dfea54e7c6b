"""``payhooks receipts``: what a command asks of the server."""

from dataclasses import dataclass, field
from typing import Any

from payhooks.cli.client import Api
from payhooks.cli.receipts import reprocess_all

_ANSWERS: dict[str | None, dict[str, object]] = {
    None: {"reprocessed": 500, "unverified": 3, "has_more": True, "next": "a"},
    "a": {"reprocessed": 0, "unverified": 10, "has_more": True, "next": "b"},
    "b": {"reprocessed": 7, "unverified": 0, "has_more": False, "next": None},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scripted(Api):
    """A server that has more than it looks at in one call."""

    asked: list[Any] = field(default_factory=list)

    def post(self, path: str, body: object = None) -> Any:  # noqa: ANN401 - as of an Api
        assert isinstance(body, dict)
        self.asked.append((path, body))
        return dict(_ANSWERS[body.get("after")])


def test_all_are_read_again_however_many_calls_that_takes() -> None:
    """Who has to ask again by himself begins anew, and meets the same ones."""
    api = _Scripted(url="http://127.0.0.1:1", key="k")
    found = reprocess_all(api, "/there", ["quarantined"])
    assert found == {"reprocessed": 507, "unverified": 13, "has_more": False, "next": None}
    states = {"states": ["quarantined"]}
    bodies = [states, {**states, "after": "a"}, {**states, "after": "b"}]
    assert api.asked == [("/there", body) for body in bodies]
