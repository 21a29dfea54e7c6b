"""The style sheet, the script and the icon: ours, hashed into their URLs, kept for a year."""

import hashlib
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from payhooks.errors import NotFoundError

_FOLDER: Final = Path(__file__).parent / "static"
_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FOREVER: Final = {"cache-control": "public, max-age=31536000, immutable"}


class Assets:
    """Every file of static/, read once."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[bytes, str]] = {}
        self._names: dict[str, str] = {}
        for path in sorted(_FOLDER.iterdir()):
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:12]
            name = f"{path.stem}.{digest}{path.suffix}"
            self._files[name] = content, f"{_TYPES[path.suffix]}; charset=utf-8"
            self._names[path.name] = name

    def url(self, name: str) -> str:
        """Return where a file is; another version of it is somewhere else."""
        return f"/console/static/{self._names[name]}"

    async def serve(self, request: Request) -> Response:
        """Answer one file.

        Raises:
            NotFoundError: There is none of that name and version.

        """
        found = self._files.get(request.path_params["name"])
        if found is None:
            raise NotFoundError("There is no such file.")
        content, media_type = found
        return Response(content, media_type=media_type, headers=_FOREVER)
