# Sourced by the other scripts: what makes a fresh clone able to run.
#
# bootstrap LOCK    ./.venv holds exactly what LOCK names, and this source tree
# on_debian_as_root true where a missing package may simply be installed
# need_postgres     PostgreSQL's programs are there
# need_curl         curl is there: the command that a newcomer is given to copy
# want_fault_tools  what makes faults: hosts of our own, wires to cut, calls that fail
# want_browser      what merchants see the console with
# want_languages    what merchants verify with: PHP, Node, openssl
# want_wrk          wrk is there, where it may simply be installed
#
# Bash, because this runs before any Python of ours can: everything that may assume the
# virtual environment is Python.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PYTHON=.venv/bin/python
# What many systems set for containers: each start of a process would compile all of us anew.
unset PYTHONDONTWRITEBYTECODE

say() { printf '%s\n' "$*" >&2; }

die() {
  say "$@"
  exit 1
}

on_debian_as_root() { [[ $EUID -eq 0 ]] && command -v apt-get >/dev/null; }

# apt_install PACKAGE…: the packages are there, or we stop and say what is missing.
apt_install() {
  if ! on_debian_as_root; then
    die "missing: $*. Install it (Debian: apt-get install $*) and run this again."
  fi
  say "installing $* (apt-get)"
  if ! DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" \
    >/dev/null 2>&1; then
    # A fresh system has no package lists yet, an old one stale ones: only then fetch them.
    apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
  fi
}

need_curl() { command -v curl >/dev/null || apt_install curl; }

need_postgres() {
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null && return
  command -v initdb >/dev/null || [[ -n ${PAYHOOKS_TEST_POSTGRES_URL:-} ]] && return
  # In two steps, so that Debian does not also start a cluster that nobody asked for.
  apt_install postgresql-common
  sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' \
    /etc/postgresql-common/createcluster.conf
  apt_install postgresql-15
}

# Tests that miss one of these say so and are left out; scripts/prove counts that as failed.
want_fault_tools() { want_programs ip=iproute2 nft=nftables strace=strace; }

# What merchants verify with: dialects are compared with it, and the snippets of the docs are run.
want_languages() { want_programs php=php-cli node=nodejs openssl=openssl; }

# A real browser for the console; with it comes one family of fonts.
want_browser() { want_programs chromium=chromium; }

# want_programs PROGRAM=PACKAGE…: they are there, where they may simply be installed.
want_programs() {
  local pair missing=()
  for pair in "$@"; do
    command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
  done
  [[ ${#missing[@]} -eq 0 ]] || ! on_debian_as_root || apt_install "${missing[@]}" || true
}

# A load generator in C leaves the machine to what is measured; without it a slower one of our
# own is used, and the figures say so.
want_wrk() { want_programs wrk=wrk; }

# 3.11 first: it is what the locks were made with and what Debian 12 has.
find_python() {
  local candidate
  for candidate in python3.11 python3.12 python3.13 python3; do
    if command -v "$candidate" >/dev/null &&
      "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
      command -v "$candidate"
      return
    fi
  done
  return 1
}

make_virtual_environment() {
  local python version
  python=$(find_python) || {
    apt_install python3 python3-venv
    python=$(find_python) || die "Payhooks needs Python 3.11 or newer."
  }
  # Debian keeps the half of venv that installs pip in a package of its own.
  if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    apt_install "python$version-venv"
  fi
  say "making .venv with $python"
  # --clear: what an interrupted first run left behind is not to be trusted.
  "$python" -m venv --clear .venv
}

# A .pth file and a small command instead of `pip install -e .`: that would need the build
# backend in the environment, or a download that no lock pins, and gains nothing else.
link_source_tree() {
  local packages
  packages=$($PYTHON -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  write_if_new "$packages/payhooks.pth" "$PWD/src"
  # The second line is shell for the kernel and a string for Python, as in pip's own
  # commands: a path with a space in it cannot stand in the first line.
  write_if_new .venv/bin/payhooks "#!/bin/sh
'''exec' \"$PWD/.venv/bin/python\" \"\$0\" \"\$@\"
' '''
import sys
from payhooks.cli import main
sys.exit(main())"
  chmod +x .venv/bin/payhooks
}

# Not touched when it is right: somebody may be running it.
write_if_new() { [[ -f $1 && $(<"$1") == "$2" ]] || printf '%s\n' "$2" >"$1"; }

bootstrap() {
  local lock=$1 stamp=.venv/installed-$1 hash
  command -v git >/dev/null || apt_install git
  # A virtual environment knows its own absolute path: one that was moved is made again.
  if ! { [[ -x $PYTHON ]] && $PYTHON -m pip --version >/dev/null 2>&1 &&
    [[ $($PYTHON -c 'import sys; print(sys.prefix)') == "$PWD/.venv" ]]; }; then
    make_virtual_environment
  fi
  hash=$(sha256sum "$lock" | cut -d ' ' -f 1)
  if [[ ! -f $stamp || $(<"$stamp") != "$hash" ]]; then
    say "installing what $lock names (the first time takes a moment)"
    rm -f "$stamp"
    $PYTHON -m pip install --quiet --disable-pip-version-check --no-input --require-hashes \
      --requirement "$lock"
    printf '%s' "$hash" >"$stamp"
  fi
  link_source_tree
}
