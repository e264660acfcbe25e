"""`maestro demo`: a whole run to watch, offline and without a key (C-5)."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from maestro.cli.app import App
from maestro.cli.options import output_options

PROJECT = {
    "shop/__init__.py": "",
    "shop/menu.txt": "tea\n",
    "shop/prices.py": 'PRICES = {"tea": 2}\n\n\ndef price(item):\n    return PRICES[item]\n',
    "tests/__init__.py": "",
    "tests/test_prices.py": (
        "import unittest\n\nfrom shop.prices import price\n\n\n"
        "class Prices(unittest.TestCase):\n    def test_tea(self):\n        self.assertEqual(price('tea'), 2)\n"
    ),
}

BACKLOG: list[dict[str, Any]] = [
    {"id": "basket", "title": "A basket that holds items", "priority": 1},
    {"id": "receipt", "title": "Print a receipt for a basket", "dependencies": ["basket"]},
    {"id": "discount", "title": "Ten percent off from three items on", "dependencies": ["basket"]},
    {"id": "coffee", "title": "Sell coffee"},
    {"id": "cocoa", "title": "Sell cocoa"},
    {"id": "opening-hours", "title": "Say when the shop is open"},
    {"id": "currency", "title": "Change the price of tea"},
    {"id": "invoice", "title": "Invoices in the new currency", "dependencies": ["currency"]},
]

SCRIPT: dict[str, list[list[dict[str, Any]]]] = {
    "basket": [
        [
            {"write": "shop/basket.py", "text": "class Basket(list):\n    pass\n"},
            {"commit": "Add a basket"},
        ]
    ],
    "receipt": [
        [
            {"write": "shop/receipt.py", "text": "def receipt(basket):\n    return '\\n'.join(basket)\n"},
            {"commit": "Print receipts"},
        ]
    ],
    "discount": [
        [
            {"write": "shop/discount.py", "text": "def discount(basket):\n    return 0.1 if len(basket) >= 3 else 0\n"},
            {"commit": "Give a discount"},
        ]
    ],
    # both add a line at the same place: the one that comes second is done again on the new base
    "coffee": [[{"append": "shop/menu.txt", "text": "coffee\n"}, {"commit": "Sell coffee"}]],
    "cocoa": [[{"append": "shop/menu.txt", "text": "cocoa\n"}, {"commit": "Sell cocoa"}]],
    # gives up the first time, without a commit
    "opening-hours": [
        [{"say": "I could not find the opening hours."}, {"exit": 1}],
        [{"write": "shop/hours.py", "text": "OPEN, CLOSE = 8, 18\n"}, {"commit": "Say when the shop is open"}],
    ],
    # says done, and breaks a test: found on the combined result, sent back, and out of attempts
    "currency": [
        [
            {"write": "shop/prices.py", "text": 'PRICES = {"tea": 3}\n\n\ndef price(item):\n    return PRICES[item]\n'},
            {"commit": "Raise the price of tea"},
        ]
    ],
    "invoice": [[{"write": "shop/invoice.py", "text": ""}, {"commit": "Write invoices"}]],
}

EXPECTED = {
    **dict.fromkeys(["basket", "receipt", "discount", "coffee", "cocoa", "opening-hours"], "landed"),
    "currency": "failed",
    "invoice": "blocked",
}


@click.command("demo")
@click.option("--keep", metavar="DIR", help="Make the repository in DIR, which must not exist, and keep it.")
@output_options
@click.pass_obj
def command(app: App, keep: str | None) -> int:
    """Watch a run: eight tasks, a conflict, a failure, a retry. Needs no key, no network and no tracker."""
    from maestro.errors import BadInput

    folder = Path(keep).absolute() if keep else Path(tempfile.mkdtemp(prefix="maestro-demo-"))
    if keep and folder.exists():
        raise BadInput(f"{folder} exists already", hint="name a folder that does not")
    try:
        return _show(app, folder)
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _show(app: App, folder: Path) -> int:
    from maestro.cli.outcome import say_outcome
    from maestro.cli.progress import progress_observers
    from maestro.coordinator import ParallelCoordinator

    project = make_project(folder)
    app.output.note(f"A small repository with eight tasks, in {project}:")
    environ = {name: value for name, value in app.environ.items() if not name.startswith("MAESTRO_")}
    coordinator = ParallelCoordinator(project, environ=environ)
    settings = coordinator.settings(
        {
            "tasks_file": str(folder / "tasks.json"),
            "agent_command": shlex.join([sys.executable, "-m", "maestro.agents.scripted", str(folder / "script.json")]),
            "test_command": shlex.join([sys.executable, "-m", "unittest", "-q"]),
            "workspace_root": str(folder / "workspaces"),
            "max_parallel": 4,
        }
    )
    ended = coordinator.run(settings, run_id="demo", observers=progress_observers(app))
    say_outcome(app, ended.result)
    if not app.output.as_json:
        app.output.text(
            "", "What landed, newest first:", _git(project, "log", "--graph", "--oneline", "integration/demo")
        )
        app.output.note("This is a rehearsal by script; next: `maestro run` in a repository of your own.")
    got = {task: entry["status"] for task, entry in ended.result["tasks"].items()}
    conflicts = ended.result["metrics"]["conflicts"]
    return 0 if got == EXPECTED and conflicts >= 1 else 1


def make_project(folder: Path) -> Path:
    """The repository, its backlog and the script in a folder; the repository's path."""
    project = folder / "shop"
    for name, text in PROJECT.items():
        target = project / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    (folder / "tasks.json").write_text(json.dumps({"tasks": BACKLOG}, indent=2))
    (folder / "script.json").write_text(json.dumps(SCRIPT))
    _git(project, "init", "-q", "-b", "main")
    _git(project, "config", "user.name", "Demo")
    _git(project, "config", "user.email", "demo@localhost")
    _git(project, "add", "-A")
    _git(project, "commit", "-q", "-m", "A shop that sells tea")
    return project


def _git(project: Path, *args: str) -> str:
    from maestro.vcs.git import Git

    return Git(project).text(*args)
