#!/bin/sh
# test_other_pythons.sh PYTHON VERSION…
#
# Unit and integration tests on each VERSION, in an environment of its own; the one that PYTHON has is done already.
# A version that this machine does not have is named; with CI=true that is a failure.
set -eu

python=$1
shift
done_already=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
failed=0

for version in "$@"; do
    [ "$version" != "$done_already" ] || continue
    code=0
    scripts/set_up_venv.sh ".venv-$version" dev "$version" || code=$?
    if [ "$code" -eq 3 ] && [ "${CI:-}" != true ]; then
        echo "Not tried on Python $version: there is none on this machine."
        continue
    elif [ "$code" -ne 0 ]; then
        echo "Not tried on Python $version, and CI=true asks for it." >&2
        failed=1
        continue
    fi
    echo "Unit and integration tests on Python $version"
    ".venv-$version/bin/python" -m compileall -q maestro
    PATH="$PWD/.venv-$version/bin:$PATH" ".venv-$version/bin/python" -m pytest -n auto -q tests/unit tests/integration ||
        failed=1
done
exit "$failed"
