"""Whether a run can begin: all that is to be refused is, before it has begun, and what it will work with is chosen. The
only place that knows all kinds of workspaces and agents."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from maestro.agents.base import Agent
from maestro.clock import Clock
from maestro.config.settings import Settings
from maestro.engine.branches import integration_branches
from maestro.engine.options import Options
from maestro.errors import BadInput, StateError
from maestro.integration.branches import check_branch, check_land_on_base
from maestro.model.gate import TESTS
from maestro.model.ids import is_plain
from maestro.model.offer import DELEGATE
from maestro.model.redaction import Redactor
from maestro.planning.ports import services_of
from maestro.proc.children import end_children
from maestro.proc.ourselves import own_command
from maestro.resources.machine import MachineNow
from maestro.store.ignorefile import hide
from maestro.store.layout import Layout
from maestro.store.masking import make_private
from maestro.vcs.git import Git
from maestro.wiring.backlog import Backlog
from maestro.wiring.choices import make_gate, make_options, open_agent
from maestro.wiring.deadruns import is_unfinished
from maestro.wiring.delegate import settings_of_run
from maestro.wiring.keys import Pool, open_pools, variables_of, withheld_from_run
from maestro.wiring.named import refuse_under_tests
from maestro.wiring.prompts import composer
from maestro.wiring.provisions import check_provisions
from maestro.wiring.redaction import redactor_for
from maestro.workspaces.base import Workspaces
from maestro.workspaces.preflight import preflight
from maestro.workspaces.registry import open_workspaces
from maestro.workspaces.roots import default_root
from maestro.workspaces.setup import SetupSpec
from maestro.workspaces.site import read_config

if TYPE_CHECKING:
    from maestro.engine.context import Brief  # not wanted before a run begins


def new_run_id(clock: Clock) -> str:
    """Date, time and four random hex digits: sorts by start, and two started in one second differ."""
    return f"{clock.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def new_token() -> str:
    """Makes the markers of a run's processes unique on the machine, whatever the run's name."""
    return secrets.token_hex(4)


def check_run_id(layout: Layout, run_id: str) -> None:
    """BadInput for a name that cannot stand in paths and branches, or that an earlier run has."""
    if not is_plain(run_id):
        raise BadInput(
            f"{run_id!r} cannot name a run", hint="use letters, digits, dots and hyphens, at most 60 of them"
        )
    if is_unfinished(layout, run_id):
        raise BadInput(
            f"run {run_id} has begun and is not finished",
            hint=f"go on with it: maestro resume --run-id {run_id}; or choose another --run-id",
        )
    if layout.journal(run_id).exists():
        raise BadInput(f"there is a run {run_id} already", hint="choose another --run-id, or leave it out")


class Prepared(NamedTuple):
    """Everything that can be refused has not been."""

    agent: Agent
    options: Options
    root: Path
    workspaces: Workspaces
    gate_workspaces: Workspaces
    compose: Callable[[Brief], str]
    remarks: tuple[str, ...]
    redactor: Redactor
    machine: MachineNow
    pools: tuple[Pool, ...] = ()
    withheld: frozenset[str] = frozenset()  # variables that nothing the run starts may inherit


class Looked(NamedTuple):
    """What a look at the repository told."""

    remarks: tuple[str, ...]
    configured: Mapping[str, str]


def _look(git: Git) -> Looked:
    configured = read_config(git)
    return Looked(preflight(git, configured), configured)


@contextmanager
def looking(git: Git) -> Iterator[Callable[[], Looked]]:
    """A look at the repository while something else is done, for `prepare` to ask for: it takes as long as planning
    does, and neither needs the other. What it refuses is raised by whoever asks. Where nobody will, as after an
    interrupt, it is ended: a git that hangs must not hold up the end, nor stay behind."""
    with ThreadPoolExecutor(1, thread_name_prefix="look") as beside:
        thread = beside.submit(threading.get_native_id).result()
        look = beside.submit(_look, git)
        try:
            yield look.result
            _import_ahead()
            wait([look])
        except BaseException:
            while not look.done():
                end_children(thread)
                wait([look], timeout=0.02)
            raise


def _import_ahead() -> None:
    """What comes next in every run, while git is still at work."""
    import filelock  # noqa: F401 - with the first lock

    import maestro.workspaces.worktree  # noqa: F401 - gates have such workspaces whatever kind the agents have


def prepare(
    git: Git,
    settings: Settings,
    backlog: Backlog,
    run_id: str,
    environ: Mapping[str, str],
    root: Path | None = None,
    *,
    looked: Callable[[], Looked] | None = None,
) -> Prepared:
    """Refuse (BadInput) whatever can be seen to fail from here; starts and writes nothing.

    `root` is where the workspaces of a run stand that is resumed, which has its branches already. `looked` is what
    `looking` gave.
    """
    remarks, configured = _look(git) if looked is None else looked()
    check_provisions(settings, environ)
    pools = open_pools(settings, environ)
    agent = open_agent(
        settings_of_run(settings, Layout(git.directory), run_id, environ), {**environ, **variables_of(pools)}
    )
    if (gate := make_gate(git, settings)) is not None:
        refuse_under_tests(settings, Layout(git.directory), environ)
    compose = composer(
        backlog.plan.tasks.values(),
        Layout(git.directory).root / "prompts",
        own_command(environ),
        delegated=settings.agent == DELEGATE,
        tests_limit_seconds=settings.resources[TESTS].limit,
        ports=tuple(services_of(settings.ports)),
    )
    if settings.land_on_base and (refused := check_land_on_base(git, backlog.base_branch)) is not None:
        hint = "make that possible, or start without --land-on-base: the integration branch holds everything"
        raise BadInput(f"--land-on-base cannot work: {refused.reason}", hint=hint)
    if root is None:
        for branch in integration_branches(run_id, backlog.plan):
            _check_branch(git, branch, run_id)
        root = (settings.workspace_root or default_root(git.directory, environ)) / run_id
    options = make_options(settings, gate, root, backlog.tracker.kind)
    # as many used ones wait to be handed out again as can be in use, with that of the gates
    workspaces = _workspaces(settings.workspace, git, settings, root, options.max_parallel + 1, configured)
    is_worktree = settings.workspace == "worktree"
    gate_workspaces = workspaces if is_worktree else _workspaces("worktree", git, settings, root, 1, configured)
    return Prepared(
        agent=agent,
        options=options,
        root=root,
        workspaces=workspaces,
        gate_workspaces=gate_workspaces,
        compose=compose,
        remarks=remarks,
        machine=MachineNow((root, Layout(git.directory).root)),
        redactor=redactor_for(settings, environ, (key.value for pool in pools for key in pool.keys)),
        pools=pools,
        withheld=withheld_from_run(settings, pools),
    )


def _check_branch(git: Git, branch: str, run_id: str) -> None:
    """A branch that another run of this name has made meanwhile is that run's: its journal is older than its branch."""
    try:
        check_branch(git, branch)
    except BadInput:
        check_run_id(Layout(git.directory), run_id)
        raise


def _workspaces(
    kind: str, git: Git, settings: Settings, root: Path, parked: int, configured: Mapping[str, str]
) -> Workspaces:
    credentials = None
    if settings.git_credentials is not None:
        try:
            credentials = settings.git_credentials.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"git_credentials: {settings.git_credentials} cannot be read: {error}") from error
    return open_workspaces(
        kind,
        git=git,
        root=root,
        setup=SetupSpec(copy=settings.copy_files, symlink=settings.symlink),
        client_servers=settings.mcp_servers,
        credentials=credentials,
        parked=parked,
        keep=settings.keep,
        configured=configured,
    )


def prepare_state(layout: Layout) -> None:
    """Make the state folders, each ignored by git from within (S-2). StateError when that cannot be done."""
    for folder in layout.state_dirs():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if folder == layout.runs:  # what agents are told and print is nobody else's business
                make_private(folder)
            hide(folder)
        except OSError as error:
            raise StateError(
                f"the state folder {folder} cannot be written: {error.strerror}",
                hint="maestro keeps its journal there; make room, or make it writable",
            ) from error
