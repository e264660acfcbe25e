#!/bin/sh
# install_compose.sh
#
# Builds the real `docker compose` for the tests, .tools/bin/docker-compose-v2, from the modules that
# tests/real/compose pins: four minutes the first time, then Go has them in its cache. Never with more rights than the
# caller has. What cannot be built is said in one line and is no failure: the tests name what they had to skip.
set -eu

version=2.40.3
needs=1.24.9
here=$(cd "$(dirname "$0")/.." && pwd)
tools=$here/.tools
name=docker-compose-v2

# Two at once in one checkout would meet: the second waits, and finds everything there.
mkdir -p "$tools"
if command -v flock >/dev/null 2>&1; then
    exec 9>"$tools/.compose.lock"
    flock 9
fi

say() { echo "tools: $name: $*" >&2; }

is_at_least() { printf '%s\n%s\n' "$2" "$1" | sort -CV; }

answers() {
    case $("$1" version --short </dev/null 2>/dev/null) in "$version" | "v$version") return 0 ;; *) return 1 ;; esac
}

go_version() { # outside of any module, and without fetching another Go to answer
    (cd / && GOTOOLCHAIN=local "$1" version 2>/dev/null) | sed -n 's/^go version go\([0-9][0-9.]*\).*/\1/p'
}

find_go() { # sets `go` to the first that is new enough
    for go in go "$tools/bin/go"; do
        go_is=$(go_version "$go")
        if [ -n "$go_is" ] && is_at_least "$go_is" "$needs"; then return; fi
    done
    go=''
}

# Settings of the caller's own work would lead this build elsewhere; where modules come from stays the caller's choice.
settle_go() {
    unset GOOS GOARCH GOARM GOAMD64 GOEXPERIMENT GO111MODULE 2>/dev/null || true
    export GOFLAGS='-mod=readonly -buildvcs=false' GOWORK=off GOTOOLCHAIN=local CGO_ENABLED=0
    mkdir -p "$tools/home"
    if ! { [ -n "${HOME:-}" ] && mkdir -p "$HOME/.cache" 2>/dev/null && [ -w "$HOME" ] && [ -w "$HOME/.cache" ]; }; then
        export GOCACHE="${GOCACHE:-$tools/home/go-build}" GOMODCACHE="${GOMODCACHE:-$tools/home/go-mod}"
    fi
}

compile() {
    settle_go
    log=$tools/$name.log
    made=$tools/bin/.$name.$$
    trap 'rm -f "$made"' EXIT
    trap 'exit 130' INT TERM
    mkdir -p "$tools/bin"
    say "building with Go $go_is; minutes when Go has none of it in its cache"
    if ! (cd "$here/tests/real/compose/$version" &&
        "$go" build -trimpath -ldflags "-s -w -X github.com/docker/compose/v2/internal.Version=v$version" \
            -o "$made" github.com/docker/compose/v2/cmd) </dev/null >"$log" 2>&1; then
        say "not built with Go $go_is: $(grep -v '^go: downloading ' "$log" | head -n 1)"
    elif ! answers "$made"; then
        say "not installed: what was built does not answer as version $version"
    else
        mv "$made" "$tools/bin/$name"
    fi
}

if answers "$tools/bin/$name"; then exit 0; fi
find_go
if [ -n "$go" ]; then compile; else say "not built: Go $needs or newer was not found on PATH"; fi
