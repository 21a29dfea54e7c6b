"""Event types by family and name: those we ship, and those an operator adds.

A type is (family, name): the same name in two families is two types.
"""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from payhooks.catalogue.life_cycle import ObjectKind
from payhooks.catalogue.shipped import Family, read
from payhooks.model.event_type import EventType

PAYHOOKS: Final = "payhooks"
# Addressed to one endpoint, whatever it selected; only we may publish it.
TEST_TYPE: Final = "webhook.test"
# difflib's time grows with the square of what it is given.
_NEAREST_CHARS_MAX: Final = 64
_NEAREST_KEPT: Final = 4_096


class Catalogue:
    """Event types, looked up by name. Never edited: an addition makes another one."""

    def __init__(
        self,
        types: Iterable[EventType],
        *,
        kinds: Mapping[tuple[str, str], ObjectKind] = MappingProxyType({}),
        families: Mapping[str, Family] = MappingProxyType({}),
    ) -> None:
        self.kinds = kinds
        self.families = families
        self._types = {(type_.family, type_.name): type_ for type_ in types}
        self._families: dict[str, list[str]] = {}
        for family, name in self._types:
            self._families.setdefault(name, []).append(family)
        self._aliases = {
            (type_.family, alias): type_
            for type_ in self._types.values()
            for alias in type_.aliases
        }
        self._alias_families: dict[str, list[str]] = {}
        for family, name in self._aliases:
            self._alias_families.setdefault(name, []).append(family)
        # A search costs as much as accepting an event, and a merchant with a word of its own
        # publishes it over and over.
        self._nearest = lru_cache(maxsize=_NEAREST_KEPT)(self._look_near)
        # In the order in which a merchant that named none looks: ours last.
        for known in self._families.values():
            known.sort(key=lambda family: family == PAYHOOKS)

    @property
    def types(self) -> Sequence[EventType]:
        """Every type, by family and name."""
        return [self._types[key] for key in sorted(self._types)]

    def find(self, family: str, name: str) -> EventType | None:
        """Return the type of this family and name."""
        return self._types.get((family, name))

    def meant_by(self, family: str, name: str) -> EventType | None:
        """Return the type of this family that has *name* for another name of its own."""
        return self._aliases.get((family, name))

    def meant(self, name: str, families: Sequence[str]) -> EventType | None:
        """Return the type that has *name* for another name, in the first family that has one."""
        for family in families or self._alias_families.get(name, ()):
            type_ = self._aliases.get((family, name))
            if type_ is not None:
                return type_
        return None

    def kind_of(self, type_: EventType) -> ObjectKind | None:
        """Return the kind of object that the type is about; an operator's own has none."""
        return self.kinds.get((type_.family, type_.kind))

    def family_of(self, name: str, families: Sequence[str]) -> str | None:
        """Return whose word *name* is: the first of a merchant's families that knows it.

        A merchant that named no families uses all. Our own family comes last: several
        providers have words for their own webhooks that are spelled like ours.
        """
        known = self._families.get(name)
        if known is None:
            return None
        for family in families or known:
            if family in known:
                return family
        return None

    def families_with(self, name: str) -> Sequence[str]:
        """Return the families that have *name* for a type or for another name of one, but ours."""
        known = [*self._families.get(name, ()), *self._alias_families.get(name, ())]
        return [family for family in dict.fromkeys(known) if family != PAYHOOKS]

    def nearest(self, name: str) -> str | None:
        """Return the known name that is spelled most alike, for a suggestion."""
        return self._nearest(name[:_NEAREST_CHARS_MAX])

    def _look_near(self, name: str) -> str | None:
        near = get_close_matches(name, self._families, n=1)
        return near[0] if near else None

    def with_own(self, types: Iterable[EventType]) -> "Catalogue":
        """Return this catalogue with an operator's types added."""
        every = [*self._types.values(), *types]
        return Catalogue(every, kinds=self.kinds, families=self.families)


_SHIPPED: Final = read()
CATALOGUE: Final = Catalogue(_SHIPPED.types, kinds=_SHIPPED.kinds, families=_SHIPPED.families)
