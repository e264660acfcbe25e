#!/bin/sh
# install_bd.sh [--pinned]
#
# Builds the real `bd` of both eras for the tests, .tools/bin/bd-0.47.1 and .tools/bin/bd-1.0.5, from the modules that
# tests/real/bd pins: a minute and four minutes the first time, then Go has them in its cache. Never with more rights
# than the caller has. `--pinned` builds them even where programs of these names are on PATH.
# What cannot be built is said in one line and is no failure: the tests name what they had to skip.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
tools=$here/.tools
pinned=${1:-}

# Two at once in one checkout would meet: the second waits, and finds everything there.
mkdir -p "$tools"
if command -v flock >/dev/null 2>&1; then
    exec 9>"$tools/.bd.lock"
    flock 9
fi

say() { echo "tools: $*" >&2; }

is_at_least() { printf '%s\n%s\n' "$2" "$1" | sort -CV; }

has() { # whether there is nothing to build: a program that says this version
    answers "$tools/bin/$1" "$2" && return
    [ "$pinned" != --pinned ] && command -v "$1" >/dev/null 2>&1 && answers "$1" "$2"
}

answers() { # its words may hold more, such as the commit
    case $(HOME=$tools/home "$1" version </dev/null 2>/dev/null) in "bd version $2 "*) return 0 ;; *) return 1 ;; esac
}

go_version() { # outside of any module, and without fetching another Go to answer
    (cd / && GOTOOLCHAIN=local "$1" version 2>/dev/null) | sed -n 's/^go version go\([0-9][0-9.]*\).*/\1/p'
}

find_go() { # sets `go` to the first that is new enough, else to the first that runs
    go='' go_is=''
    for each in go "$tools/bin/go"; do
        found=$(go_version "$each")
        [ -n "$found" ] || continue
        if [ -z "$go" ] || is_at_least "$found" "$1"; then go=$each go_is=$found; fi
        is_at_least "$go_is" "$1" && return
    done
}

# Settings of the caller's own work would lead this build elsewhere; where modules come from stays the caller's choice.
# A Go that is new enough builds by itself; an older one (1.21 or newer) may fetch what it needs, if its owner lets it.
settle_go() {
    unset GOOS GOARCH GOARM GOAMD64 GOEXPERIMENT GO111MODULE CGO_CFLAGS CGO_LDFLAGS 2>/dev/null || true
    export GOFLAGS='-mod=readonly -buildvcs=false' GOWORK=off
    if is_at_least "$go_is" "$1"; then export GOTOOLCHAIN=local; fi
    mkdir -p "$tools/home"
    if ! { [ -n "${HOME:-}" ] && mkdir -p "$HOME/.cache" 2>/dev/null && [ -w "$HOME" ] && [ -w "$HOME/.cache" ]; }; then
        export GOCACHE="${GOCACHE:-$tools/home/go-build}" GOMODCACHE="${GOMODCACHE:-$tools/home/go-mod}"
    fi
}

build() { # build VERSION GO CGO TAGS
    name=bd-$1
    if has "$name" "$1"; then return; fi
    find_go "$2"
    if [ -z "$go" ]; then
        say "$name: not built: Go $2 or newer was not found on PATH"
    elif ! is_at_least "$go_is" 1.21; then
        say "$name: not built: Go is $go_is, and $2 or newer is needed"
    elif [ "$3" -eq 1 ] && ! command -v "${CC:-gcc}" >/dev/null 2>&1; then
        say "$name: not built: a C compiler is needed, and ${CC:-gcc} was not found on PATH"
    else
        compile "$@"
    fi
}

compile() (
    settle_go "$2"
    log=$tools/$name.log
    made=$tools/bin/.$name.$$
    trap 'rm -f "$made"' EXIT
    trap 'exit 130' INT TERM
    mkdir -p "$tools/bin"
    say "$name: building with Go $go_is; minutes when Go has none of it in its cache"
    if ! (cd "$here/tests/real/bd/$1" &&
        CGO_ENABLED=$3 "$go" build -tags="$4" -o "$made" github.com/steveyegge/beads/cmd/bd) </dev/null >"$log" 2>&1; then
        say "$name: not built with Go $go_is ($2 or newer is needed): $(grep -v '^go: downloading ' "$log" | head -n 1)"
    elif ! answers "$made" "$1"; then
        say "$name: not installed: what was built does not answer as version $1"
    else
        mv "$made" "$tools/bin/$name"
    fi
)

build 0.47.1 1.24.0 0 ''
build 1.0.5 1.26.2 1 gms_pure_go
