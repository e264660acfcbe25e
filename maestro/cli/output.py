"""The only writer to standard output and standard error of the command line."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

from maestro.errors import StateError, error_object, sentence

if TYPE_CHECKING:  # `maestro --help` prints nothing of anybody's
    from maestro.model.redaction import Redactor

_FOR_AGENTS = frozenset({"prompt"})
"""Of a result, what was masked when it was made, and may speak of what keys look like."""


class Output:
    """Results go to standard output, words about them to standard error. `as_json`: results are one JSON object.

    Secrets are masked, whatever is printed.
    """

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.environ: Mapping[str, str] = os.environ
        self._redactor: Redactor | None = None

    @property
    def redactor(self) -> Redactor:
        """What is secret: variables, and what a command adds to them."""
        if self._redactor is None:
            from maestro.model.redaction import redactor_of

            self._redactor = redactor_of(self.environ)
        return self._redactor

    def text(self, *lines: str) -> None:
        """Lines of a result."""
        self._write(sys.stdout, "".join(f"{line}\n" for line in lines))

    def json(self, value: Any) -> None:
        """The one JSON object of a result; plain ASCII, so that no terminal's encoding can break it."""
        _write(sys.stdout, json.dumps(self.redactor.mask_tree(value, _FOR_AGENTS), indent=2, default=str) + "\n")

    def raw(self, data: bytes) -> None:
        """Bytes of a result as they are (pictures, logs that were masked piece by piece)."""
        sys.stdout.flush()
        with _broken_pipe_is_fine(sys.stdout):
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()

    def note(self, line: str) -> None:
        """A word for people, left out by --quiet."""
        if not self.quiet:
            self._write(sys.stderr, f"{line}\n")

    def warn(self, message: str) -> None:
        """Something that does not stop the command."""
        self._write(sys.stderr, f"{colour('Warning:', 'yellow', sys.stderr)} {message}\n")

    def error(self, message: str, hint: str) -> None:
        """What stopped the command: a sentence, and what to do about it."""
        if self.as_json:
            self.json(error_object(message, hint))
        self.complain(message, hint)

    def complain(self, message: str, hint: str = "") -> None:
        """The same on standard error only, for a command whose result was printed all the same."""
        self._write(sys.stderr, f"{colour('Error:', 'red', sys.stderr)} {sentence(message)}\n")
        if hint:
            self._write(sys.stderr, f"{colour('Hint:', 'cyan', sys.stderr)} {sentence(hint)}\n")

    def _write(self, stream: TextIO, text: str) -> None:
        _write(stream, self.redactor.mask(text))


def is_screen(stream: TextIO) -> bool:
    """Whether the stream is a terminal that can be drawn on."""
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def use_colour(stream: TextIO) -> bool:
    """On such a terminal, unless NO_COLOR is set."""
    return is_screen(stream) and not os.environ.get("NO_COLOR")


def colour(text: str, name: str, stream: TextIO) -> str:
    """The text in bold and a colour where the stream shows colours."""
    import click

    return click.style(text, fg=name, bold=True) if use_colour(stream) else text


def prepare_streams() -> None:
    """Names with bytes that are no text are shown escaped instead of ending in a traceback; a stream that was
    closed before the start (`2>&-`) swallows what it gets."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - for as long as the process lives
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def flush() -> None:
    """Push out what is buffered while an error can still be handled."""
    for stream in (sys.stdout, sys.stderr):
        with _broken_pipe_is_fine(stream):
            stream.flush()


def _write(stream: TextIO, text: str) -> None:
    with _broken_pipe_is_fine(stream):
        stream.write(text)
        stream.flush()


@contextlib.contextmanager
def _broken_pipe_is_fine(stream: TextIO) -> Any:
    """`maestro … | head` must neither end in a traceback nor change the exit code; nor must words that cannot be said,
    as in a terminal that was closed: only what is lost of a result is a StateError."""
    try:
        yield
    except BrokenPipeError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except OSError as error:
        with contextlib.suppress(OSError, ValueError):  # or Python would try again, and complain, at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if stream is not sys.stderr:
            raise StateError(f"{stream.name} cannot be written: {error.strerror}") from error
