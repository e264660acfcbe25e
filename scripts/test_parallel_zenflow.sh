#!/usr/bin/env bash
# Runs pytest for one task, against the services on that task's own ports. `--help` says how.
set -euo pipefail

usage() {
    cat <<'END'
usage: test_parallel_zenflow.sh [--help] [ARGUMENTS OF PYTEST…]

Runs pytest for one task, in parallel, with the ports and names that are the task's own: those of its .env.task.
Arguments go to pytest as they are, and its exit code is the one of this script.

The task is the first of these that is there:
  ZENFLOW_TASK_ID    the variable; in an attempt of maestro it is set, and so are the ports: they hold, no file is read
  .env.task          in the top folder of the repository, or beside it
  the folder         task-ID around the repository, or the repository's own where .zenflow/tasks has it
  the branch         maestro/RUN/ID, or one that .zenflow/tasks has
Without any, the tests run with the environment as it is, and this is said.

Its file is .env.task beside the repository (a run of maestro puts one there), .zenflow/tasks/ID/.env.task, or
.env.task in the repository; where there is none, `maestro workspace env ID` works the values out.

Variables:
  ZENFLOW_TASK_ID    the task
  ZENFLOW_WORKERS    what pytest is given with -n: a number, or auto (the default); 0: no -n, which needs pytest-xdist
  PYTEST             the pytest to run; else the one on PATH, else .venv/bin/pytest, else `python3 -m pytest`
  NO_COLOR           no colours, which only a terminal gets anyway

Exit codes: those of pytest; 2 where the task's file cannot be found or read; 127 where there is no pytest.
END
}

strong='' faint='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
    strong=$'\033[1m' faint=$'\033[2m' plain=$'\033[0m'
fi

fail() { # fail MESSAGE HINT [CODE]
    printf 'test_parallel_zenflow.sh: %s\n  hint: %s\n' "$1" "$2" >&2
    exit "${3:-2}"
}

top_folder() { # of the repository that is worked in; without one, of that which holds this script
    git rev-parse --show-toplevel 2>/dev/null || (cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
}

value_in() { # value_in FILE VARIABLE
    sed -n "s/^$2=//p" "$1" | tail -n 1
}

is_known() { [ -n "$1" ] && [ -f "$root/.zenflow/tasks/$1/.env.task" ]; }

find_task() { # prints the task's id; nothing where there is none
    local file folder branch
    for file in "$root/.env.task" "$root/../.env.task"; do
        if [ -f "$file" ]; then
            value_in "$file" ZENFLOW_TASK_ID
            return
        fi
    done
    folder=$(basename "$(dirname "$root")")
    branch=$(git -C "$root" symbolic-ref --quiet --short HEAD 2>/dev/null || true)
    if [[ $folder == task-?* ]]; then
        echo "${folder#task-}"
    elif is_known "$(basename "$root")"; then
        basename "$root"
    elif [[ $branch == maestro/*/?* ]]; then
        echo "${branch##*/}"
    elif is_known "$branch"; then
        echo "$branch"
    fi
}

find_file() { # sets `file` to the task's; empty where there is none
    local each hash
    file=''
    hash=$(hash_of "$task" 2>/dev/null || true) # an id that is no name of a folder has one made of it
    for each in "$root/../.env.task" "$root/.zenflow/tasks/$task/.env.task" \
        "$root/.zenflow/tasks/"*"__$hash/.env.task" "$root/.env.task"; do
        # those outside of a task's own folder may be another task's
        if [ -f "$each" ] && { [[ $each == */tasks/* ]] || [ "$(value_in "$each" ZENFLOW_TASK_ID)" = "$task" ]; }; then
            file=$each
            return
        fi
    done
}

hash_of() { # what a name that was made of an id ends in
    printf %s "$1" | sha256sum | cut -c 1-16
}

find_maestro() {
    command -v maestro || { [ -x "$root/.venv/bin/maestro" ] && echo "$root/.venv/bin/maestro"; }
}

# What a run has leased for this attempt may differ from any file: ids collide, and the ports were moved. An id that is
# no file name has one made of it, which ends in its hash.
is_leased() {
    [ -n "${MAESTRO_ATTEMPT:-}" ] && [ -n "${POSTGRES_PORT:-}" ] || return 1
    case $task in
    "${MAESTRO_TASK_ID:-}" | *"__$(hash_of "${MAESTRO_TASK_ID:-}")") ;;
    *) return 1 ;;
    esac
}

load() { # the task's variables into the environment; sets `source` to where they are from
    local maestro text
    find_file
    if is_leased; then
        source='leased by the run'
    elif [ -n "$file" ]; then
        source=$file
        set -a
        # shellcheck disable=SC1090 # each task has its own
        . "$file" || fail "$file cannot be read" "write it again: maestro workspace env $task --write --force"
        set +a
    elif maestro=$(find_maestro); then
        source='worked out, since there is no file'
        text=$(cd "$root" && "$maestro" workspace env -- "$task") ||
            fail "there is no .env.task of the task $task, and maestro could not work it out" "see what it said above"
        set -a
        eval "$text"
        set +a
    else
        fail "there is no .env.task of the task $task below $root" \
            "copy .zenflow/tasks/template, or install maestro: maestro workspace env $task --write"
    fi
}

show() {
    local name
    printf '%sTask %s%s %s(%s)%s\n' "$strong" "$task" "$plain" "$faint" "$source" "$plain"
    {
        printf '%s\n' POSTGRES_PORT REDIS_PORT BACKEND_PORT FRONTEND_PORT
        if [ -n "$file" ] && [ "$source" = "$file" ]; then sed -n 's/^\([A-Z0-9_]*_PORT\)=.*/\1/p' "$file"; fi
        printf '%s\n' POSTGRES_DB COMPOSE_PROJECT_NAME
    } | awk '!seen[$0]++' | while read -r name; do
        if [ -n "${!name:-}" ]; then printf '  %-20s %s\n' "$name" "${!name}"; fi
    done
}

find_pytest() { # sets `pytest`
    if [ -n "${PYTEST:-}" ]; then
        pytest=("$PYTEST")
    elif command -v pytest >/dev/null; then
        pytest=(pytest)
    elif [ -x "$root/.venv/bin/pytest" ]; then
        pytest=("$root/.venv/bin/pytest")
    elif python3 -c 'import pytest' 2>/dev/null; then
        pytest=(python3 -m pytest)
    else
        fail "pytest was not found" "activate the environment that has it, or name it: PYTEST=…/bin/pytest" 127
    fi
}

wants_workers() { # unless told otherwise, by variable or by an argument of pytest
    local each
    [ "${ZENFLOW_WORKERS:-auto}" != 0 ] || return 1
    for each in "$@"; do
        case $each in -n* | --numprocesses* | no:xdist | -pno:xdist) return 1 ;; esac
    done
}

if [ "${1:-}" = --help ] || [ "${1:-}" = -h ]; then
    usage
    exit 0
fi
if [ "${1:-}" = -- ]; then shift; fi

root=$(top_folder)
task=${ZENFLOW_TASK_ID:-$(find_task)}
if [ -z "$task" ]; then
    echo "No task: ZENFLOW_TASK_ID is not set, and nothing here names one. The tests run with the usual ports."
else
    export ZENFLOW_TASK_ID=$task
    load
    show
fi
find_pytest
if wants_workers "$@"; then set -- -n "${ZENFLOW_WORKERS:-auto}" "$@"; fi
exec "${pytest[@]}" "$@"
