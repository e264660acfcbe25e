"""An agent that follows a script instead of a model: for the demo, rehearsals and tests.

Run as `python -m maestro.agents.scripted SCRIPT.json`, in a workspace, as any other command. The script maps a task id
to its attempts, each a list of steps; the last attempt's steps serve all later ones as well:

    {"greet": [[{"say": "thinking"}, {"exit": 1}],
               [{"write": "greet.py", "text": "…"}, {"commit": "Greet people"}]]}

Steps: say TEXT · sleep SECONDS · write PATH with text · append PATH with text · remove PATH · commit MESSAGE ·
report {…} (the report file of A-2) · exit CODE. Imports little, since it starts once for each attempt.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def steps_for(script: dict[str, Any], task: str, attempt: int) -> list[dict[str, Any]]:
    """Steps of one attempt, counted from 1; KeyError for a task that is not in the script."""
    attempts: list[list[dict[str, Any]]] = script[task]
    return attempts[min(attempt, len(attempts)) - 1]


def carry_out(step: dict[str, Any]) -> int | None:
    """Do one step in the current directory; an exit code where it says to end."""
    match step:
        case {"say": text}:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
        case {"sleep": seconds}:
            time.sleep(seconds)
        case {"write": path, "text": text}:
            _open(path, "w", text)
        case {"append": path, "text": text}:
            _open(path, "a", text)
        case {"remove": path}:
            Path(path).unlink()
        case {"commit": message}:
            subprocess.run(["git", "add", "-A"], check=True)
            subprocess.run(["git", "commit", "-q", "-m", message], check=True)
        case {"report": report}:
            Path(os.environ["MAESTRO_REPORT_FILE"]).write_text(json.dumps(report))
        case {"exit": code}:
            return int(code)
        case _:
            raise ValueError(f"unknown step {step!r}")
    return None


def _open(path: str, mode: str, text: str) -> None:
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open(mode, encoding="utf-8") as file:
        file.write(text)


def main(argv: list[str]) -> int:
    """Follow the script named on the command line for the task and attempt named by the environment."""
    script = json.loads(Path(argv[0]).read_text(encoding="utf-8"))
    attempt = int(os.environ["MAESTRO_ATTEMPT"].rpartition("/")[2])
    for step in steps_for(script, os.environ["MAESTRO_TASK_ID"], attempt):
        if (code := carry_out(step)) is not None:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
