"""A worktree that was used before is handed out as a new one would be, whatever an agent left in it, or not at all."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from maestro.testing.repository import Repository
from maestro.vcs.git import open_repository
from maestro.workspaces.base import Workspace, WorkspaceSpec
from maestro.workspaces.janitor import clean, list_workspaces, sweep_rubbish
from maestro.workspaces.lifecycle import Lifecycle
from maestro.workspaces.registry import open_workspaces
from maestro.workspaces.setup import SetupSpec

HARMLESS = {
    "nothing": "true",
    "a commit": "echo new > new; git add new; git commit -qm new; git tag -a v9 -m v9",
    "files": """
        echo x >> src/main.c; echo i > out.log; mkdir -p build/deep/er; echo o > build/deep/er/o.o; rm -rf lib
        rm -f gone/only; chmod 600 README.md; chmod -x run.sh; rm link; mkdir link; mkfifo 'odd
name'; touch ' lead' ./-dash '*'; ln src/other.c hard; mkdir -p empty/empty; touch "$(printf 'latin\\351')" """,
    "edits that keep size and time": """
        touch -r src/main.c ../stamp; printf 'int MAIN;\\n' > src/main.c; touch -r ../stamp src/main.c
        touch -r run.sh ../stamp; sed -i s/true/TRUE/ run.sh; touch -r ../stamp run.sh""",
    "folders": """
        mkdir -p closed/in; echo c > closed/in/c; chmod 000 closed/in; chmod 500 closed
        echo x > src/x.log; chmod 500 src; chmod 700 lib; chmod 000 lib/deep; chmod 2777 .""",
    "a folder that is a link now": "mv src ../moved; ln -s ../moved src; rm -r lib; ln -s /etc lib; rm README.md",
    "a file that is a folder now": "rm README.md; mkdir README.md; echo x > README.md/x; rm -r src; echo s > src",
    "modes and names of files": "chmod 640 README.md; chmod 4755 run.sh; ln src/main.c ../ln; chmod 400 src/other.c",
    "flags in the index": """
        git update-index --assume-unchanged src/main.c; git update-index --skip-worktree run.sh
        echo hidden >> src/main.c; echo hidden >> run.sh; git rm -q --cached src/other.c; echo n > n; git add -N n
        git update-index --chmod=+x README.md; git update-index --index-version 4""",
    "another branch": "git checkout -qb other; echo o > o; git add o; git commit -qm o; echo s >> o; git stash -q",
    "a detached head": "git checkout -q --detach; git commit -q --allow-empty -m x; git reset -q --hard HEAD~",
    "attributes and ignores of its own": """
        printf '* text eol=crlf\\n' > src/.gitattributes; printf '* -text filter=x\\n' > .gitattributes
        printf '*\\n' > .gitignore; echo x >> src/main.c; rm src/other.c""",
    "repositories in it": "git init -q in; git -C in commit -q --allow-empty -m i; git clone -q . src/cloned",
    "a .gitmodules that names nothing": "git config -f .gitmodules submodule.x.path x; git add .; git commit -qm m",
    "a log and fetched heads": "git fetch -q . HEAD; git reset -q --hard; git commit -q --allow-empty -m a; git gc -q",
    "a lock": ': > "$(git rev-parse --git-dir)/index.lock"',
    "a repository in the place of its own": "rm .git; git init -q",
    "files beside": """
        rm ../.gitconfig; ln -s /etc/passwd ../.gitconfig; echo evil > ../.hooks/post-checkout; chmod +x ../.hooks/*
        echo '*' > ../.gitignore; mkdir -p ../.agent-state/s ../more/and; echo x > ../more/and/more; rm ../env""",
}

