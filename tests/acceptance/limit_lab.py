"""The crash lab for a run whose agent meets a limit (`crash_lab.py` says how it works). Run as a script.

The agent speaks as `claude` does, and remembers its conversations: the first request of each task that a conversation
has begun is refused for a second, and only who goes on with that conversation, in its workspace, can end the work.
"""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any

AGENT = f"""\
#!/bin/sh
exec {sys.executable} -S {Path(__file__)} agent "$@"
"""


def agent(argv: list[str]) -> int:
    """One `claude -p`."""
    if "--version" in argv:
        print("2.1.197 (Claude Code)")
        return 0
    task, memory = os.environ["MAESTRO_TASK_ID"], Path(os.environ["LAB"])
    session = argv[argv.index("--resume") + 1] if "--resume" in argv else None
    known = memory / f"{task}.session"
    with (memory / f"{task}.starts").open("a") as file:
        file.write(f"{session}\n")
    if session is None:
        session = str(uuid.uuid4())
        said = _say(session)
        Path(f"{task}-1.txt").write_text("half of it\n")
        known.write_text(json.dumps([session, str(Path.cwd())]))
        words = f"Claude AI usage limit reached|{int(time.time()) + 1}"
        said(assistant("half of it"))
        said(result(words, is_error=True, api_error_status=429))
        return 1
    if not known.exists() or json.loads(known.read_text()) != [session, str(Path.cwd())]:
        sys.stderr.write(f"No conversation found with session ID: {session}\n")
        return 1
    said = _say(session)
    said(assistant("the other half"))
    half = Path(f"{task}-1.txt").read_text()
    Path(f"{task}-2.txt").write_text(f"{half}and the other\n")
    code = os.system("git add -A && git commit -qm work")
    said(result("done"))
    return os.waitstatus_to_exitcode(code)


def _say(session: str) -> Any:
    def said(event: dict[str, Any]) -> None:
        print(json.dumps({**event, "session_id": session}), flush=True)

    said({"type": "system", "subtype": "init"})
    return said


def assistant(text: str) -> dict[str, Any]:
    return {"type": "assistant", "message": {"id": text, "model": "m", "content": [{"type": "text", "text": text}]}}


def result(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "result", "subtype": "success", "is_error": False, "num_turns": 1, "result": text, **more}


def main() -> None:
    import crash_lab

    class LimitPlace(crash_lab.Place):
        def __init__(self, scenario: Path, at: Path) -> None:
            super().__init__(scenario, at)
            program = at / "claude"
            program.write_text(AGENT)
            program.chmod(0o755)
            os.environ["MAESTRO_AGENTS"] = json.dumps({"claude": {"executable": str(program)}})
            os.environ |= {"MAESTRO_ENV_ALLOW": "LAB", "MAESTRO_MAX_LOAD": "0"}

        def _flags(self) -> list[str]:
            return ["--agent", "claude", "--workspace-root", str(self.at / "ws"), *map(str, self.spec["flags"])]

        def end_state(self) -> dict[str, Any]:
            starts = {
                path.stem: sum(line == "None" for line in path.read_text().splitlines())
                for path in (self.at / "memory").glob("*.starts")
            }
            return {**super().end_state(), "conversations": starts}

    crash_lab.Place = LimitPlace  # type: ignore[misc]
    what, scenario, work = sys.argv[1], Path(sys.argv[2]).absolute(), Path(sys.argv[3]).absolute()
    if what == "undisturbed":
        print(json.dumps(crash_lab.undisturbed(scenario, work, None)))
        return
    order = json.loads(sys.stdin.read())
    for stop_at in order["boundaries"]:
        print(json.dumps(crash_lab.try_one(scenario, work, stop_at, order["expected"], None)), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["agent"]:
        sys.exit(agent(sys.argv[2:]))
    main()
