"""The main job: a backlog planned, run in parallel in separate workspaces, and landed."""

from __future__ import annotations

import json
from pathlib import Path

from maestro.testing.commandline import maestro
from maestro.testing.repository import Repository
from tests.acceptance.conftest import WRITES_ONE_FILE, Run


def test_independent_and_dependent_tasks_land_and_the_checkout_is_untouched(repo: Repository, run: Run) -> None:
    (repo.path / "dirty.txt").write_text("mine\n")
    before = (repo.head, repo.git("status", "--porcelain"), repo.git("symbolic-ref", "HEAD"))
    said = run([{"id": "a"}, {"id": "b"}, {"id": "c", "dependencies": ["a", "b"]}])
    assert said.code == 0, said.err
    result = said.json
    assert said.statuses() == {"a": "landed", "b": "landed", "c": "landed"}
    assert result["status"] == "completed"
    branch = result["integration_branch"]
    assert branch == f"integration/{result['run_id']}"
    assert repo.files(branch) == ["README.md", "out-a.txt", "out-b.txt", "out-c.txt"]
    for entry in result["tasks"].values():
        assert entry["attempts"] == 1
        repo.git("merge-base", "--is-ancestor", entry["commit"], branch)
    assert (repo.head, repo.git("status", "--porcelain"), repo.git("symbolic-ref", "HEAD")) == before
    assert result["base"] == repo.head


def test_a_dependant_starts_from_what_it_depends_on(repo: Repository, run: Run) -> None:
    agent = 'if [ "$MAESTRO_TASK_ID" = b ]; then cat out-a.txt || exit 9; fi; ' + WRITES_ONE_FILE
    said = run([{"id": "a"}, {"id": "b", "dependencies": ["a"]}], agent=agent)
    assert said.statuses() == {"a": "landed", "b": "landed"}


def test_nothing_is_left_behind_but_the_integration_branch(repo: Repository, run: Run, hermetic: Path) -> None:
    said = run([{"id": "a"}, {"id": "b"}])
    assert said.code == 0
    assert repo.git("for-each-ref", "--format=%(refname)").splitlines() == [
        f"refs/heads/{said.json['integration_branch']}",
        "refs/heads/main",
        f"refs/maestro/checkpoints/{said.json['run_id']}/start",
    ]
    assert len(repo.git("worktree", "list").splitlines()) == 1
    left = [path for path in (hermetic / ".local").rglob("*") if path.is_file() and "task-" in str(path)]
    assert left == []


def test_worktrees_are_used_again_and_what_was_left_in_them_is_gone(repo: Repository, run: Run, tmp_path: Path) -> None:
    repo.commit({".gitignore": "*.log\n"})
    agent = (
        'seen=$(ls -A); echo "$seen" > "out-$MAESTRO_TASK_ID.txt"; stat -c %i . > "inode-$MAESTRO_TASK_ID.txt"; '
        "git add .; git commit -qm work; echo mine > left.log; mkdir -p empty; chmod 500 empty"
    )
    ids = ["a", "b", "c", "d"]
    tasks = [{"id": name, "dependencies": ids[:number]} for number, name in enumerate(ids)]
    said = run(tasks, "--workspace-root", str(tmp_path / "spaces"), agent=agent)
    assert said.code == 0, said.err
    branch = said.json["integration_branch"]
    assert len({repo.show(branch, f"inode-{name}.txt") for name in ids}) < len(ids)
    before = [name for done in ids[:3] for name in (f"inode-{done}.txt", f"out-{done}.txt")]
    expected = sorted([".git", ".gitignore", "README.md", *before])
    assert sorted(repo.show(branch, "out-d.txt").split()) == expected
    assert len(repo.git("worktree", "list").splitlines()) == 1
    assert not [path for path in (tmp_path / "spaces").rglob("*") if path.is_file()]


def test_a_failure_blocks_only_what_depends_on_it_and_is_tried_twice(repo: Repository, run: Run) -> None:
    agent = f'[ "$MAESTRO_TASK_ID" = bad ] && {{ echo "no idea"; exit 3; }}; {WRITES_ONE_FILE}'
    tasks = [{"id": "bad"}, {"id": "good"}, {"id": "after-bad", "dependencies": ["bad"]}]
    said = run(tasks, agent=agent)
    assert said.code == 1
    result = said.json
    assert result["status"] == "failed"
    assert said.statuses() == {"bad": "failed", "good": "landed", "after-bad": "blocked"}
    assert result["tasks"]["bad"]["attempts"] == 2
    assert "exit code 3" in result["tasks"]["bad"]["reason"]
    assert "bad" in result["tasks"]["after-bad"]["reason"]


def test_a_second_run_over_the_same_file_does_nothing_twice(repo: Repository, run: Run) -> None:
    first = run([{"id": "a"}, {"id": "b"}])
    second = run([{"id": "a"}, {"id": "b"}])
    assert second.code == 0, second.err
    assert second.statuses() == {"a": "landed", "b": "landed"}
    assert [entry["attempts"] for entry in second.json["tasks"].values()] == [0, 0]
    assert second.json["integration_branch"] == first.json["integration_branch"]


