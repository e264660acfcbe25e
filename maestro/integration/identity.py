"""Under whose name maestro commits: the user's own where git knows it."""

from __future__ import annotations

from maestro.vcs.git import Git

FALLBACK_NAME = "maestro"
FALLBACK_EMAIL = "maestro@localhost"


def identity(git: Git) -> dict[str, str]:
    """GIT_AUTHOR_* and GIT_COMMITTER_* for `git commit-tree`, from git's configuration, else the fallback.

    Set in full, since git would else guess a name from the host, or refuse (user.useConfigOnly).
    """
    done = git.run("config", "-z", "--get-regexp", r"^(user|author|committer)\.(name|email)$", ok=(0, 1))
    found: dict[str, str] = {}
    for entry in done.stdout.decode("utf-8", "replace").split("\0"):
        key, _, value = entry.partition("\n")
        if value.strip():
            found[key.lower()] = value.strip()
    env = {}
    for role in ("author", "committer"):
        for field, fallback in (("name", FALLBACK_NAME), ("email", FALLBACK_EMAIL)):
            value = found.get(f"{role}.{field}") or found.get(f"user.{field}") or fallback
            env[f"GIT_{role}_{field}".upper()] = value
    return env
