"""Where the database is, settled before `bd` is asked: it would look elsewhere, or build one, without a word.

A linked worktree has no database of its own: the main checkout's is meant. A clone with a tracked `.beads` has issues
but no database; 0.47 would build a private one from them, and two people's truths would drift apart.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from maestro.errors import BadInput, GitError
from maestro.trackers.beads.versions import SUPPORTED, Era, Version
from maestro.vcs.git import Git

FOLDER = ".beads"
JSONL = ("issues.jsonl", "beads.jsonl")
_MARKERS = (b"<<<<<<< ", b"=======\n", b">>>>>>> ")


def main_checkout(repository: Path, environ: Mapping[str, str]) -> Path:
    """The checkout that linked worktrees belong to; the folder itself where git has no other word for it."""
    try:
        common = Git(repository, env=environ).common_dir()
    except GitError:
        return repository
    return common.parent if common.name == ".git" and common.parent.is_dir() else repository


def find(checkout: Path, given: Path | None, environ: Mapping[str, str]) -> Path:
    """The real path of the `.beads` folder: the one given, else BEADS_DIR, else the checkout's.

    BadInput where it holds no database.
    """
    if given is None and environ.get("BEADS_DIR"):
        given, said = Path(environ["BEADS_DIR"]), "BEADS_DIR leads to "
        if not given.is_absolute():
            raise BadInput(
                f"BEADS_DIR is {given}, not an absolute path", hint="give the full path of the .beads folder"
            )
    else:
        said = ""
    folder = (given or checkout / FOLDER).resolve()
    if not folder.is_dir():
        raise BadInput(
            f"{said}{folder}{', which' if said else ''} does not exist",
            hint="make a database with `bd init --stealth`, or give BEADS_DIR the path of an existing .beads folder",
        )
    folder = _redirected(folder)
    if era_of(folder) is None:
        raise _without_database(folder, said)
    return folder


def era_of(folder: Path) -> Era | None:
    """What the database in the folder is of, None where there is none."""
    facts = _facts(folder)
    if facts.get("backend") == "dolt" or facts.get("dolt_mode"):
        shared = facts.get("dolt_mode") in ("server", "proxied-server")
        return Era.DOLT if shared or (folder / "embeddeddolt").is_dir() or (folder / "dolt").is_dir() else None
    if any(path.stat().st_size for path in folder.glob("*.db")):
        return Era.SQLITE
    return Era.DOLT if (folder / "embeddeddolt").is_dir() else None


def is_served(folder: Path) -> bool:
    """Whether the data is behind a server, where no file tells of a change."""
    return _facts(folder).get("dolt_mode") in ("server", "proxied-server")


def check_era(folder: Path, version: Version) -> None:
    """BadInput where bd is of the other era than the database: it would only say that there is none."""
    era = era_of(folder)
    if era is None:
        raise _without_database(folder, "")
    if era is not version.era:
        of = "1.x (Dolt)" if era is Era.DOLT else "0.4x (SQLite)"
        raise BadInput(
            f"the database in {folder} is one of beads {of}, and bd here is {version.text}",
            hint="put a bd of that version first on PATH, or migrate the database as beads describes",
        )


def check_jsonl(folder: Path) -> None:
    """BadInput where the issues in git carry conflict markers: a bd that imports them would lose some."""
    for name in JSONL:
        try:
            data = (folder / name).read_bytes()
        except OSError:
            continue
        for number, line in enumerate(data.split(b"\n"), 1):
            if (line + b"\n").startswith(_MARKERS):
                raise BadInput(
                    f"{folder / name} has conflict markers of git (line {number})",
                    hint="resolve the conflict first; each line is one issue",
                )


def _redirected(folder: Path) -> Path:
    """What `.beads/redirect` leads to; one step, as bd does it."""
    try:
        text = (folder / "redirect").read_text("utf-8").strip()
    except (OSError, ValueError):
        return folder
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        return folder
    target = (folder.parent / lines[0]).resolve()
    if not target.is_dir():
        raise BadInput(f"{folder / 'redirect'} leads to {target}, which does not exist", hint="correct or remove it")
    return target


def _facts(folder: Path) -> dict[str, object]:
    try:
        found = json.loads((folder / "metadata.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _without_database(folder: Path, said: str) -> BadInput:
    if any((folder / name).exists() for name in (*JSONL, "metadata.json")):
        return BadInput(
            f"{said}{folder}{', which' if said else ''} has no database, only what git keeps of one",
            hint="in a clone, set BEADS_DIR to the .beads folder of the main checkout, or run `bd init` here "
            "if this is to be a database of its own",
        )
    return BadInput(
        f"{said}{folder}{', which' if said else ''} holds no beads database",
        hint=f"BEADS_DIR is the .beads folder itself; `bd init --stealth` makes a database (beads {SUPPORTED})",
    )
