#!/bin/sh
# install_agents.sh [--pinned] [NAME…]
#
# Gets the real agents for the tests, all or those named: what is on PATH, else from npm into .tools/ below this
# checkout, never with more rights than the caller has. `--pinned` wants the versions named here whatever is on PATH.
# What cannot be had is said in one line and is no failure: the tests name what they had to skip.
set -eu

# the program, its package, the Node that it needs (0: none), and patterns below node_modules: the first that runs is
# taken. No install script is needed: packages for this platform hold the programs themselves.
agents='
claude    @anthropic-ai/claude-code@2.1.197  0   @anthropic-ai/claude-code-*/claude
codex     @openai/codex@0.169.0              16  .bin/codex
opencode  opencode-ai@1.18.33                0   opencode-*64/bin/opencode opencode-*/bin/opencode
gemini    @google/gemini-cli@0.61.0          20  .bin/gemini
droid     droid@0.215.0                      0   @factory/cli-*64/bin/droid @factory/cli-*/bin/droid
'
here=$(cd "$(dirname "$0")/.." && pwd)
tools=$here/.tools
pinned=''
if [ "${1:-}" = --pinned ]; then
    pinned=yes
    shift
fi

# Two at once in one checkout would meet: the second waits, and finds everything there.
mkdir -p "$tools"
if command -v flock >/dev/null 2>&1; then
    exec 9>"$tools/.agents.lock"
    flock 9
fi

say() { echo "tools: $name: $*" >&2; }

# Some of them write below HOME before they say their version.
answers() { HOME=$tools/home "$1" --version </dev/null >/dev/null 2>&1; }

is_here() {
    case $(readlink "$tools/bin/$name" 2>/dev/null) in
    "$kept"/*) if [ -x "$tools/bin/$name" ]; then return 0; fi ;; # it was linked because it answered
    esac
    [ -z "$pinned" ] && command -v "$name" >/dev/null 2>&1 && answers "$name"
}

node_is() { node --version 2>/dev/null | sed -n 's/^v\([0-9]*\).*/\1/p' | grep . || echo 0; }

node_said() { if command -v node >/dev/null 2>&1; then echo "this is $(node --version)"; else echo "there is none"; fi; }

npm_install() {
    # a registry that cannot be reached is tried for many minutes by npm itself
    limit=
    if command -v timeout >/dev/null 2>&1; then limit="timeout 420"; fi
    $limit npm install --prefix "$kept" --fetch-retries=2 --ignore-scripts --no-audit --no-fund --no-save \
        --loglevel=error "$package" </dev/null >"$kept/npm.log" 2>&1
}

install() {
    mkdir -p "$tools/bin" "$kept"
    say "installing $package into .tools"
    if ! npm_install && ! npm_install; then # once more, since networks fail now and then
        say "not installed: npm said: $(grep -v '^$' "$kept/npm.log" | head -n 1)"
        return
    fi
    for program in "$kept"/node_modules/$programs; do # a pattern
        if answers "$program"; then
            ln -sf "$program" "$tools/bin/$name"
            return
        fi
    done
    say "not installed: the package has no program that runs on this machine"
}

get() {
    if ! command -v npm >/dev/null 2>&1; then
        say "not installed: npm was not found on PATH"
    elif [ "$node" -gt 0 ] && [ "$(node_is)" -lt "$node" ]; then
        say "not installed: it needs Node $node or newer, and $(node_said)"
    else
        install
    fi
}

is_wanted() { # is_wanted NAME [NAMES…]
    [ $# -gt 1 ] || return 0
    each=$1
    shift
    case " $* " in *" $each "*) ;; *) return 1 ;; esac
}

lacking() { # the lines of those that are not here; each takes a while to answer, so all are asked at once
    while read -r name package node programs; do
        kept=$tools/agents/$name-${package##*@}
        if is_wanted "$name" "$@"; then
            { is_here || echo "$name $package $node $programs"; } &
        fi
    done
    wait
}

mkdir -p "$tools/home"
missing=$(echo "$agents" | grep . | lacking "$@")
if [ -z "$missing" ]; then exit 0; fi
while read -r name package node programs; do
    kept=$tools/agents/$name-${package##*@}
    get
done <<END
$missing
END
