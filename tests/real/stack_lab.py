"""A machine for containers within this one: podman as root in namespaces of its own.

Its ports, addresses, firewall, processes and storage are in none of this machine's, so tests of it neither meet each
other nor what else is here, and all of it ends with its first process. Images are made of busybox, from no registry.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shutil
import subprocess
import tarfile
import time
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Self

IMAGE = "localhost/stack:1"
COMMANDS = ("sh", "nc", "sleep", "httpd", "cat", "mkdir", "echo")
SERVE = '#!/bin/sh\nmkdir -p /www; echo "$STACK" >/www/index.html; exec httpd -f -p "$1" -h /www\n'
SOCKET = "/run/podman.sock"
PATIENCE = 3
"""Seconds after which nobody answers."""

CGROUPS = Path("/sys/fs/cgroup")

UNSHARE = ("unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")

CONTAINERS = """\
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "/run/podman"
[network]
network_backend = "netavark"
network_config_dir = "/run/networks"
"""
STORAGE = '[storage]\ndriver = "vfs"\ngraphroot = "/run/storage"\nrunroot = "/run/storage-run"\n'

FIRST = f"""\
set -e
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /dev/shm
[ ! -d /var/lib/containers ] || mount -t tmpfs tmpfs /var/lib/containers
busybox ip link set lo up
podman system service --time=0 unix://{SOCKET} </dev/null >/dev/null 2>&1 &
echo ready
exec sleep infinity
"""


def can_have_machines() -> bool:
    """Whether the kernel lets us have one; it wants root, and containers may forbid it to that too."""
    return subprocess.run([*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/run"], capture_output=True).returncode == 0


class Machine:
    """Entered, it is up; left, it is gone."""

    def __init__(self, folder: Path) -> None:
        (folder / "containers.conf").write_text(CONTAINERS)
        (folder / "storage.conf").write_text(STORAGE)
        self._env = {
            **os.environ,
            "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "DOCKER_HOST": f"unix://{SOCKET}",
        }

    def __enter__(self) -> Self:
        # groups of processes are the one thing that has no namespace here: one machine at a time has some
        self._groups = os.open(CGROUPS, os.O_RDONLY)
        fcntl.flock(self._groups, fcntl.LOCK_EX)
        self._holder = subprocess.Popen([*UNSHARE, "sh", "-c", FIRST], env=self._env, stdout=subprocess.PIPE, text=True)
        try:
            self._first = self._find_first()
            assert self._holder.stdout is not None
            assert self._holder.stdout.readline() == "ready\n"
            self._wait_for_podman()
            self.run("podman", "import", "-", IMAGE, given=_image())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.run("podman", "rm", "--all", "--force", "--time", "0")
        finally:
            self._end()

    def run(self, *argv: str, env: Mapping[str, str] | None = None, given: bytes = b"") -> str:
        """What a command prints in there; it must work."""
        done = self.attempt(*argv, env=env, given=given)
        assert done.returncode == 0, (argv, done.stdout, done.stderr)
        return done.stdout.decode()

    def attempt(
        self, *argv: str, env: Mapping[str, str] | None = None, given: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """How a command ends in there."""
        enter = ["nsenter", "--target", self._first, "--net", "--mount", "--pid", "--"]
        return subprocess.run(
            [*enter, *argv], env={**self._env, **(env or {})}, input=given, capture_output=True, timeout=90
        )

    def fetch(self, port: int, *, host: str = "127.0.0.1", container: str | None = None) -> str | None:
        """The page at an address, as seen from the machine or from a container; None where nobody answers."""
        seen_from = ["podman", "exec", "--interactive", container] if container else ["busybox"]
        done = self.attempt(*seen_from, "nc", "-w", str(PATIENCE), host, str(port), given=b"GET / HTTP/1.0\r\n\r\n")
        _, found, page = done.stdout.decode().partition("\r\n\r\n")
        return page.strip() if found else None

    def page(self, port: int, *, host: str = "127.0.0.1", container: str | None = None) -> str | None:
        """The same of a server that may just be starting."""
        deadline = time.monotonic() + 30
        while (found := self.fetch(port, host=host, container=container)) is None and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    def _wait_for_podman(self) -> None:
        deadline = time.monotonic() + 30
        while self.attempt("podman", "--remote", "--url", f"unix://{SOCKET}", "version").returncode != 0:
            assert time.monotonic() < deadline, "podman's service does not answer"
            time.sleep(0.05)

    def _find_first(self) -> str:
        """The process with which all others in there end."""
        pid, deadline = self._holder.pid, time.monotonic() + 30
        while not (found := Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
            assert time.monotonic() < deadline, "the machine does not start"
            time.sleep(0.005)
        return found[0]

    def _end(self) -> None:
        first = None
        with contextlib.suppress(AttributeError, ProcessLookupError):
            first = os.pidfd_open(int(self._first))
        self._holder.kill()
        self._holder.communicate()
        if first is not None:  # the kernel says so only when nobody else is left in there
            assert select.select([first], [], [], 30)[0], "the machine does not end"
            os.close(first)
        for path in (path for parent in CGROUPS.glob("**/libpod_parent") for path in (*parent.glob("*/"), parent)):
            with contextlib.suppress(OSError):  # somebody else's podman is at work in it
                path.rmdir()
        os.close(self._groups)


def _image() -> bytes:
    """A file system of busybox, and a server that says which stack it is of."""
    busybox = shutil.which("busybox")
    assert busybox
    data = BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        tar.add(busybox, "bin/busybox")
        for name in COMMANDS:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        serve = tarfile.TarInfo("bin/serve")
        serve.size, serve.mode = len(SERVE), 0o755
        tar.addfile(serve, BytesIO(SERVE.encode()))
    return data.getvalue()
