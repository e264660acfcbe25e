"""What stands beside the repository in every workspace (W-2), and what comes into it (W-4)."""

from __future__ import annotations

import json
from pathlib import Path

from maestro.testing.repository import Repository
from tests.acceptance.conftest import WRITES_ONE_FILE, Run

SHOW = (
    'cd "$MAESTRO_WORKSPACE_DIR"/.. && {{ ls -A | sort; stat -c "%a %n" .git-credentials; cat client-config.json; '
    'cat "$GIT_CONFIG_GLOBAL"; git -C "$MAESTRO_WORKSPACE_DIR" branch --show-current; pwd; }} > {seen}; '
    'cat "$MAESTRO_WORKSPACE_DIR/.env" "$MAESTRO_WORKSPACE_DIR/deps/lib" >> {seen}; cd "$MAESTRO_WORKSPACE_DIR"; '
)


def test_the_layout_has_all_that_agents_need(repo: Repository, run: Run, tmp_path: Path, hermetic: Path) -> None:
    repo.commit({".gitignore": ".env\ndeps\n"}, "Ignore")
    repo.write({".env": "SECRET=1\n", "deps/lib": "a library\n"})
    (hermetic / ".gitconfig").write_text("[alias]\n\tmine = status\n")
    store = tmp_path / "store"
    store.write_text("https://user:secret@example.invalid\n")
    config = repo.path / ".flow" / "maestro" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(
        f'copy = [".env"]\nsymlink = ["deps"]\ngit_credentials = "{store}"\n'
        '[mcp_servers.docs]\ncommand = "docs-server"\nargs = ["--stdio"]\n'
    )
    seen = tmp_path / "seen"
    said = run([{"id": "T-1"}], "--run-id", "r1", agent=SHOW.format(seen=seen) + WRITES_ONE_FILE)
    assert said.code == 0, said.err
    text = seen.read_text()
    for name in (".agent-state", ".git-credentials", ".gitconfig", "client-config.json", "env", "project"):
        assert name in text.splitlines()
    assert "600 .git-credentials" in text
    assert '"docs-server"' in text
    assert str(hermetic / ".gitconfig") in text
    assert "maestro/r1/T-1" in text
    assert "/task-T-1\n" in text
    assert "SECRET=1" in text
    assert "a library" in text
    assert repo.files(said.json["integration_branch"]) == [".gitignore", "README.md", "out-T-1.txt"]


def test_setup_commands_run_first_and_their_failure_is_the_attempts(repo: Repository, run: Run, tmp_path: Path) -> None:
    env = {"MAESTRO_SETUP": json.dumps(["echo ready > .setup-done", "test ! -e stop"])}
    said = run([{"id": "a"}], agent="test -e .setup-done && rm .setup-done && " + WRITES_ONE_FILE, env=env)
    assert said.code == 0, said.err
    repo.commit({"stop": ""}, "Stop")
    said = run([{"id": "b"}], env=env)
    assert said.code == 1
    assert "setup command 'test ! -e stop' ended with exit code 1" in said.json["tasks"]["b"]["reason"]
