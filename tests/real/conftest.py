"""Real components: a missing one is named and skipped, and fails where CI=true.

For tests of beads: the fixture `bd` runs a test once with each era's `bd`, which then is the `bd` on PATH; a test for
one era alone is marked `real("bd-1.0.5")` and finds the program as `real["bd-1.0.5"]`. With either, HOME is the
test's own as ever, and one in which `bd` works at its usual speed.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from maestro.testing.model_server import ModelServer
from maestro.testing.processes import until
from tests.conftest import processes_with

BEADS = ("bd-0.47.1", "bd-1.0.5")
FETCHED = "scripts/install_agents.sh gets it, given npm"
HOW_TO_GET = {
    "claude": "npm install -g @anthropic-ai/claude-code",
    **dict.fromkeys(("codex", "opencode", "droid"), FETCHED),
    "gemini": f"{FETCHED} and Node 20 or newer",
    "bwrap": "apt-get install bubblewrap",
    **{one: f"apt-get install {one}" for one in ("docker-compose", "shellcheck")},
    "docker-compose-v2": "scripts/install_compose.sh builds it, given Go 1.24.9 or newer",
    "podman": "apt-get install podman runc netavark aardvark-dns iptables",
    "busybox": "apt-get install busybox-static",
    "bd-0.47.1": "scripts/install_bd.sh builds it, given Go 1.24 or newer",
    "bd-1.0.5": "scripts/install_bd.sh builds it, given Go 1.26.2 or newer and a C compiler",
}


def require(component: str) -> Path:
    """The executable of a component, from PATH or $MAESTRO_TEST_TOOLS/bin; skips the test without it, or fails it."""
    path = os.environ.get("PATH", os.defpath)
    if tools := os.environ.get("MAESTRO_TEST_TOOLS"):
        path = f"{tools}/bin{os.pathsep}{path}"
    found = shutil.which(component, path=path)
    if found:
        return Path(found)
    said = f"{component} is not installed" + (f" ({HOW_TO_GET[component]})" if component in HOW_TO_GET else "")
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"{said}, and CI does without no real component")
    pytest.skip(said)


@functools.cache
def namespaces() -> bool:
    """Whether this machine lets programs make user and mount namespaces; some containers do not."""
    return (
        subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "true"], capture_output=True).returncode == 0
    )


@pytest.fixture(autouse=True)
def _look_for_editors(hermetic: Path) -> Iterator[None]:
    """claude looks for editors by `ps aux | grep …`, and has ended now and then before that has. Ends before `hermetic`
    does, which counts what is left."""
    mark = f"MAESTRO_TEST_MARK={os.environ['MAESTRO_TEST_MARK']}"  # a test may clear the environment
    yield
    until(lambda: not any("ps aux" in line or line.startswith("grep ") for line in processes_with(mark).values()))


@pytest.fixture(autouse=True)
def _namespaces(request: pytest.FixtureRequest, hermetic: Path) -> None:
    if request.node.get_closest_marker("needs_namespaces") and not namespaces():
        pytest.skip("namespaces are forbidden here, which its sandbox is made of")


@pytest.fixture
def server() -> Iterator[ModelServer]:
    """A scripted model on loopback, in all the APIs that agents speak."""
    with ModelServer() as running:
        yield running


@pytest.fixture(scope="session")
def beads_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What bd 0.47 compiles at its first start and keeps below HOME; without it every call takes a second longer."""
    root = tmp_path_factory.getbasetemp()
    shared = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    cache = shared / "beads-cache"
    cache.mkdir(exist_ok=True)
    return cache


@pytest.fixture(autouse=True)
def real(
    request: pytest.FixtureRequest,
    hermetic: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, Path]:
    """The executables that the test's `real` markers name, by component.

    codex makes no helpers in a home below the temporary folder, as every home is here, and without them it cannot use
    a bwrap that is older than 0.9: so its temporary folder is another.
    """
    found = {name: require(name) for marker in request.node.iter_markers("real") for name in marker.args}
    if "bd-0.47.1" in found:
        (hermetic / ".cache").mkdir(exist_ok=True)
        (hermetic / ".cache" / "beads").symlink_to(request.getfixturevalue("beads_cache"))
    if "codex" in found:
        monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("codex")))
    return found


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.real(name)) for name in BEADS])
def bd(
    request: pytest.FixtureRequest,
    real: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """The `bd` of one era, under this name and first on PATH; a test that asks for it runs with both."""
    folder = tmp_path_factory.mktemp("path")
    program = folder / "bd"
    program.symlink_to(real[request.param])
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return program