HARMFUL = {
    "a merge": """git checkout -qb o; git commit -q --allow-empty -m o; git checkout -q -
        git merge --no-ff --no-commit o""",
    "a rebase": "git rebase -q --exec false HEAD~ || true",
    "a bisection": "git bisect start -q; git bisect bad; git bisect good HEAD~",
    "a ref of its own": "git update-ref refs/worktree/mine HEAD",
    "settings of its own": "git config extensions.worktreeConfig true; git config --worktree core.autocrlf true",
    "settings of the repository": "git config core.autocrlf true",
    "attributes of the repository": "printf '* eol=crlf' > \"$(git rev-parse --git-common-dir)/info/attributes\"",
    "a sparse checkout": "git sparse-checkout set src",
    "a split index": "git update-index --split-index",
    "no files": "cd ..; rm -rf project",
    "a worktree in it": "git worktree add -q -b inner ../inner",
    "a worktree locked": "git worktree lock .",
    "new attributes on the branch": "git -C $USERS checkout -q next; cd $USERS; echo '* eol=crlf' > .gitattributes; "
    "git add .gitattributes; git commit -qm attributes; git checkout -q main",
}


@pytest.fixture
def two_bases(repo: Repository) -> Repository:
    """The branch `next` differs from `main` in all ways a tree can differ."""
    repo.write({"src/main.c": "int main;\n", "src/other.c": "o\n", "lib/deep/x.h": "x\n", "run.sh": "true\n"})
    repo.write({"gone/only": "g\n", ".gitignore": "*.log\nbuild/\n", "turns": "file\n", "sp ace/ü": "u\n"})
    (repo.path / "run.sh").chmod(0o755)
    (repo.path / "link").symlink_to("src/main.c")
    repo.git("add", ".")
    repo.git("commit", "-qm", "one")
    repo.git("checkout", "-qb", "next")
    repo.git("rm", "-q", "gone/only", "turns")
    repo.commit({"turns/into": "folder\n", "src/other.c": "longer\n", "added/new": "n\n"})
    repo.git("checkout", "-q", "main")
    return repo


CLONES = ("clone", "copy")
OF_THE_WORKTREE_ALONE = ("a log and fetched heads", "a repository in the place of its own", "repositories in it")
HARMLESS_IN_CLONES = {name: command for name, command in HARMLESS.items() if name not in OF_THE_WORKTREE_ALONE} | {
    name: HARMFUL[name]
    for name in (
        "a merge", "a ref of its own", "settings of its own", "settings of the repository", "a sparse checkout",
        "a split index", "a worktree in it",
    )
} | {
    "a bisection": "git bisect start -q; git bisect bad",
    "attributes of its own": "mkdir -p .git/info; echo '* eol=crlf' > .git/info/attributes; rm -r src; git checkout .",
    "hooks and objects": """
        mkdir -p .git/hooks; echo evil > .git/hooks/post-checkout; chmod +x .git/hooks/*; git gc -q
        echo evil > .git/info/exclude; rm -rf .git/logs; echo x | git hash-object -w --stdin; git remote add o .""",
}  # fmt: skip
HARMFUL_IN_CLONES = {
    "no files": HARMFUL["no files"],
    "a repository in the place of its own": "rm -rf .git; git init -q",
    "a git directory elsewhere": "mv .git ../git; echo 'gitdir: ../git' > .git",
    "a kept index that was written into": "git update-index --assume-unchanged src/main.c; "
    "cp .git/index .git/maestro-index",
    "attributes of the user": 'echo "* eol=crlf" > "$USERS/.git/info/attributes"',
}


def opened(repo: Repository, tmp_path: Path, parked: int = 2, kind: str = "worktree", **options: object) -> Lifecycle:
    return open_workspaces(
        kind,
        git=open_repository(repo.path),
        root=tmp_path / "root",
        parked=parked,
        **options,  # type: ignore[arg-type]
    )


def spec_for(base: str, task: str) -> WorkspaceSpec:
    return WorkspaceSpec(run_id="r1", task_id=task, task_name=task, attempt=1, base=base, branch=f"maestro/r1/{task}")


