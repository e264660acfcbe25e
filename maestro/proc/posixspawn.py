"""`posix_spawn` that lets other threads of ours go on meanwhile.

A child borrows our memory until its program begins, and the thread that started it waits for that: 0.2 ms on an idle
machine, 2 ms on a busy one. `os.posix_spawn` and `subprocess` keep the interpreter's lock all that time.
"""

from __future__ import annotations

import ctypes
import fcntl
import functools
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress

_SETSIGDEF, _SETSID = 0x04, 0x80  # POSIX_SPAWN_… in spawn.h, of glibc and of musl

_PYTHON_IGNORES = (signal.SIGPIPE, signal.SIGXFSZ)

_STRUCTURE = ctypes.c_uint64 * 128
"""More than enough for each of the structures that only the C library looks into: the largest of glibc and musl,
posix_spawnattr_t, has 336 bytes."""


class FileActions:
    """What the child does with its descriptors, in order, before its program begins. OSError where memory is short."""

    def __init__(self) -> None:
        self._held = _STRUCTURE()
        _check(_quick().posix_spawn_file_actions_init(self._held))

    def open(self, fd: int, path: str, flags: int, mode: int) -> None:
        """As `os.open`, to be `fd` there."""
        _check(_quick().posix_spawn_file_actions_addopen(self._held, fd, _word(path), flags, mode))

    def dup2(self, fd: int, there: int) -> None:
        """Ours, to be `there` there; it is not closed on exec."""
        _check(_quick().posix_spawn_file_actions_adddup2(self._held, fd, there))

    def close_above(self, last: int) -> None:
        """What whoever started us left open for all that we start is no business of the child's. What is opened here is
        closed on exec anyway."""
        if _can_close_all():
            _check(_quick().posix_spawn_file_actions_addclosefrom_np(self._held, last + 1))
            return
        for fd in _inherited():
            if fd > last:
                _check(_quick().posix_spawn_file_actions_addclose(self._held, fd))

    def chdir(self, path: str) -> None:
        """Begin in that directory; only where `can_chdir`."""
        _check(_quick().posix_spawn_file_actions_addchdir_np(self._held, _word(path)))

    def spawn(self, argv: Sequence[str], env: Mapping[str, str], *, new_session: bool = False) -> int:
        """The process id of `argv`, whose first is a path; to be called once. It heeds the signals that Python ignores.

        OSError as of `os.posix_spawn`; ValueError where an argument or a variable holds what none can.
        """
        try:
            words = [_word(word) for word in argv]
            variables = [_variable(name, value) for name, value in env.items()]
            pid = ctypes.c_int()
            code = _library().posix_spawn(
                ctypes.byref(pid), words[0], self._held, _attributes(new_session), _array(words), _array(variables)
            )
            _check(code, argv[0])
            return pid.value
        finally:
            _quick().posix_spawn_file_actions_destroy(self._held)


def above(least: int, fd: int) -> int:
    """The same, where the child's own descriptors do not overwrite it: whoever started us may have closed these."""
    if fd > least:
        return fd
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, least + 1)
    finally:
        os.close(fd)


@functools.cache
def can_chdir() -> bool:
    """Whether the C library can start a child in another directory, and in a session of its own: glibc since 2.29."""
    return hasattr(_quick(), "posix_spawn_file_actions_addchdir_np")


@functools.cache
def _can_close_all() -> bool:
    """Whether the C library closes whatever is open by then, also beyond a lowered limit: glibc since 2.34."""
    return hasattr(_quick(), "posix_spawn_file_actions_addclosefrom_np")


def _variable(name: str, value: str) -> bytes:
    if "=" in name:
        raise ValueError("illegal environment variable name")
    return _word(f"{name}={value}")


def _word(text: str) -> bytes:
    """C would take it to end at the first null byte."""
    word = os.fsencode(text)
    if b"\0" in word:
        raise ValueError("embedded null byte")
    return word


def _array(words: Sequence[bytes]) -> ctypes.Array[ctypes.c_char_p]:
    return (ctypes.c_char_p * (len(words) + 1))(*words)  # the last one stays a null pointer


def _check(code: int, path: str | None = None) -> None:
    """These functions return the number of the error, and do not set errno."""
    if code:
        raise OSError(code, os.strerror(code), path)


@functools.cache
def _library() -> ctypes.CDLL:
    """Gives up the interpreter's lock while it works …"""
    return ctypes.CDLL(None)


@functools.cache
def _quick() -> ctypes.PyDLL:
    """… and keeps it: for what takes less time than to give it up."""
    return ctypes.PyDLL(None)


@functools.cache
def _attributes(new_session: bool) -> ctypes.Array[ctypes.c_uint64]:
    """The same for every such child, and only read from now on."""
    made, signals = _STRUCTURE(), _STRUCTURE()
    library = _quick()
    _check(library.posix_spawnattr_init(made))
    library.sigemptyset(signals)
    for number in _PYTHON_IGNORES:
        library.sigaddset(signals, int(number))
    _check(library.posix_spawnattr_setsigdefault(made, signals))
    flags = _SETSIGDEF | (_SETSID if new_session else 0)
    _check(library.posix_spawnattr_setflags(made, ctypes.c_short(flags)))
    return made


@functools.cache
def _inherited() -> tuple[int, ...]:
    found, limit = [], os.sysconf("SC_OPEN_MAX")  # one above it, from before it was lowered, would be refused
    for entry in os.scandir("/proc/self/fd"):
        with suppress(OSError):  # that of the listing itself is gone
            if 2 < int(entry.name) < limit and os.get_inheritable(int(entry.name)):
                found.append(int(entry.name))
    return tuple(found)
