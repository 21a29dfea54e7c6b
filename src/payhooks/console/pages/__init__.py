"""The pages, a file per place in the console; each file named here is served."""

from types import ModuleType
from typing import Final

from payhooks.console.pages import account, factor, guidance, sign_in, start, welcome

MODULES: Final[tuple[ModuleType, ...]] = (start, sign_in, welcome, factor, account, guidance)