def as_agent(workspace: Workspace, command: str, **env: str) -> str:
    variables = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **workspace.env, **env}
    variables["MAESTRO_TEST_MARK"] = os.environ["MAESTRO_TEST_MARK"]
    done = subprocess.run(["sh", "-ec", command], cwd=workspace.repo, env=variables, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode("utf-8", "surrogateescape")


def admin_of(workspace: Workspace) -> Path:
    if (workspace.repo / ".git").is_dir():
        return workspace.repo / ".git"
    return Path((workspace.repo / ".git").read_text().removeprefix("gitdir: ").rstrip("\n"))


def described(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and contents of everything below, except the index, which holds times and inodes."""
    found = {}
    for place, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(place) / name
            mode = path.lstat().st_mode
            what = (
                b"" if stat.S_ISDIR(mode) else os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
            )
            if "logs" in path.parts:
                what = re.sub(rb"> \d+ ", b"> TIME ", what)
            if name not in ("index", "maestro-index"):
                found[str(path.relative_to(folder))] = (mode, what)
    return found | {".": (folder.stat().st_mode, b"")}


def portrait(workspace: Workspace) -> dict[str, object]:
    """Everything about a workspace that an agent could see."""
    asked = {
        command: as_agent(workspace, command)
        for command in (
            "git ls-files --stage -v", "git ls-files --resolve-undo", "git status --porcelain=v2 --branch --ignored",
            "git config --list --show-origin", "git for-each-ref", "git rev-parse --abbrev-ref HEAD", "git reflog show",
            "git reflog show --format='%H %gs' HEAD", "git fsck", "git worktree list | wc -l", "git diff HEAD",
        )
    }  # fmt: skip
    name = admin_of(workspace).name.encode()
    files = {path: (mode, what.replace(name, b"ADMIN")) for path, (mode, what) in described(workspace.home).items()}
    return {"asked": asked, "files": files, "admin": described(admin_of(workspace)), "env": workspace.env}


def differing(new: object, recycled: object) -> dict[str, tuple[object, object]]:
    assert isinstance(new, dict)
    assert isinstance(recycled, dict)
    names = new.keys() | recycled.keys()
    return {name: (new.get(name), recycled.get(name)) for name in names if new.get(name) != recycled.get(name)}


def use(workspaces: Lifecycle, base: str, task: str, commands: str, **env: str) -> tuple[Workspace, int]:
    """Let an agent work in a workspace, then end it as a run does; its inode tells whether it comes again."""
    workspace = workspaces.create(spec_for(base, task))
    inode = workspace.repo.stat().st_ino
    as_agent(workspace, commands, **env)
    workspaces.collect(workspace, "left over")
    workspaces.save(workspace, "r1", task)
    workspaces.remove(workspace)
    assert not workspace.home.exists()
    return workspace, inode


def renewed(
    repo: Repository, tmp_path: Path, base: str, expected_inode: int | None, workspaces: Lifecycle, **options: object
) -> None:
    """The next workspace is like one that is really new; `expected_inode`: it is the former one."""
    workspace = workspaces.create(spec_for(base, "t2"))
    assert (workspace.repo.stat().st_ino == expected_inode) == (expected_inode is not None)
    recycled = portrait(workspace)
    workspaces.close()
    workspaces.remove(workspace)
    assert not list((tmp_path / "root").iterdir())
    repo.git("update-ref", "-d", "refs/heads/maestro/r1/t2")
    new = opened(repo, tmp_path, parked=0, kind=workspaces.kind, **options).create(spec_for(base, "t2"))
    for what, said in portrait(new).items():
        assert differing(said, recycled[what]) == {}, what


@pytest.mark.parametrize("mess", HARMLESS)
@pytest.mark.parametrize("later", ["main", "next"])
def test_a_recycled_workspace_is_like_a_new_one(mess: str, later: str, two_bases: Repository, tmp_path: Path) -> None:
    workspaces = opened(two_bases, tmp_path)
    _, inode = use(workspaces, two_bases.git("rev-parse", "main"), "t1", HARMLESS[mess])
    renewed(two_bases, tmp_path, two_bases.git("rev-parse", later), inode, workspaces)


@pytest.mark.parametrize("mess", HARMFUL)
def test_what_cannot_be_made_like_new_is_removed(mess: str, two_bases: Repository, tmp_path: Path) -> None:
    workspaces = opened(two_bases, tmp_path)
    use(workspaces, two_bases.git("rev-parse", "main"), "t1", HARMFUL[mess], USERS=str(two_bases.path))
    if mess != "new attributes on the branch":  # which are seen only when it is to be handed out
        assert not list((tmp_path / "root").iterdir())
        assert two_bases.git("worktree", "list").count("\n") == 0
    renewed(two_bases, tmp_path, two_bases.git("rev-parse", "next"), None, workspaces)


@pytest.mark.parametrize("kind", CLONES)
@pytest.mark.parametrize("mess", HARMLESS_IN_CLONES)
def test_the_files_of_a_clone_come_again_and_its_git_anew(
    mess: str, kind: str, two_bases: Repository, tmp_path: Path
) -> None:
    workspaces = opened(two_bases, tmp_path, kind=kind)
    _, inode = use(workspaces, two_bases.git("rev-parse", "main"), "t1", HARMLESS_IN_CLONES[mess])
    renewed(two_bases, tmp_path, two_bases.git("rev-parse", "next"), inode, workspaces)


@pytest.mark.parametrize("mess", HARMFUL_IN_CLONES)
def test_a_clone_that_cannot_be_made_like_new_is_removed(mess: str, two_bases: Repository, tmp_path: Path) -> None:
    workspaces = opened(two_bases, tmp_path, kind="clone")
    use(workspaces, two_bases.git("rev-parse", "main"), "t1", HARMFUL_IN_CLONES[mess], USERS=str(two_bases.path))
    assert not list((tmp_path / "root").iterdir())
    renewed(two_bases, tmp_path, two_bases.git("rev-parse", "next"), None, workspaces)


@pytest.mark.parametrize("kind", ["worktree", *CLONES])
def test_one_that_was_recycled_is_recycled_again(kind: str, two_bases: Repository, tmp_path: Path) -> None:
    bases = [two_bases.git("rev-parse", name) for name in ("main", "next")]
    workspaces = opened(two_bases, tmp_path, kind=kind)
    inodes = set()
    for number in range(6):
        mess = ("files", "edits that keep size and time", "flags in the index")[number // 2]
        inodes.add(use(workspaces, bases[number % 2], f"a{number}", HARMLESS[mess])[1])
    assert len(inodes) == 1
    renewed(two_bases, tmp_path, bases[1], inodes.pop(), workspaces)


def test_a_second_attempt_gets_the_workspace_of_the_first(two_bases: Repository, tmp_path: Path) -> None:
    workspaces = opened(two_bases, tmp_path)
    first, inode = use(workspaces, two_bases.head, "t2", "echo w > w; git add w; git commit -qm work; echo d > d")
    assert two_bases.git("rev-parse", first.branch) != two_bases.head
    renewed(two_bases, tmp_path, two_bases.head, inode, workspaces)
    assert {"d", "w"} <= set(two_bases.files("refs/maestro/saved/r1/t2"))


def test_what_setup_brings_in_is_brought_in_anew(two_bases: Repository, tmp_path: Path) -> None:
    two_bases.write({"build/.env": "A=1\n", "build/modules/m.js": "m\n"})
    setup = SetupSpec(copy=("build/.env",), symlink=("build/modules",))
    workspaces = opened(two_bases, tmp_path, setup=setup)
    _, inode = use(workspaces, two_bases.head, "t1", "echo B=2 > build/.env; ls build/modules/m.js")
    two_bases.write({"build/.env": "A=3\n"})
    again = workspaces.create(spec_for(two_bases.head, "t2"))
    assert again.repo.stat().st_ino == inode
    assert (again.repo / "build" / ".env").read_text() == "A=3\n"
    assert as_agent(again, "cat build/modules/m.js; git status --porcelain") == "m\n"
    workspaces.remove(again)
    workspaces.close()
    assert (two_bases.path / "build" / "modules" / "m.js").read_text() == "m\n"


def test_no_workspace_is_kept_that_a_process_works_in(repo: Repository, tmp_path: Path) -> None:
    workspaces = opened(repo, tmp_path)
    workspace = workspaces.create(spec_for(repo.head, "t1"))
    child = subprocess.Popen(["cat"], cwd=workspace.repo, stdin=subprocess.PIPE)
    try:
        workspaces.remove(workspace)
        assert not list((tmp_path / "root").iterdir())
    finally:
        child.communicate()


def test_only_so_many_wait_and_after_closing_none(repo: Repository, tmp_path: Path) -> None:
    workspaces = opened(repo, tmp_path, parked=2)
    made = [workspaces.create(spec_for(repo.head, f"t{number}")) for number in range(4)]
    for workspace in made[:3]:
        workspaces.remove(workspace)
    names = sorted(path.name for path in (tmp_path / "root").iterdir())
    assert [name[:8] for name in names] == [".parked-", ".parked-", "task-t3"]
    assert len(repo.git("worktree", "list").splitlines()) == 4
    assert "maestro/r1/t0" not in repo.git("worktree", "list")  # its branch can be deleted
    workspaces.close()
    workspaces.close()
    workspaces.remove(made[3])
    assert not list((tmp_path / "root").iterdir())
    assert len(repo.git("worktree", "list").splitlines()) == 1
    assert not list((repo.path / ".git" / "worktrees").glob("*"))


def test_clean_removes_what_a_killed_run_kept(repo: Repository, tmp_path: Path) -> None:
    git, root = open_repository(repo.path), tmp_path / "root"
    script = (
        "import os, sys\nfrom pathlib import Path\n"
        "from maestro.vcs.git import open_repository\nfrom maestro.workspaces.base import WorkspaceSpec\n"
        "from maestro.workspaces.registry import open_workspaces\n"
        "git, root, base = open_repository(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3]\n"
        "workspaces = open_workspaces('worktree', git=git, root=root / 'r1', parked=2)\n"
        "workspaces.remove(workspaces.create(WorkspaceSpec(run_id='r1', task_id='t', task_name='t', attempt=1,"
        " base=base, branch='maestro/r1/t')))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, repo.path, root, repo.head], capture_output=True)
    assert done.returncode == -9, done.stderr
    found = list_workspaces(git, root, live_runs=("r1",))
    assert [one.state.value for one in found] == ["live"]
    found = list_workspaces(git, root)
    assert [one.state.value for one in found] == ["parked"]
    assert [(one.removed, one.saved_ref) for one in clean(git, root, found)] == [(True, None)]
    sweep_rubbish(root / "r1")
    assert not (root / "r1").exists()
    assert len(repo.git("worktree", "list").splitlines()) == 1
    assert repo.git("for-each-ref", "refs/maestro") == ""


def test_two_coordinators_and_many_threads(two_bases: Repository, tmp_path: Path) -> None:
    bases = [two_bases.git("rev-parse", name) for name in ("main", "next")]
    trees = [two_bases.files(base) for base in bases]
    git = open_repository(two_bases.path)
    sites = [open_workspaces("worktree", git=git, root=tmp_path / "root" / run, parked=4) for run in "ab"]
    inodes = []

    def work(number: int) -> None:
        workspaces, base = sites[number % 2], bases[number // 2 % 2]
        workspace = workspaces.create(spec_for(base, f"t{number}"))
        inodes.append(workspace.repo.stat().st_ino)
        assert as_agent(workspace, "git ls-files").splitlines() == trees[number // 2 % 2]
        as_agent(workspace, f"echo {number} > {number}.txt; git add .; git commit -qm x; echo l > x.log; rm README.md")
        assert as_agent(workspace, "git status --porcelain") == " D README.md\n"
        evidence = workspaces.collect(workspace, "left over")
        assert evidence.changed_paths == tuple(sorted((f"{number}.txt", "README.md")))
        workspaces.remove(workspace)

    with ThreadPoolExecutor(6) as pool:
        for _ in pool.map(work, range(60)):
            pass
    assert len(set(inodes)) <= 20
    for workspaces in sites:
        workspaces.close()
    assert [list(path.iterdir()) for path in (tmp_path / "root").iterdir()] == [[], []]
    assert len(two_bases.git("worktree", "list").splitlines()) == 1
    assert two_bases.git("fsck", "--no-progress", "--no-dangling") == ""


def test_a_root_behind_a_link(repo: Repository, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "real")
    workspaces = opened(repo, tmp_path)
    inodes = {use(workspaces, repo.head, f"t{number}", "echo x > x")[1] for number in range(2)}
    assert len(inodes) == 1
    workspace = workspaces.create(spec_for(repo.head, "t"))
    as_agent(workspace, "echo y > y")
    assert workspaces.collect(workspace, "left over").changed_paths == ("y",)
    workspaces.close()
    workspaces.remove(workspace)
    assert len(repo.git("worktree", "list").splitlines()) == 1
