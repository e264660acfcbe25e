#!/usr/bin/env bash
# check_bare_debian.sh [DIR]
#
# `make demo` and `make test` of the last commit, in a Debian root that has git, make and Python and nothing else.
# DIR keeps the root for the next time; without it a temporary one is made and removed. Needs root and debootstrap;
# takes some minutes. The mirror is the one that apt uses on this machine. Processes and mounts of the root live in
# namespaces of their own and are gone when this ends.
set -euo pipefail

suite=bookworm
packages=python3,python3-venv,git,make,ca-certificates
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

fail() { echo "check_bare_debian: $*" >&2; exit 1; }

make_root() {
    local mirror
    mirror=$(apt-get indextargets --format '$(REPO_URI)' "CODENAME: $suite" | head -n 1)
    echo "Making a bare $suite in $root"
    debootstrap --variant=minbase --include="$packages" "$suite" "$root" ${mirror:+"$mirror"} >"$root.log" 2>&1 ||
        fail "debootstrap failed: $(tail -n 1 "$root.log")"
    rm -f "$root.log"
}

copy_in() { # the same path inside, where it is there outside
    [ -e "$1" ] || return 0
    mkdir -p "$root$(dirname "$1")"
    cp -rL "$1" "$root$(dirname "$1")/"
}

# Package registries are reached the way this machine reaches them: its proxies, certificates and pip settings.
pass_network() {
    local name
    for name in $(compgen -e | grep -E '^(PIP_|SSL_CERT_)|_CA_BUNDLE$|^(https?|no)_proxy$|^(HTTPS?|NO)_PROXY$'); do
        passed+=("$name=${!name}")
        case $name in
        PIP_CERT | SSL_CERT_FILE | *_CA_BUNDLE) copy_in "${!name}" ;;
        PIP_FIND_LINKS | PIP_CONFIG_FILE) for path in ${!name}; do copy_in "$path"; done ;;
        esac
    done
    copy_in /etc/pip.conf
    if [ -e "$HOME/.config/pip/pip.conf" ]; then
        mkdir -p "$root/root/.config/pip" && cp "$HOME/.config/pip/pip.conf" "$root/root/.config/pip/"
    fi
    cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
}

inside() { # runs as the first process of its own namespaces
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/tmp"
    chroot "$root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
        LANG=C.UTF-8 "${passed[@]}" sh -ec 'cd /root/maestro && python3 --version && git --version && "$@"' sh "$@"
}

timed() {
    local start=$SECONDS
    printf '\n=== %s\n' "$*"
    unshare --mount --propagation private --pid --fork --kill-child --mount-proc="$root/proc" \
        "${BASH_SOURCE[0]}" --inside "$root" "${#passed[@]}" "${passed[@]}" "$@" </dev/null
    echo "=== $* took $((SECONDS - start)) s"
}

if [ "${1:-}" = --inside ]; then
    root=$2 count=$3
    shift 3
    passed=("${@:1:count}")
    shift "$count"
    inside "$@"
    exit
fi

[ "$(id -u)" -eq 0 ] || fail "only root can make a Debian root"
command -v debootstrap >/dev/null || fail "debootstrap was not found (apt install debootstrap)"
if [ $# -gt 0 ]; then
    root=$(realpath "$1")
else
    root=$(mktemp -d)/root
    trap 'rm -rf "$(dirname "$root")"' EXIT
fi
passed=()
[ -e "$root/etc/debian_version" ] || make_root
pass_network
rm -rf "$root/root/maestro"
git clone --quiet --no-hardlinks "$here" "$root/root/maestro"
timed make demo
timed make test
