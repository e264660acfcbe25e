#!/bin/sh
# install_claude.sh [--pinned]
#
# Gets the real `claude` for the tests: the one on PATH, else from npm into .tools/ below this checkout, never with
# more rights than the caller has. `--pinned` wants the version named here whatever is on PATH.
# What cannot be had is said in one line and is no failure: the tests name what they had to skip.
set -eu

version=2.1.197
here=$(cd "$(dirname "$0")/.." && pwd)
tools=$here/.tools

say() { echo "tools: claude: $*" >&2; }

answers() { "$1" --version </dev/null >/dev/null 2>&1; }

if answers "$tools/bin/claude"; then exit 0; fi
if [ "${1:-}" != --pinned ] && command -v claude >/dev/null 2>&1 && answers claude; then exit 0; fi
if ! command -v npm >/dev/null 2>&1; then
    say "not installed: npm was not found on PATH"
    exit 0
fi

mkdir -p "$tools/bin"
say "installing @anthropic-ai/claude-code $version into .tools"
# No install script is needed: the package for this platform holds the program itself.
if ! npm install --prefix "$tools" --ignore-scripts --no-audit --no-fund --no-save --loglevel=error \
    "@anthropic-ai/claude-code@$version" </dev/null >"$tools/npm.log" 2>&1; then
    say "not installed: npm said: $(grep -v '^$' "$tools/npm.log" | head -n 1)"
    exit 0
fi
for program in "$tools"/node_modules/@anthropic-ai/claude-code-*/claude; do
    if answers "$program"; then
        ln -sf "$program" "$tools/bin/claude"
        exit 0
    fi
done
say "not installed: the package has no program that runs on this machine"
