"""What an agent in a sandbox leaves for maestro's own git, which runs outside and can write everywhere (I-6)."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro.testing.repository import Repository
from tests.real.sandbox_lab import SandboxLab, skip_without_bubblewrap

pytestmark = [pytest.mark.real("bwrap"), pytest.mark.needs_namespaces, pytest.mark.timeout(120)]

WORKS = 'echo "$MAESTRO_TASK_ID" >"$MAESTRO_TASK_ID.txt"; git add -A; git commit -qm "Work on $MAESTRO_TASK_ID"'
LEFT = 'cd "$MAESTRO_WORKSPACE_DIR"; echo x >left.txt'
GIT_DIR = 'cd "$(git rev-parse --git-dir)"'
BRANCH = '>"$MAESTRO_REPOSITORY/.git/refs/heads/maestro/it/'
STANDS_FOR = "echo 'ref: refs/heads/precious'"
ATTACKS = {
    "branch of another": f'[ $MAESTRO_TASK_ID = a ] || {STANDS_FOR} {BRANCH}a"; {WORKS}',
    "own branch": f'{STANDS_FOR} {BRANCH}$MAESTRO_TASK_ID"; {LEFT}',
    "HEAD": f'{STANDS_FOR} >"$(git rev-parse --git-dir)/HEAD"; {LEFT}',
    "message": f"{GIT_DIR}; ln -sf VICTIM COMMIT_EDITMSG; {LEFT}",
    "index": f"{GIT_DIR}; rm index; ln -s NEW index; {LEFT}",
    "log of HEAD": f"{WORKS}; {GIT_DIR}; ln -sf VICTIM logs/HEAD; {LEFT}",
    "log of the branch": f"""
        {WORKS}; ln -sf VICTIM "$MAESTRO_REPOSITORY/.git/logs/refs/heads/maestro/it/$MAESTRO_TASK_ID"; {LEFT}
    """,
}


@pytest.fixture
def lab(repo: Repository, hermetic: Path, tmp_path: Path) -> SandboxLab:
    skip_without_bubblewrap()
    lab = SandboxLab(repo, hermetic, tmp_path)
    repo.git("branch", "precious")
    (lab.home / "victim").write_text("mine\n")
    return lab


def assert_unharmed(lab: SandboxLab, before: dict[str, bytes]) -> None:
    assert (lab.home / "victim").read_text() == "mine\n"
    assert not (lab.home / "new").exists()
    assert lab.checkout() == before


@pytest.mark.parametrize("kind", ["worktree", "clone"])
@pytest.mark.parametrize("attack", list(ATTACKS))
def test_nothing_that_an_agent_planted_leads_maestros_git_outside(lab: SandboxLab, attack: str, kind: str) -> None:
    agent = ATTACKS[attack].replace("VICTIM", f"'{lab.home}/victim'").replace("NEW", f"'{lab.home}/new'")
    before = lab.checkout()
    said = lab.run(agent, "--workspace", kind, "--max-parallel", "1", "--attempts", "1", tasks=("a", "b"))
    assert set(said.statuses()) == {"a", "b"}, said.err
    assert_unharmed(lab, before)


@pytest.mark.parametrize("planted", [f'{STANDS_FOR} {BRANCH}gate__bench"', f"{GIT_DIR}; ln -sf VICTIM logs/HEAD"])
def test_nothing_that_tests_planted_does_either(lab: SandboxLab, planted: str) -> None:
    before = lab.checkout()
    tests = f"({planted.replace('VICTIM', str(lab.home / 'victim'))}); true"
    said = lab.run(WORKS, "--test-command", tests, "--max-parallel", "1", tasks=("a", "b"))
    assert said.statuses() == {"a": "landed", "b": "landed"}, said.err
    assert_unharmed(lab, before)