def test_a_dependency_that_landed_on_another_branch_blocks_with_its_name(repo: Repository, run: Run) -> None:
    first = run([{"id": "a"}])
    tasks = [{"id": "a"}, {"id": "b", "dependencies": ["a"]}]
    second = run(tasks)
    assert second.code == 3
    assert second.json["tasks"]["b"]["status"] == "blocked"
    branch = first.json["integration_branch"]
    assert branch in second.json["tasks"]["b"]["reason"]
    third = run(tasks, "--integration-base-branch", branch)
    assert third.code == 0, third.err
    assert third.json["tasks"]["b"]["status"] == "landed"
    assert "out-a.txt" in repo.files(third.json["integration_branch"])


def test_two_tasks_green_alone_and_red_together_send_exactly_one_back(repo: Repository, run: Run) -> None:
    agent = WRITES_ONE_FILE
    gate = "test ! -e out-a.txt -o ! -e out-b.txt"
    said = run([{"id": "a"}, {"id": "b"}, {"id": "c"}], "--attempts", "1", agent=agent, tests=gate)
    assert said.code == 1, said.err
    statuses = said.statuses()
    assert sorted([statuses["a"], statuses["b"]]) == ["failed", "landed"]
    assert statuses["c"] == "landed"
    branch = said.json["integration_branch"]
    assert len([name for name in repo.files(branch) if name in ("out-a.txt", "out-b.txt")]) == 1


def test_a_conflict_is_requeued_on_the_new_base(repo: Repository, run: Run) -> None:
    agent = 'echo "$MAESTRO_TASK_ID" >> README.md && git commit -qam "$MAESTRO_TASK_ID"'
    said = run([{"id": "a"}, {"id": "b"}], agent=agent)
    assert said.code == 0, said.err
    content = repo.show(said.json["integration_branch"], "README.md")
    assert "a" in content.splitlines()
    assert "b" in content.splitlines()
    assert said.json["metrics"]["conflicts"] == 1


def test_uncommitted_work_is_committed_by_maestro_and_marked(repo: Repository, run: Run) -> None:
    said = run([{"id": "a", "title": "Leave it lying"}], agent="echo x > left.txt")
    assert said.code == 0, said.err
    branch = said.json["integration_branch"]
    assert "left.txt" in repo.files(branch)
    assert "committed by maestro" in repo.git("log", "--format=%B", branch)


def test_no_change_needs_a_reason_and_then_counts_as_landed(repo: Repository, run: Run) -> None:
    report = json.dumps({"status": "no_change", "summary": "it is there already"})
    said = run([{"id": "a"}], agent=f"printf '%s' '{report}' > \"$MAESTRO_REPORT_FILE\"")
    assert said.code == 0, said.err
    assert said.json["tasks"]["a"] == {
        "status": "landed",
        "attempts": 1,
        "commit": None,
        "reason": "it is there already",
    }


def test_exit_zero_without_a_commit_is_a_failure(repo: Repository, run: Run) -> None:
    said = run([{"id": "a"}], "--attempts", "1", agent="echo done")
    assert said.code == 1
    assert "without a new commit" in said.json["tasks"]["a"]["reason"]


def test_levels_have_a_branch_each(repo: Repository, run: Run) -> None:
    said = run([{"id": "a"}, {"id": "b", "dependencies": ["a"]}], "--schedule", "levels", "--run-id", "r1")
    assert said.code == 0, said.err
    assert said.json["integration_branch"] == "integration/level-1-r1"
    assert repo.files("integration/level-0-r1") == ["README.md", "out-a.txt"]
    assert repo.files("integration/level-1-r1") == ["README.md", "out-a.txt", "out-b.txt"]


def test_land_on_base_moves_a_clean_checkout_forward(repo: Repository, run: Run) -> None:
    said = run([{"id": "a"}], "--land-on-base")
    assert said.code == 0, said.err
    assert (repo.path / "out-a.txt").read_text() == "a\n"
    assert repo.git("status", "--porcelain") == ""
    assert repo.head == said.json["tasks"]["a"]["commit"]


def test_land_on_base_is_refused_at_the_start_for_a_dirty_checkout(repo: Repository, run: Run) -> None:
    (repo.path / "README.md").write_text("changed\n")
    said = run([{"id": "a"}], "--land-on-base")
    assert said.code == 2
    assert "uncommitted changes" in said.json["error"]["message"]
    assert not (repo.path / ".flow" / "maestro" / "runs").exists()


