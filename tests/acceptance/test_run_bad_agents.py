"""Agents that wreck their workspace, flood, lie, hang or leave daemons: said with the reason, no sibling suffers."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from maestro.testing.commandline import Said, command_line
from maestro.testing.repository import Repository
from tests.acceptance.conftest import WRITES_ONE_FILE, Run, arguments

pytestmark = pytest.mark.usefixtures("unharmed")

WORK = 'echo work > work.txt && git add -A && git commit -qm "work"'
REPORTS_FAILURE = json.dumps({"status": "failed", "summary": "cannot do it"})

LANDS = {
    "dirty files beside a commit": f"{WORK}; echo more > more.txt",
    "on another branch": f"git checkout -qb elsewhere; {WORK}",
    "detached": f"git checkout -q --detach; {WORK}",
    "deletes .git": f"{WORK}; rm -rf .git",
    "replaces .git by a directory": f"{WORK}; rm .git; git init -q .",
    "replaces .git by a directory and commits there": f"{WORK}; rm .git; git init -q .; git add -A; git commit -qm own",
    "read-only": f"{WORK}; chmod -R a-w . ; chmod a-w .. .",
    "unreadable": f"{WORK}; mkdir d; touch d/f; chmod 0 d",
    "index.lock": f'{WORK}; echo more > more.txt; touch "$(git rev-parse --git-path index.lock)"',
    "a name that looks like a flag": "echo work > work.txt; touch -- -rf '--all'; git add -A; git commit -qm work",
    "its own signing and hooks": f"git config core.hooksPath /nowhere; git config commit.gpgsign true; "
    f"{WORK.replace('commit', 'commit --no-gpg-sign')}; echo more > more.txt",
    "stands elsewhere at its end": f'{WORK}; cd /; rm -rf "$HOME/nothing"',
    "no report but a folder": f'{WORK}; mkdir "$MAESTRO_REPORT_FILE"',
    "a pipe as report": f'{WORK}; mkfifo "$MAESTRO_REPORT_FILE"',
    "a bad report": f'{WORK}; echo "{{" > "$MAESTRO_REPORT_FILE"',
    "a huge report": f'{WORK}; head -c 50000000 /dev/zero > "$MAESTRO_REPORT_FILE"',
    "binary output": f"{WORK}; head -c 100000 /dev/urandom",
    "closes its output": f"exec >&- 2>&-; {WORK}",
}

FAILS = {
    "nothing at all": ("true", "without a new commit"),
    "back to before": (f"{WORK}; git reset -q --hard HEAD~1", "without a new commit"),
    "a history of its own": (f"git checkout -q --orphan new; {WORK}", "no history"),
    "a merge with conflict markers": (
        (
            "git checkout -qb other; echo 1 > README.md; git commit -qam 1; git checkout -q -; echo 2 > README.md; "
            "git commit -qam 2; git merge other; true"
        ),
        "unresolved conflicts in README.md",
    ),
    "an empty commit": ("git commit -q --allow-empty -m nothing", "change nothing"),
    "no folder any more": (f'{WORK}; rm -rf "$MAESTRO_WORKSPACE_DIR"', "folder is gone"),
    "no workspace any more": (f'{WORK}; rm -rf "$(dirname "$MAESTRO_WORKSPACE_DIR")"', "folder is gone"),
    "not a command": ("no-such-agent-here", "not found"),
    "kills itself": (f"{WORK}; kill -9 $$", "SIGKILL"),
    "reports failure": (
        f"{WORK}; printf '%s' '{REPORTS_FAILURE}' > \"$MAESTRO_REPORT_FILE\"",
        "cannot do it",
    ),
}


QUICK_STOP = {"MAESTRO_STOP_INTERRUPT_SECONDS": "0.1", "MAESTRO_STOP_TERMINATE_SECONDS": "0.1"}


def with_a_good_sibling(run: Run, script: str, *flags: str) -> Said:
    agent = f'if [ "$MAESTRO_TASK_ID" = good ]; then {WRITES_ONE_FILE}; else {script}\nfi'
    said = run([{"id": "bad"}, {"id": "good"}], "--attempts", "1", *flags, agent=agent, env=QUICK_STOP)
    assert "Traceback" not in said.err
    assert said.statuses()["good"] == "landed", said.err
    return said


@pytest.mark.parametrize("script", LANDS.values(), ids=LANDS.keys())
def test_work_that_can_be_saved_from_the_mess_lands(repo: Repository, run: Run, script: str) -> None:
    said = with_a_good_sibling(run, script)
    assert said.code == 0, (said.json, said.err)
    assert repo.show(said.json["integration_branch"], "work.txt") == "work"


@pytest.mark.parametrize(("script", "words"), FAILS.values(), ids=FAILS.keys())
def test_what_is_no_work_fails_with_its_reason(run: Run, script: str, words: str) -> None:
    said = with_a_good_sibling(run, script)
    assert said.code == 1, (said.json, said.err)
    assert said.statuses()["bad"] == "failed"
    assert words in said.json["tasks"]["bad"]["reason"]


def test_commits_of_a_failed_attempt_are_kept(repo: Repository, run: Run) -> None:
    said = with_a_good_sibling(run, f"{WORK}; echo lying > about.txt; exit 4")
    assert said.code == 1
    saved = said.json["tasks"]["bad"]["saved_ref"]
    assert saved.startswith(f"refs/maestro/saved/{said.json['run_id']}/")
    assert {"work.txt", "about.txt"} <= set(repo.files(saved))


def test_an_amended_base_stays_in_the_history(repo: Repository, run: Run) -> None:
    base = repo.git("commit-tree", "main^{tree}", "-p", "main", "-m", "second")
    repo.git("branch", "second", base)
    script = 'echo work > work.txt; git add -A; git commit -q --amend -m "amended"'
    said = with_a_good_sibling(run, script, "--integration-base-branch", "second")
    assert said.code == 0, said.err
    repo.git("merge-base", "--is-ancestor", base, said.json["integration_branch"])
    assert repo.show(said.json["integration_branch"], "work.txt") == "work"


def test_daemons_are_ended_and_said(run: Run) -> None:
    daemon = "(setsid sh -c 'sleep 300' >/dev/null 2>&1 &) ; "
    nohup = "nohup setsid sh -c '(trap \"\" TERM INT HUP; while :; do sleep 100; done) & ' >/dev/null 2>&1 & "
    said = with_a_good_sibling(run, f"{daemon}{nohup}{WORK}; sleep 0.2")
    assert said.code == 0, said.err
    assert "left behind were stopped" in said.err


def test_a_deaf_agent_that_hangs_is_killed_tried_again_and_failed(run: Run) -> None:
    agent = "trap '' INT TERM; while :; do sleep 100; done"
    said = run([{"id": "a"}], "--task-timeout", "0.5", "--attempts", "2", agent=agent, env=QUICK_STOP)
    assert said.code == 1, said.err
    assert said.json["tasks"]["a"]["attempts"] == 2
    assert "no end within 0.5 s" in said.json["tasks"]["a"]["reason"]


def test_a_hundred_megabytes_of_output_do_not_fill_the_memory(repo: Repository, tmp_path: Path) -> None:
    agent = (
        f"head -c 100000000 /dev/zero | tr '\\0' x; head -c 10000000 /dev/zero | tr '\\0' '\\n' >&2; {WRITES_ONE_FILE}"
    )
    argv = arguments(tmp_path, [{"id": "a"}], agent=agent, tests=None)
    process = subprocess.Popen(
        command_line(*argv), cwd=repo.path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    peak = 0
    while process.poll() is None:  # its one JSON object fits into the pipe
        peak = max(peak, peak_kib(process.pid))
        time.sleep(0.02)
    with process.stdout or pytest.fail("no pipe") as pipe:
        out = pipe.read()
    assert process.returncode == 0
    assert json.loads(out)["tasks"]["a"]["status"] == "landed"
    assert 10_000 < peak < 200_000, f"{peak} KiB"


def peak_kib(pid: int) -> int:
    """Peak resident memory of a process since its exec; ru_maxrss would begin with that of the one that started it."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def test_an_agent_that_says_it_is_blocked_waits_for_a_person(run: Run) -> None:
    report = json.dumps({"status": "blocked", "summary": "which colour?"})
    said = with_a_good_sibling(run, f"printf '%s' '{report}' > \"$MAESTRO_REPORT_FILE\"")
    assert said.code == 3
    assert said.statuses()["bad"] == "blocked"
    assert "which colour?" in said.json["tasks"]["bad"]["reason"]
