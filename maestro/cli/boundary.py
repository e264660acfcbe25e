"""The only place that turns errors into words and exit codes.

0 all well · 1 something failed · 2 usage or bad input · 3 blocked or busy · 70 a bug of maestro's own ·
124 timeout · 130 interrupted
"""

from __future__ import annotations

import contextlib
import errno
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import click

from maestro.cli import output
from maestro.cli.app import App
from maestro.errors import MaestroError

USAGE = 2
BUG = 70
INTERRUPTED = 130

OURSELVES = "flow-maestro"
"""The distribution, whose installation brings all that is needed."""

DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""Refusals of a disk are no bugs, wherever they are met."""


def guarded(command: click.Command, argv: Sequence[str] | None = None) -> int:
    """Run the command line; whatever happens, the exit code, with at most one sentence and a hint said."""
    args = list(sys.argv[1:] if argv is None else argv)
    output.prepare_streams()
    app = App(output.Output(as_json=wants_json(args)))
    code = explained(app, lambda: command.main(args, prog_name="maestro", standalone_mode=False, obj=app))
    if code == 0:
        return explained(app, output.flush)
    with contextlib.suppress(MaestroError):  # one error is enough
        output.flush()
    return code


def explained(app: App, act: Callable[[], object]) -> int:
    """Do it; an int it returns is the exit code."""
    try:
        result = act()
    except MaestroError as error:
        return _say(app, error.exit_code, error.message, error.hint)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "maestro"
        return _say(app, USAGE, _one_line(error.format_message()), f"see `{path} --help`")
    except click.ClickException as error:
        return _say(app, USAGE, _one_line(error.format_message()), "")
    except (KeyboardInterrupt, click.Abort):
        return _say(app, INTERRUPTED, "interrupted", "")
    except SystemExit as error:  # click leaves so after shell completion, and when nobody reads its help any more
        return error.code if isinstance(error.code, int) else 0
    except ModuleNotFoundError as error:
        return _say(app, *_missing(app, error))
    except OSError as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # click ends the line, and the terminal is gone
            return _say(app, INTERRUPTED, "interrupted", "")
        if error.errno not in DISK:
            return _say(app, BUG, *_bug(app, error))
        where = f": {error.filename}" if error.filename else ""
        return _say(app, 1, f"{(error.strerror or 'the disk refuses').lower()}{where}", "make room, or work elsewhere")
    except Exception as error:
        return _say(app, BUG, *_bug(app, error))
    return result if isinstance(result, int) else 0


def wants_json(args: Sequence[str]) -> bool:
    """Whether the answer must be JSON, told from the bare words: a usage error comes before any parsing."""
    words = list(args[: args.index("--")] if "--" in args else args)
    return "--json" in words or "--format=json" in words or ("--format", "json") in pairwise(words)


def _say(app: App, code: int, message: str, hint: str) -> int:
    with contextlib.suppress(MaestroError):  # standard output is gone: the exit code has to do
        app.output.error(message, hint)
    return code


def _one_line(message: str) -> str:
    return " ".join(message.split())


def _missing(app: App, error: ModuleNotFoundError) -> tuple[int, str, str]:
    """A package that is not installed is no bug; one of ours is."""
    package = (error.name or "").partition(".")[0]
    if package in ("", "maestro"):
        return BUG, *_bug(app, error)
    return USAGE, f"the Python package {package} is not installed", f"install maestro with it: pip install {OURSELVES}"


def _bug(app: App, error: Exception) -> tuple[str, str]:
    """Write the traceback where it can be found again; what to say about it."""
    import traceback

    what = f"{type(error).__name__}: {_one_line(str(error))}"[:200]
    try:
        log = _crash_log(app)
        told = app.output.redactor.mask("".join(traceback.format_exception(error)))
        log.write_text(told, encoding="utf-8", errors="backslashreplace")
    except (OSError, MaestroError):
        return f"maestro met a bug of its own ({what})", "please report it with the command line you used"
    return f"maestro met a bug of its own ({what}); the traceback is in {log}", "please report it with that file"


def _crash_log(app: App) -> Path:
    """A new file in the state directory of the repository where there is one, else in the temporary one."""
    import os
    import tempfile

    from maestro.store.ignorefile import hide

    folder = Path(tempfile.gettempdir())
    for parent in (app.directory, *app.directory.parents):
        state = parent / ".flow" / "maestro"
        if state.is_dir() and os.access(state, os.W_OK):
            folder = state / "crashes"
            folder.mkdir(exist_ok=True)
            hide(folder)
            break
    handle, name = tempfile.mkstemp(prefix="maestro-crash-", suffix=".log", dir=folder)
    os.close(handle)
    return Path(name)
