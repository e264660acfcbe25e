#!/bin/sh
# set_up_venv.sh DIR EXTRA [VERSION]
#
# Makes DIR a virtual environment that holds this checkout of maestro and its dependencies, or heals a broken one.
# EXTRA is `plain` (what users get) or `dev` (the test and lint tools as well); VERSION, such as 3.13, asks for that
# Python, otherwise the newest that works is taken. Does nothing, at once, where all is in place already.
# Exit 1: it could not be made; 3: there is no Python VERSION on this machine.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
dir=$1 extra=$2 version=${3:-}
case $dir in /*) ;; *) dir=$here/$dir ;; esac
stamp=$dir/.holds-maestro

# settings of the caller's shell that would lead Python or pip somewhere else
unset PYTHONHOME PYTHONPATH PIP_TARGET PIP_PREFIX PIP_USER

say() { echo "set up: $*" >&2; }

python_version() { "$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null; }

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

can_make_venvs() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

candidates() { # one interpreter per line, the preferred one first
    if [ -n "$version" ]; then
        echo "python$version"
        if command -v pyenv >/dev/null 2>&1; then
            prefix=$(pyenv prefix "$version" 2>/dev/null) && echo "$prefix/bin/python"
        fi
        ls -d "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python 2>/dev/null || true
        echo python3
    else
        printf 'python3.13\npython3.12\npython3.11\npython3\n'
    fi
}

find_python() { # sets `python`; otherwise `almost` says what was found and why it will not do
    python='' almost=''
    for each in $(candidates); do
        command -v "$each" >/dev/null 2>&1 || continue
        found=$(python_version "$each") || continue # a shim that points nowhere
        case $found in ${version:+"$version".}*) ;; *) continue ;; esac
        if ! is_new_enough "$each"; then
            almost=${almost:-"$each is Python $found, and maestro needs 3.11 or newer"}
        elif ! can_make_venvs "$each"; then
            almost="$each ($found) cannot make virtual environments: its ensurepip module is missing"
            almost="$almost (on Debian and Ubuntu: apt install python3-venv)"
        else
            python=$each
            return
        fi
    done
}

fingerprint() { echo "$here $1 $(cksum <"$here/pyproject.toml")"; }

is_ready() {
    [ -f "$stamp" ] && [ -x "$dir/bin/python" ] || return 1
    held=$(cat "$stamp")
    [ "$held" = "$(fingerprint dev)" ] || { [ "$extra" = plain ] && [ "$held" = "$(fingerprint plain)" ]; } || return 1
    # a venv whose Python was upgraded away has the files, and nothing runs
    "$dir/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

is_usable() { # a venv that pip can install into
    [ -x "$dir/bin/python" ] && is_new_enough "$dir/bin/python" && "$dir/bin/python" -m pip --version >/dev/null 2>&1
}

make_venv() {
    if [ -d "$dir" ] && [ ! -f "$dir/pyvenv.cfg" ] && [ -n "$(ls -A "$dir")" ]; then
        say "$dir is there and is not a virtual environment; move it away first."
        exit 1
    fi
    find_python
    if [ -z "$python" ] && [ -n "$version" ] && [ -z "$almost" ]; then
        say "there is no Python $version here (looked for python$version, and in pyenv)."
        exit 3
    elif [ -z "$python" ]; then
        say "${almost:-no Python 3.11 or newer was found on PATH}."
        exit 1
    fi
    say "making $dir with $python ($(python_version "$python"))"
    "$python" -m venv --clear "$dir"
}

install() { # once more where the network failed the first time
    target=$here
    [ "$extra" = plain ] || target="$here[$extra]"
    say "installing maestro ($extra) into $dir"
    "$dir/bin/python" -m pip install --quiet --disable-pip-version-check -e "$target" ||
        "$dir/bin/python" -m pip install --quiet --disable-pip-version-check -e "$target" || {
        say "the packages could not be installed; pip says why above."
        exit 1
    }
    fingerprint "$extra" >"$stamp"
}

is_ready && exit 0
rm -f "$stamp" 2>/dev/null || true
is_usable || make_venv
install
