"""What every command is given: where it works, how it speaks, and the settings when it asks for them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maestro.cli.output import Output
from maestro.errors import BadInput, MaestroError

if TYPE_CHECKING:  # pydantic would cost `maestro --help` a third of its time
    from maestro.config.load import Loaded
    from maestro.model.redaction import Redactor
    from maestro.store.layout import Layout
    from maestro.vcs.git import Git


class App:
    """One call of the command line."""

    def __init__(self, output: Output, environ: Mapping[str, str] | None = None) -> None:
        self.output = output
        self.environ = dict(os.environ if environ is None else environ)
        output.environ = self.environ
        self.config_file: Path | None = None
        self._directory: Path | None = None
        self._directory_given = False
        self._git: Git | None = None

    @property
    def directory(self) -> Path:
        """Where the command works: the current directory, or that of -C; BadInput where that is gone."""
        if self._directory is None:
            self._directory = _current_directory()
        return self._directory

    @directory.setter
    def directory(self, value: Path) -> None:
        self._directory = _absolute(value)
        self._directory_given = True

    @property
    def directory_given(self) -> bool:
        """Whether -C named it."""
        return self._directory_given

    def repository(self) -> Path:
        """Top of the repository that holds the directory; BadInput outside of one."""
        return self.git().directory

    def git(self) -> Git:
        """Git there; looked for once."""
        if self._git is None:
            from maestro.vcs.git import open_repository

            self.check_directory()
            self._git = open_repository(self.directory, self.environ)
        return self._git

    def repository_if_any(self) -> Path | None:
        """The repository, or None outside of one, for commands that need none."""
        from maestro.errors import GitError

        self.check_directory()
        try:
            return self.repository()
        except (BadInput, GitError):
            return None

    def layout(self) -> Layout:
        """Paths of the state directory."""
        from maestro.store.layout import Layout

        return Layout(self.repository())

    def layout_of_caller(self) -> Layout:
        """The same, for commands that an agent calls: of the repository that its run belongs to. Its current directory
        is in a workspace, where no run is kept; its variables, where it has them and there is no -C, say it for sure.
        """
        from maestro.store.layout import Layout
        from maestro.workspaces.marker import layout_of_workspace

        home = self.environ.get("MAESTRO_REPOSITORY", "")
        if not home or self._directory_given:
            return layout_of_workspace(self.directory) or self.layout()
        if not Path(home).is_dir():
            raise BadInput(f"MAESTRO_REPOSITORY names {home}, which is not a directory", hint="unset it, or give -C")
        return Layout(Path(home))

    def load(self, flags: Mapping[str, Any] | None = None, *, repository: Path | None = None) -> Loaded:
        """All settings, with their warnings said on standard error."""
        loaded = self.load_silently(flags, repository=repository)
        for warning in loaded.warnings:
            self.output.warn(str(warning))
        return loaded

    def load_silently(self, flags: Mapping[str, Any] | None = None, *, repository: Path | None = None) -> Loaded:
        """All settings; what was odd about them is left to the caller."""
        from maestro.config.load import load_settings

        config_file = None
        if self.config_file is not None:
            config_file = _absolute(self.config_file)
        loaded = load_settings(repository, config_file, self.environ, flags or {}, self.directory)
        self._hide(loaded)
        return loaded

    def redactor_for(self, repository: Path) -> Redactor:
        """What is secret there, as far as it can be known: also where the configuration is in no good state."""
        with contextlib.suppress(MaestroError):
            self.load_silently(repository=repository)
        return self.output.redactor

    def hide_what_is_secret_in(self, layout: Layout, run_id: str) -> None:
        """What agents print and say is masked when they have ended. Until then it is masked as it is shown, by what is
        secret here and, as far as the kernel tells, where the run was started."""
        from maestro.model.secret_names import secrets_in_environment
        from maestro.store.claims import coordinator_environment

        self.redactor_for(layout.repository).add(secrets_in_environment(coordinator_environment(layout.locks, run_id)))

    def _hide(self, loaded: Loaded) -> None:
        """Whatever this command prints or writes from now on has no secret of the settings."""
        from maestro.wiring.redaction import secrets_in_settings

        self.output.redactor.add(secrets_in_settings(loaded.settings))

    def check_directory(self) -> None:
        """BadInput where the directory to work in is none."""
        if not self.directory.is_dir():
            raise BadInput(f"{self.directory} is not a directory", hint="give -C a directory that exists")


def _absolute(path: Path) -> Path:
    path = path.expanduser()
    return path if path.is_absolute() else _current_directory() / path


def _current_directory() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise BadInput("the current directory does not exist any more", hint="cd to one that does") from error
