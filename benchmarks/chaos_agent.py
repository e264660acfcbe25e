"""The agent of chaos.py: what it does in an attempt follows from a seed, and it writes a diary outside the repository.

`python -S chaos_agent.py PLAN`, as the agent's command; PLAN is a JSON file with the seed, the shares of each way to
behave, and the diary. A line of the diary is written before what it says is done where that cannot be told afterwards
(a crash), else after it (a commit).
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

TASK = os.environ["MAESTRO_TASK_ID"]
MARK = os.environ["MAESTRO_ATTEMPT"]
REPORT = os.environ["MAESTRO_REPORT_FILE"]
HELD_BYTES = 400 << 20


class Diary:
    """Lines that several processes append to one file at once."""

    def __init__(self, path: str) -> None:
        self.path = path

    def write(self, what: str, **more: object) -> None:
        """One line, in one write."""
        line = {"task": TASK, "attempt": MARK, "what": what, "at": time.time(), **more}
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(fd, json.dumps(line).encode() + b"\n")
        os.close(fd)


def way_of(plan: dict[str, object], mark: str) -> tuple[str, random.Random]:
    """What to do in this attempt, and the dice for the details; the marker's random token is left out of it."""
    _token, _run, task, number, *_ = [*mark.split("/"), "1"]
    dice = random.Random(f"{plan['seed']}/{task}/{number}")
    shares = plan["shares"]
    assert isinstance(shares, dict)
    at = dice.random()
    for way, share in shares.items():
        at -= share
        if at < 0:
            return way, dice
    return "work", dice


def git(*args: str) -> str:
    """Output of git; SystemExit where it fails, as with an agent that sees its command fail."""
    done = subprocess.run(["git", *args], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"git {args[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def commit(diary: Diary, name: str, text: str) -> None:
    """One file, one commit."""
    with open(name, "w") as file:
        file.write(text)
    git("add", "--", name)
    git("commit", "-q", "-m", f"Chaos: {name} of {TASK}")
    diary.write("committed", commit=git("rev-parse", "HEAD"))


def report(status: str) -> None:
    """The report file of A-2."""
    with open(REPORT, "w") as file:
        json.dump({"status": status, "summary": f"{TASK} is {status}"}, file)


def crash(diary: Diary, dice: random.Random) -> None:
    """At some moment of its work: by an exit code, or by a signal that nobody can catch."""
    if dice.random() < 0.5:
        commit(diary, f"half-{TASK}.txt", "half of it\n")
    with open(f"scratch-{TASK}.txt", "w") as file:
        file.write("not yet committed\n")
    time.sleep(dice.uniform(0, 0.3))
    if dice.random() < 0.5:
        diary.write("crash", how="exit 1")
        sys.exit(1)
    diary.write("crash", how="kill -9")
    os.kill(os.getpid(), signal.SIGKILL)


def leave_daemon(diary: Diary) -> None:
    """A process in a session of its own that no process group, parent or open pipe leads to."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.chdir("/")
            nowhere = os.open(os.devnull, os.O_RDWR)
            for fd in range(3):
                os.dup2(nowhere, fd)
            os.execvp("sleep", ["sleep", "100000"])
        os._exit(0)
    os.wait()
    diary.write("daemon")


def main(plan_file: str) -> None:
    """One attempt."""
    with open(plan_file) as file:
        plan = json.load(file)
    diary = Diary(plan["diary"])
    way, dice = way_of(plan, MARK)
    diary.write("began", way=way)
    time.sleep(dice.uniform(*plan["think"]))
    if way == "crash":
        crash(diary, dice)
    elif way == "hang":
        diary.write("hang")
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        time.sleep(100000)
    elif way == "memory":
        diary.write("memory")
        held = bytearray(HELD_BYTES)
        for page in range(0, HELD_BYTES, 4096):
            held[page] = 1
        time.sleep(100000)
    elif way == "lie":
        report("done")
        diary.write("lie")
        return
    elif way == "break":
        commit(diary, "BROKEN", f"{TASK} makes the tests fail\n")
    elif way == "daemon":
        leave_daemon(diary)
    elif way == "shared":
        commit(diary, "shared.txt", f"{TASK}, attempt {MARK.split('/')[-1]}\n")
    for number in range(dice.choice((1, 1, 2))):
        commit(diary, f"result-{TASK}-{number}.txt", f"{TASK} {number}\n")
    report("done")
    diary.write("done")


if __name__ == "__main__":
    main(sys.argv[1])
