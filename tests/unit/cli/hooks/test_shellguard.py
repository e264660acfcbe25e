"""What is told from the words of a shell command: work elsewhere is refused, looking around is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro.cli.hooks.fileguard import Fence
from maestro.cli.hooks.shellguard import refuse_command

FENCE = Fence(Path("/ws/task-a/shop"), Path("/home/me/shop"))
USERS = Path("/home/me/shop")

ALLOWED = [
    "cd /ws/task-a/shop && git add -A && git commit -qm 'a && b; c > /home/me/shop/x'",
    "cd /ws/task-a/shop/src && make test 2>&1 | tee /tmp/log",
    "cd '/ws/task-a/shop'; pytest -q > out.txt",
    "  cd /ws/task-a/shop\nnpm ci\nnpm test",
    "git -C /ws/task-a/shop commit -qm x",
    "git -C /ws/task-a/shop -c user.name=x add .",
    "ls -la; pwd; cat README.md | head -n 3",
    "git log --oneline -n 3 && git status",
    "maestro -C /home/me/shop report --run-id r --task a --status done --summary 'made > and && of'",
    "cd /home/me/shop && maestro -C /home/me/shop report --task a --status done --summary 'it works'",
    "cd /home/me/shop && git log --oneline",
    "env PYTHONPATH=/opt/m /usr/bin/python3 -P -m maestro -C /home/me/shop report --task a",
    "python3 .flow/maestro/scripts/parallel_coordinator.py report --task a",
    "cd /ws/task-a/shop && cp /home/me/shop/.env .env",
    "cd /ws/task-a/shop && cat > note.md <<'EOF'\ncd /home/me/shop\nit's > /home/me/shop/x\nEOF\ngit add note.md",
    'cd /ws/task-a/shop && echo "it\'s" > a.txt',
    "cd $HOME && make",  # only the shell knows where that is
    "cd /tmp && make",
    "X=1 Y=2 cd /ws/task-a/shop && rm -rf build",
    "cd /ws/task-a/shop && (cd src && touch a) && touch ../b.txt",
    "echo 'unfinished",
    "",
    "# Let's run the tests\ncd /ws/task-a/shop && pytest  # all of 'em\ngit status",
    "test -d /ws/task-a/shop || exit 1\ncd /ws/task-a/shop && make",
    "command -v pytest; [[ -f setup.py ]] && cat setup.py; git grep -n main",
    "cd /ws/task-a/shop && x=$(cd /home/me/shop && pwd); make",
    "bash -c 'cd /ws/task-a/shop && make'",
    "cd /ws/task-a/shop && mkdir -p /ws/scratch && touch /ws/scratch/a",  # nobody's workspace
    "cd /ws/task-a/shop && rm -f build/*.o && find . -name '*.pyc' -delete",
    "cd /ws/task-a/shop && sed -n 's/a/b/p' /home/me/shop/a.txt",
    "cd ~/elsewhere && make",
    "cd '/ws/task-a/shop/pages/[id]' && touch 'page [1].tsx'",
]

REFUSED = {
    "make test": "`make` would work in /home/me/shop",
    "touch a.txt": "/home/me/shop/a.txt is not yours to change; use /ws/task-a/shop/a.txt",
    "echo x > a.txt": "/home/me/shop/a.txt is not yours to write; write to /ws/task-a/shop/a.txt",
    "git commit -am x": "`git` would work in /home/me/shop",
    "cd /home/me/shop && make": "`make` would work in /home/me/shop",
    "cd /ws/task-a/shop && make && cd /home/me/shop/src && make": "`make` would work in /home/me/shop/src",
    "cd /ws/task-a/shop && cd ../../task-b/shop && git commit -am x": "`git` would work in /ws/task-b/shop",
    "cd /ws/task-a/shop && git -C /home/me/shop reset --hard": "`git` would work in /home/me/shop",
    "cd /ws/task-a/shop && echo x >> /home/me/shop/a.txt": "write to /ws/task-a/shop/a.txt",
    "cd /ws/task-a/shop && make | tee /home/me/shop/log": "/home/me/shop/log is not yours to change",
    "cd /ws/task-a/shop && cp a.txt /home/me/shop/a.txt": "/home/me/shop/a.txt is not yours to change",
    "cd /ws/task-a/shop && mv /home/me/shop/a.txt .": "/home/me/shop/a.txt is not yours to change",
    "cd /ws/task-a/shop && sed -i s/a/b/ /home/me/shop/a.txt": "/home/me/shop/a.txt is not yours to change",
    "cd /ws/task-a/shop && rm -rf /ws/task-b/shop": "/ws/task-b/shop is not yours to change",
    "cd /ws/task-a/shop && git commit -qm x && git push origin HEAD": "do not push",
    "git -C /ws/task-a/shop push": "do not push",
    "rm -rf maestro": "/home/me/shop/maestro is not yours to change",
    "FOO=1 python3 build.py": "`python3` would work in /home/me/shop",
    "if true; then make; fi": "`make` would work in /home/me/shop",
    "(cd /ws/task-a/shop && make); rm -rf build": "/home/me/shop/build is not yours to change",
    "cd /ws/task-a/shop && rm -rf /home/me/shop/*": "/home/me/shop/* is not yours to change",
    "cd /ws/task-a/shop && rm -rf ../../task-*/shop": "/ws/task-*/shop is not yours to change",
    "cd '/ws/task-b/shop [1]' && make": "`make` would work in /ws/task-b/shop [1]",
    "cd /ws/task-a/shop && bash -c 'cd /home/me/shop && make'": "`make` would work in /home/me/shop",
    "cd /ws/task-a/shop && sh -c 'git push'": "do not push",
    "cd /ws/task-a/shop && timeout -k 5 60 git push": "do not push",
    "cd /ws/task-a/shop && sudo rm /home/me/shop/a.txt": "/home/me/shop/a.txt is not yours to change",
    "cd /ws/task-a/shop && find /home/me/shop -name x -delete": "/home/me/shop is not yours to change",
    "cd /ws/task-a/shop && perl -pi -e s/a/b/ /home/me/shop/a": "/home/me/shop/a is not yours to change",
    "cd /ws/task-a/shop && sed -i s/a/b/ /home/me/shop/a b": "/home/me/shop/a is not yours to change",
    "cd /ws/task-a/shop && dd if=a of=/home/me/shop/a": "/home/me/shop/a is not yours to change",
    "cd /ws/task-a/shop && git --work-tree=/home/me/shop checkout .": "`git` would work in /home/me/shop",
    "(echo a; echo b)> /home/me/shop/x": "/home/me/shop/x is not yours to write",
    "# it's mine\nmake": "`make` would work in /home/me/shop",
    "make 'unfinished": "`make` would work in /home/me/shop",
}


@pytest.mark.parametrize("command", ALLOWED)
def test_work_in_the_workspace_and_looking_around_are_let_through(command: str) -> None:
    assert refuse_command(command, USERS, FENCE) is None


@pytest.mark.parametrize("command", REFUSED)
def test_work_on_what_belongs_to_others_is_refused_with_what_to_do(command: str) -> None:
    why = refuse_command(command, USERS, FENCE)
    assert why is not None
    assert REFUSED[command] in why
    assert "cd /ws/task-a/shop && " in why or "push" in why


def test_a_shell_that_stands_in_the_workspace_needs_no_cd() -> None:
    assert refuse_command("make test && git commit -am x", FENCE.workspace, FENCE) is None


def test_in_place_any_command_is_let_through_but_a_push() -> None:
    in_place = Fence(USERS, USERS)
    assert refuse_command("make && rm -rf ../other", USERS, in_place) is None
    assert refuse_command("git push", USERS, in_place) is not None


def test_links_and_the_home_are_seen_through() -> None:
    names = {"/ws/task-a/shop/out": "/home/me/shop", "/me/shop": "/home/me/shop", "~/shop": "/home/me/shop"}

    def real(path: Path) -> Path:
        return next((Path(names[one] + str(path)[len(one) :]) for one in names if str(path).startswith(one)), path)

    fence = FENCE._replace(real=real)
    for command in ("cd ~/shop && make", "cd /me/shop && make", "echo x > out/a.txt", "rm ~/shop/a.txt"):
        assert refuse_command(command, FENCE.workspace, fence) is not None
        assert refuse_command(command.replace("shop", "other").replace("out/", ""), FENCE.workspace, fence) is None