def test_every_workspace_kind_lands(repo: Repository, run: Run) -> None:
    for number, kind in enumerate(["worktree", "clone", "copy", "none"]):
        agent = f'echo "$MAESTRO_TASK_ID" > out-{kind}-$MAESTRO_TASK_ID.txt && git add -A && git commit -qm work'
        said = run([{"id": f"{number}-x"}, {"id": f"{number}-y"}], "--workspace", kind, agent=agent)
        assert said.code == 0, (kind, said.err)
        names = repo.files(said.json["integration_branch"])
        assert names == ["README.md", f"out-{kind}-{number}-x.txt", f"out-{kind}-{number}-y.txt"]
        assert repo.git("status", "--porcelain") == ""
        assert repo.git("symbolic-ref", "--short", "HEAD") == "main"


def test_groups_are_stages_and_their_metadata_has_exactly_its_fields(repo: Repository, run: Run) -> None:
    tasks = [
        {"id": "a1", "title": "[P:Group-auth-flow] one"},
        {"id": "a2", "title": "[P:Group-auth-flow] two"},
        {"id": "z", "title": "after the group"},
    ]
    said = run(tasks, "--group-id", "auth-flow")
    assert said.code == 0, said.err
    assert said.statuses() == {"a1": "landed", "a2": "landed"}
    path = repo.path / ".flow/maestro/parallel_groups/auth-flow/metadata.json"
    metadata = json.loads(path.read_text())
    assert list(metadata) == [
        "group_id", "group_name", "phase", "tasks", "created_at", "started_at", "completed_at", "status", "results",
        "errors", "pre_group_refresh_completed",
    ]  # fmt: skip
    assert metadata["group_name"] == "Parallel Group auth-flow"
    assert metadata["status"] == "completed"
    assert metadata["phase"] == "post_execution"
    assert metadata["pre_group_refresh_completed"] is False
    assert [result["status"] for result in metadata["results"]] == ["completed", "completed"]
    assert metadata["completed_at"].endswith("Z")
    status = maestro("status", "--group-id", "auth-flow", "--json", cwd=repo.path)
    assert status.code == 0, status.err
    assert repo.git("status", "--porcelain") == ""


def test_deferred_and_cancelled_tasks_do_not_spoil_a_good_run(repo: Repository, run: Run) -> None:
    tasks = [{"id": "a"}, {"id": "later", "status": "deferred"}, {"id": "never", "status": "cancelled"}]
    said = run(tasks)
    assert said.code == 0, said.err
    assert said.statuses() == {"a": "landed", "later": "blocked", "never": "blocked"}
    assert "deferred" in said.json["tasks"]["later"]["reason"]


def test_a_dependency_that_the_tracker_says_is_in_progress_blocked_or_odd_is_not_satisfied(
    repo: Repository, run: Run
) -> None:
    tasks = [{"id": word, "status": word} for word in ("blocked", "weird")]
    tasks += [{"id": f"after-{word}", "dependencies": [word]} for word in ("blocked", "weird")]  # type: ignore[dict-item]
    said = run(tasks)
    assert said.code == 3
    assert set(said.statuses().values()) == {"blocked"}


def test_the_time_a_kind_of_task_took_predicts_the_next_plan(repo: Repository, run: Run, tmp_path: Path) -> None:
    assert run([{"id": "a"}]).code == 0
    other = tmp_path / "other.json"
    other.write_text('[{"id": "x"}, {"id": "y"}]')
    said = maestro("plan", "--tasks-file", str(other), cwd=repo.path)
    assert said.code == 0
    assert "predicted" in said.out.lower()


def test_a_conflict_between_running_tasks_is_seen_before_it_meets_at_landing(
    repo: Repository, run: Run, tmp_path: Path
) -> None:
    seen_there = f'grep -qs "conflict in README.md" {repo.path}/.flow/maestro/runs/"$MAESTRO_RUN_ID"/journal.jsonl'
    agent = (
        'echo "$MAESTRO_TASK_ID" >> README.md && git commit -qam "$MAESTRO_TASK_ID"; '
        f'if [ "$MAESTRO_TASK_ID" = slow ]; then touch {tmp_path}/committed; n=0; '
        f"until {seen_there} || [ $n = 300 ]; do sleep 0.1; n=$((n + 1)); done; "
        f"else until [ -e {tmp_path}/committed ]; do sleep 0.02; done; fi"
    )
    said = run([{"id": "slow"}, {"id": "quick"}], agent=agent)
    assert said.code == 0, said.err
    seen = [warning for warning in said.json["warnings"] if "conflict in README.md" in warning]
    assert len(seen) == 1
    assert said.err.index("conflict in README.md") < said.err.index("task slow: attempt 1 ended")
    (tmp_path / "committed").unlink()
    agent = agent.replace("= slow", "= slow2").replace("= 300", "= 15")
    quiet = run([{"id": "slow2"}, {"id": "quick2"}], agent=agent, env={"MAESTRO_CONFLICT_DETECTION": "false"})
    assert quiet.statuses() == {"slow2": "landed", "quick2": "landed"}
    assert not [warning for warning in quiet.json["warnings"] if "conflict in" in warning]
