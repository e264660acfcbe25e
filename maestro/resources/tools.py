"""Where programs are that a sandbox would hide: below HOME, in an activated environment of the checkout."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

_BELOW_HOME = (
    ".asdf", ".bun/bin", ".cargo/bin", ".deno/bin", ".local/bin", ".local/lib", ".local/share/claude",
    ".local/share/fnm", ".local/share/mise/installs", ".local/share/mise/shims", ".local/share/pipx",
    ".local/share/pnpm", ".local/share/uv/python", ".local/share/uv/tools", ".nix-profile", ".npm-global", ".nvm",
    ".pyenv", ".rbenv", ".rustup", ".sdkman", ".volta", "go/bin",
)  # fmt: skip
"""What installers put there, and no logins: those are beside it."""

_OF_THE_SYSTEM = (
    "/etc/resolv.conf",  # often a link into /run
    "/run/current-system",  # NixOS
    "/run/wrappers",
    "/run/opengl-driver",
)
_CERTIFICATES = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
)


def system_folders() -> tuple[Path, ...]:
    """What every program expects to find, and where it may stand in a hidden folder."""
    return tuple(map(Path, _OF_THE_SYSTEM))


def certificate_files(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Those that the variables of the allow-list name."""
    return tuple(Path(environ[name]) for name in _CERTIFICATES if environ.get(name))


def tool_folders(environ: Mapping[str, str], hidden: Collection[Path]) -> tuple[Path, ...]:
    """Folders of programs and what they are made of: those on PATH, and those of the usual installers below HOME.

    Of `hidden` none is shown as a whole, for what is hidden there.
    """
    home = Path(environ.get("HOME", "/"))
    return (*(home / name for name in _BELOW_HOME), *_on_path(environ.get("PATH", ""), hidden))


def _on_path(path: str, hidden: Collection[Path]) -> Iterator[Path]:
    kept = {one.resolve() for one in hidden}
    for entry in filter(None, path.split(":")):
        folder = Path(entry).resolve()
        if not folder.is_absolute() or any(one.is_relative_to(folder) for one in kept):
            continue
        yield folder
        if _is_installation(folder.parent) and not any(one.is_relative_to(folder.parent) for one in kept):
            yield folder.parent


def _is_installation(folder: Path) -> bool:
    """Whether its `bin` is part of something whole: a virtual environment, a Node or a Python of one's own."""
    return any(
        (folder / name).exists() for name in ("pyvenv.cfg", "lib/node_modules", "libexec/pyenv", "libexec/rbenv")
    )
