"""What a coordinator uses while it waits for its agents (Q-2).

`python benchmarks/idle.py [--agents 50] [--seconds 60] [--beat 3] [--json] [--strict]`

Three coordinators after one another, each with `--agents` live agents:

- *silent*: the agents sleep, as a command that prints nothing does.
- *streaming*: they print an event every `--beat` seconds, as claude does in stream-json; the adapter is that of
  claude, the program behind it a shell script that knows the form of its events.
- *on a terminal*: the silent ones, with the live table drawn on a pseudo-terminal.

Measured over `--seconds` once all agents run: CPU of the coordinator and of the children that it waited for (what git
it calls), its memory, how often it woke. Then the agents may end, and all must land. The goals: under 1 % of one core
and under 150 MiB. The machine's own noise is in the figures of /proc, so a busy one shows a little more.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from arena import build_repository, clean_environment, default_location, file_system_of
from contenders import find_maestro
from footprint import look_at

GOAL_CPU_PERCENT = 1.0
GOAL_PSS_MIB = 150.0
STARTED_SECONDS = 120.0
SETTLE_SECONDS = 3.0

WORK = """\
printf 'made by %s\\n' "$MAESTRO_TASK_ID" >"result-$MAESTRO_TASK_ID.txt"
git add . && git commit -q -m "Do $MAESTRO_TASK_ID"
"""

# opening a FIFO to read blocks in the kernel until somebody opens it to write
SILENT = f"""\
: >"$PLACE/started-$MAESTRO_TASK_ID"
read -r _ <"$PLACE/go"
{WORK}"""

STREAMING = f"""\
#!/bin/sh
[ "$1" = --version ] && {{ echo '2.1.197 (Claude Code)'; exit; }}
: >"$PLACE/started-$MAESTRO_TASK_ID"
echo '{{"type": "system", "subtype": "init", "session_id": "s", "model": "m", "cwd": "."}}'
while [ ! -e "$PLACE/gone" ]; do
    sleep $BEAT
    echo '{{"type": "assistant", "session_id": "s", "message": {{"role": "assistant", "content": \
[{{"type": "text", "text": "Reading the files that this task is about, one after the other."}}]}}}}'
done
{WORK}
echo '{{"type": "result", "subtype": "success", "is_error": false, "num_turns": 3, "result": "done", \
"session_id": "s", "duration_api_ms": 5, "total_cost_usd": 0.01, "usage": {{"input_tokens": 1, "output_tokens": 1}}, \
"terminal_reason": "completed", "permission_denials": []}}'
"""


@dataclass(frozen=True)
class Idle:
    """One coordinator that waited."""

    name: str
    agents: int
    seconds: float
    cpu_percent: float  # of one core, the children it waited for included
    children_cpu_percent: float
    wakeups_per_second: float
    rss_mib: float
    pss_mib: float
    open_files: int
    threads: int
    landed: int

    @property
    def reached(self) -> bool:
        return self.cpu_percent < GOAL_CPU_PERCENT and self.pss_mib < GOAL_PSS_MIB and self.landed == self.agents


class Scene:
    """A repository, agents that wait for a word, and one coordinator over them."""

    def __init__(self, root: Path, args: argparse.Namespace) -> None:
        self.root, self.args = root, args
        self.place = root / "place"
        self.place.mkdir(parents=True)
        os.mkfifo(self.place / "go")
        self.repository = root / "project"
        self.env = clean_environment(root / "home")
        build_repository(self.repository, args.files, self.env)
        tasks = [{"id": str(number), "title": f"Do task {number}"} for number in range(args.agents)]
        (root / "tasks.json").write_text(json.dumps(tasks))

    def command(self, streaming: bool) -> list[str]:
        """`maestro run` with one of the two agents."""
        agent = self.root / "agent"
        text = STREAMING if streaming else SILENT
        agent.write_text(text.replace("$PLACE", str(self.place)).replace("$BEAT", f"{self.args.beat:g}"))
        agent.chmod(0o755)
        (self.root / "config.toml").write_text(f'[agents.claude]\nexecutable = "{agent}"\n' if streaming else "")
        flags = ["--agent", "claude"] if streaming else ["--agent-command", f"sh {agent}"]
        return [
            str(find_maestro()), "--config", str(self.root / "config.toml"), "run", "--json", "--no-tests",
            "--tasks-file", str(self.root / "tasks.json"), "--max-parallel", str(self.args.agents),
            "--workspace-root", str(self.root / "workspaces"), *flags,
        ]  # fmt: skip

    def wait_until_all_run(self, process: subprocess.Popen[str]) -> None:
        """All agents have said that they began."""
        deadline = time.monotonic() + STARTED_SECONDS
        while len(list(self.place.glob("started-*"))) < self.args.agents:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                sys.exit(f"idle: the agents did not all start: {process.communicate()}")
            time.sleep(0.1)
        time.sleep(SETTLE_SECONDS)

    def let_go(self) -> None:
        """Every agent ends."""
        (self.place / "gone").touch()
        with suppress(OSError):  # ENXIO: nobody reads, the agents stream
            os.close(os.open(self.place / "go", os.O_WRONLY | os.O_NONBLOCK))


def wait(name: str, scene: Scene, *, streaming: bool = False, terminal: bool = False) -> Idle:
    """Start, wait, measure, end."""
    screen, screen_end = pty.openpty()
    reading = threading.Thread(target=_read_all, args=(screen,), daemon=True)
    reading.start()
    process = subprocess.Popen(
        scene.command(streaming), cwd=scene.repository, env=scene.env | {"TERM": "xterm"}, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=screen_end if terminal else subprocess.DEVNULL,
    )  # fmt: skip
    os.close(screen_end)
    scene.wait_until_all_run(process)
    before, begin = look_at(process.pid), time.monotonic()
    time.sleep(scene.args.seconds)
    after, seconds = look_at(process.pid), time.monotonic() - begin
    scene.let_go()
    out, _ = process.communicate(timeout=300)
    children = after.children_cpu_seconds - before.children_cpu_seconds
    statuses = [task["status"] for task in json.loads(out)["tasks"].values()]
    return Idle(
        name=name,
        agents=scene.args.agents,
        seconds=seconds,
        cpu_percent=100 * (after.cpu_seconds - before.cpu_seconds + children) / seconds,
        children_cpu_percent=100 * children / seconds,
        wakeups_per_second=(after.wakeups - before.wakeups) / seconds,
        rss_mib=after.rss_mib,
        pss_mib=after.pss_mib,
        open_files=after.open_files,
        threads=after.threads,
        landed=statuses.count("landed"),
    )


def _read_all(screen: int) -> None:
    """Else the coordinator would wait for a terminal that nobody looks at."""
    with suppress(OSError):
        while os.read(screen, 65536):
            pass
    os.close(screen)


def table(rows: list[Idle]) -> list[str]:
    """Lines for people."""
    head = f"{'':14}{'CPU %':>8}{'wake-ups/s':>12}{'RSS MiB':>9}{'PSS MiB':>9}{'files':>7}{'threads':>9}{'landed':>8}"
    lines = [
        f"{row.name:14}{row.cpu_percent:8.2f}{row.wakeups_per_second:12.1f}{row.rss_mib:9.1f}{row.pss_mib:9.1f}"
        f"{row.open_files:7}{row.threads:9}{row.landed:8}  {'reached' if row.reached else 'missed'}"
        for row in rows
    ]
    return [head, *lines]


def main() -> int:
    """Exit code 1 when agents did not land, or a goal was missed under --strict."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--agents", type=int, default=50, help="live agents (50)")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to measure each (60)")
    parser.add_argument("--beat", type=float, default=3.0, help="seconds between two events of a streaming agent (3)")
    parser.add_argument("--files", type=int, default=2000, help="files in the repository (2000)")
    parser.add_argument("--only", choices=["silent", "streaming", "on a terminal"], help="one of the three")
    parser.add_argument("--location", type=Path, default=default_location(), help="where to work (a tmpfs)")
    parser.add_argument("--json", action="store_true", help="print one JSON list")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a goal is missed")
    args = parser.parse_args()
    if find_maestro() is None:
        sys.exit("idle: the maestro command was not found")
    rows = []
    for name in ("silent", "streaming", "on a terminal"):
        if args.only in (None, name):
            with tempfile.TemporaryDirectory(prefix="maestro-idle-", dir=args.location) as directory:
                scene = Scene(Path(directory), args)
                rows.append(wait(name, scene, streaming=name == "streaming", terminal=name == "on a terminal"))
    if args.json:
        print(json.dumps([asdict(row) | {"reached": row.reached} for row in rows], indent=2))
    else:
        print(f"{args.agents} agents, {args.seconds:g} s each, {file_system_of(args.location.resolve())}; goals: CPU "
              f"under {GOAL_CPU_PERCENT:g} % of one core, PSS under {GOAL_PSS_MIB:g} MiB")  # fmt: skip
        print("\n".join(table(rows)))
    failed = any(row.landed < row.agents for row in rows)
    return 1 if failed or (args.strict and not all(row.reached for row in rows)) else 0


if __name__ == "__main__":
    sys.exit(main())
