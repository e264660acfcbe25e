"""Each commit is judged in files that are those of the commit, whatever the tests of an earlier one did there."""

from __future__ import annotations

import pytest

from maestro.testing.repository import Repository
from tests.acceptance.conftest import WRITES_ONE_FILE, Run

CHECK = """
test ! -e out-bad.txt || exit 1
if [ -e out-evil.txt ]; then
    {hide}
    size=$(wc -c < check.sh); touch -r check.sh ../stamp
    printf 'exit 0\\n%*s' $((size - 7)) '' > check.sh; touch -r ../stamp check.sh
fi
"""

AGENT = 'if [ "$MAESTRO_TASK_ID" = bad ]; then test -e out-evil.txt || exit 9; fi; ' + WRITES_ONE_FILE


@pytest.mark.parametrize(
    "hide",
    [
        "true",
        "git update-index --skip-worktree check.sh",
        "git update-index --assume-unchanged check.sh",
        "git update-index --skip-worktree check.sh; git update-index --assume-unchanged check.sh",
        "git update-index --split-index --skip-worktree check.sh",
        "git sparse-checkout set --no-cone '/*' '!/check.sh'; git show HEAD:check.sh > check.sh",
        "git config core.sparseCheckout true; git update-index --skip-worktree check.sh",
        "git config core.ignoreStat true; git update-index --really-refresh",
        "git config core.checkStat minimal; git config core.trustctime false",
    ],
)
def test_tests_hide_no_change_from_those_of_the_next_commit(hide: str, repo: Repository, run: Run) -> None:
    repo.commit({"check.sh": CHECK.format(hide=hide)})
    tasks = [{"id": "evil"}, {"id": "bad", "dependencies": ["evil"]}]
    said = run(tasks, "--attempts", "1", agent=AGENT, tests="sh check.sh")
    assert said.statuses() == {"evil": "landed", "bad": "failed"}


@pytest.mark.parametrize(
    "leave", ["--no-cone '/*' '!/data/'", "--cone --no-sparse-index src", "--cone --sparse-index src"]
)
def test_tests_take_no_files_out_of_the_next_commit(leave: str, repo: Repository, run: Run) -> None:
    check = f"test -e data/needed.txt && git sparse-checkout set {leave} && test ! -e data/needed.txt"
    repo.commit({"check.sh": check, "data/needed.txt": "", "src/main.c": ""})
    said = run(
        [{"id": "a"}, {"id": "b", "dependencies": ["a"]}], "--attempts", "1", agent=WRITES_ONE_FILE, tests="sh check.sh"
    )
    assert said.statuses() == {"a": "landed", "b": "landed"}
