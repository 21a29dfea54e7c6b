"""A Debian 12 with nothing but git and Python 3.11, and a fresh clone of us in it.

What a newcomer sees cannot be seen on a machine where everything is installed already.

    python -m tests.support.empty_debian -- scripts/test       needs root and debootstrap

The clone has what is committed. Network and loopback are the machine's own.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.source_tree import ROOT

CLONE: Final = Path("/srv/payhooks")
_RELEASE: Final = "bookworm"
_PACKAGES: Final = "ca-certificates,git,python3.11"
# How this machine reaches the world: mirrors, names and certificates may be its own.
_CERTIFICATES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
_COPIED: Final = (
    Path("/etc/resolv.conf"),
    Path("/etc/hosts"),
    Path("/etc/apt/apt.conf.d"),
    Path("/etc/apt/sources.list.d/debian.sources"),
    _CERTIFICATES,
)
_ENVIRONMENT: Final = {
    "HOME": "/tmp",  # noqa: S108 - of a root that nobody else has
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "PIP_CERT": str(_CERTIFICATES),
}
# In a mount and process namespace of its own: when the command ends, by whatever way, what
# it started and what was mounted for it are gone, and removing the root removes only that.
_ENTER: Final = """
set -e
root=$1 folder=$2
shift 2
mount --rbind /dev "$root/dev"
exec chroot "$root" /bin/bash -c 'cd "$0" && exec "$@"' "$folder" "$@"
"""


@contextmanager
def empty_debian() -> Iterator[Path]:
    """Yield the root of a new system with a clone at CLONE; remove it afterwards.

    Takes about a minute, most of it fetching packages.
    """
    # Not in a folder that may be mounted without devices or programs.
    root = Path(tempfile.mkdtemp(prefix="payhooks-debian-", dir="/var/tmp"))
    # A root that only root may enter is no system: PostgreSQL runs as somebody else.
    root.chmod(0o755)
    try:
        _run("debootstrap", "--variant=minbase", f"--include={_PACKAGES}", _RELEASE, str(root))
        (root / "etc/apt/sources.list").unlink(missing_ok=True)
        for path in _COPIED:
            if path.exists():
                _run("cp", "--recursive", "--dereference", str(path), f"{root}{path.parent}/")
        _run("git", "clone", "--quiet", "--no-hardlinks", str(ROOT), f"{root}{CLONE}")
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def run_in(root: Path, *command: str) -> int:
    """Return the exit code of *command*, run in the clone as that system's root."""
    return subprocess.run(
        [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
            f"--mount-proc={root}/proc",
            *("/bin/bash", "-c", _ENTER, "enter", str(root), str(CLONE), *command),
        ],
        check=False,
        env=_ENVIRONMENT,
    ).returncode


def _run(*command: str) -> None:
    done = subprocess.run(
        command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode != 0:
        raise SystemExit(f"{command[0]} failed:\n{done.stdout}")


def main(arguments: Sequence[str]) -> int:
    """Return the exit code of the command."""
    command = list(arguments[1:] if arguments[:1] == ["--"] else arguments)
    if not command or os.geteuid() != 0 or shutil.which("debootstrap") is None:
        print(__doc__, file=sys.stderr)
        return 2
    with empty_debian() as root:
        return run_in(root, *command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
