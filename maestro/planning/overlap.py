"""Tasks that would write the same file (P-6): what each one claims, and the pairs to tell the user of.

Claims are what is enforced, file by file, so its cost grows with the claims and not with the pairs. The list of pairs
is for people and is cut where a file shared by very many tasks would fill it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, pairwise

from maestro.model.plan import Overlap
from maestro.model.task import Task
from maestro.planning.files import files_of
from maestro.planning.globs import PathIndex, is_glob, sample_path
from maestro.planning.graph import Graph

LISTED = 1_000
"""Most pairs that a plan lists."""

EXAMINED = 20_000
"""Most pairs that are compared to find them."""

_CHUNK = 4_096  # sources whose descendants are marked at once, one bit each


def claims_of(tasks: Iterable[Task], repository_files: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Task → the names it must hold alone; two tasks that could write one file have a name in common.

    A glob claims itself, the literal paths of others that it matches, and for files that several different globs
    match one file that stands for all of these. Tasks without known files are left out.
    """
    repository = repository_files if isinstance(repository_files, set | frozenset) else frozenset(repository_files)
    own = {task.id: files for task in tasks if (files := files_of(task, repository))}
    literals = {path for files in own.values() for path in files if not is_glob(path) or path in repository}
    patterns = dict.fromkeys(path for files in own.values() for path in files if is_glob(path))
    samples: dict[str, list[str]] = {}
    for pattern in patterns:
        samples.setdefault(sample_path(pattern), []).append(pattern)
    index = PathIndex([*repository, *literals, *samples])
    folders = {path: f"{path}/**" for path in literals if path not in repository and index.has_folder(path)}
    claimed = _expand([*patterns, *folders.values()], index, literals, samples)
    return {task: _claims(files, folders, claimed) for task, files in own.items()}


def find_overlaps(
    claims: Mapping[str, Sequence[str]], stage: Mapping[str, int], order: Sequence[str], graph: Graph
) -> tuple[tuple[Overlap, ...], int]:
    """Pairs that share a claim and could run at the same time, and how many further pairs there may be at most.

    `stage` holds the tasks that will run, each with its barrier (all the same without barriers); `order` is
    topological; pairs in which one depends on the other, however far, are left out.
    """
    place = {task: index for index, task in enumerate(order)}
    holders: dict[tuple[str, int], list[str]] = {}
    for task, number in stage.items():
        for file in claims.get(task, ()):
            holders.setdefault((file, number), []).append(task)
    shared: dict[tuple[str, str], list[str]] = {}
    total = 0
    for (file, _), tasks in holders.items():
        tasks.sort(key=place.__getitem__)
        if all(earlier in graph[later] for earlier, later in pairwise(tasks)):
            continue  # one after the other anyhow
        total += len(tasks) * (len(tasks) - 1) // 2
        for pair in combinations(tasks, 2):
            if pair not in shared and len(shared) >= EXAMINED:
                break
            shared.setdefault(pair, []).append(file)
    examined = sum(len(files) for files in shared.values())
    given = {task: index for index, task in enumerate(stage)}
    pairs = {tuple(sorted(pair, key=given.__getitem__)): shared[pair] for pair in _independent(shared, place, graph)}
    listed = tuple(
        Overlap(tasks=(one, other), files=tuple(sorted(files)))
        for (one, other), files in sorted(pairs.items(), key=lambda item: (given[item[0][0]], given[item[0][1]]))[
            :LISTED
        ]
    )
    return listed, len(pairs) - len(listed) + total - examined


def _expand(
    patterns: Sequence[str], index: PathIndex, literals: Collection[str], samples: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """Pattern → the names it claims besides itself."""
    claimed: dict[str, list[str]] = {pattern: [] for pattern in patterns}
    matchers: dict[str, list[str]] = {}
    for pattern in claimed:
        for path in index.matching(pattern):
            matchers.setdefault(path, []).append(pattern)
            claimed[pattern] += (other for other in samples.get(path, ()) if other != pattern)
    stands_for: dict[tuple[str, ...], str] = {}
    for path, matching in sorted(matchers.items()):
        if path in samples and path not in literals:
            continue
        alone = len(matching) == 1
        if path in literals or (not alone and stands_for.setdefault(tuple(matching), path) == path):
            for pattern in matching:
                claimed[pattern].append(path)
    return claimed


def _claims(files: Sequence[str], folders: Mapping[str, str], claimed: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    names = dict.fromkeys(files)
    for path in files:
        for pattern in (path, folders.get(path, path)):
            if pattern in claimed:
                names.update(dict.fromkeys([pattern, *claimed[pattern]]))
    return tuple(names)


def _independent(
    pairs: Collection[tuple[str, str]], place: Mapping[str, int], graph: Graph
) -> Iterator[tuple[str, str]]:
    """Those of the pairs (earlier, later) in which the later one does not depend on the earlier one."""
    order = list(place)
    sources = sorted({place[earlier] for earlier, _ in pairs})
    for begin in range(0, len(sources), _CHUNK):
        bit = {order[source]: 1 << number for number, source in enumerate(sources[begin : begin + _CHUNK])}
        wanted = [pair for pair in pairs if pair[0] in bit]
        last = max(place[later] for _, later in wanted)
        above: dict[str, int] = {}  # bits of the sources that a task depends on
        for task in order[sources[begin] : last + 1]:
            bits = 0
            for needed in graph[task]:
                bits |= above.get(needed, 0) | bit.get(needed, 0)
            if bits:
                above[task] = bits
        for earlier, later in wanted:
            if not above.get(later, 0) & bit[earlier]:
                yield earlier, later
