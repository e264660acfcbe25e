"""Which of the settings are secrets."""

from __future__ import annotations

from pathlib import Path

from maestro.config.settings import Settings
from maestro.wiring.redaction import redactor_for


def test_credentials_servers_and_options_of_agents_are_known(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text("https://me:Pl4nted-git-token@example.org\n")
    settings = Settings(
        git_credentials=credentials,
        mcp_servers={"one": {"command": "x", "env": {"ONE_KEY": "Pl4nted-server-key"}}},
        agents={"claude": {"api_key": "Pl4nted-option-key", "model": "a-model-of-theirs"}},
    )

    redactor = redactor_for(settings, {"MY_TOKEN": "Pl4nted-variable"})

    text = "Pl4nted-git-token Pl4nted-server-key Pl4nted-option-key Pl4nted-variable a-model-of-theirs"
    assert redactor.mask(text) == "*** *** *** *** a-model-of-theirs"


def test_a_file_of_credentials_that_is_gone_is_no_error(tmp_path: Path) -> None:
    assert redactor_for(Settings(git_credentials=tmp_path / "gone"), {}).mask("all is well") == "all is well"
