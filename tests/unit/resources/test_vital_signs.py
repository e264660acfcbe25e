"""What facts say of an attempt: tables over time, no process (A-4, E-4)."""

from __future__ import annotations

import pytest

from maestro.proc.family import ProcessId
from maestro.proc.vitals import TICKS_PER_SECOND, Vital
from maestro.resources.vital_signs import Finding, Memory, Signs, in_words, spell

WRAPPER = ProcessId(10, 1.0)
GIB = 1 << 30


def vital(pid: int, ticks: int = 0, state: str = "S") -> Vital:
    return Vital(id=ProcessId(pid, 1.0), parent=1, state=state, ticks=ticks, resident=0)


SHELL = vital(WRAPPER.pid)


class Watched:
    """One attempt, looked at every five seconds."""

    def __init__(self) -> None:
        self.signs = Signs(WRAPPER, 120.0, 0.0)
        self.now = 0.0
        self.output = 0
        self.found: list[tuple[float, Finding]] = []

    def goes_on(
        self, seconds: float, *family: Vital, per_look: int = 0, output: int = 0, childless: bool = False
    ) -> None:
        """`per_look`: ticks that the second process spends between two looks. `output`: bytes between two looks."""
        end = self.now + seconds
        processes = list(family)
        while self.now < end:
            self.now += 5
            self.output += output
            if per_look:
                processes[1] = processes[1]._replace(ticks=processes[1].ticks + per_look)
            found = self.signs.look(self.now, [SHELL, *processes[1:]] if processes else [], self.output, childless)
            if found is not None:
                self.found.append((self.now, found))

    def said(self) -> list[tuple[float, str | None]]:
        return [(at, found.note or found.dead or found.suspected) for at, found in self.found]


def test_who_speaks_is_well_whatever_its_processes_do() -> None:
    one = Watched()
    one.goes_on(600, SHELL, vital(11, state="D"), output=10)
    assert one.said() == []


def test_silence_without_processor_time_is_suspected_once_and_taken_back_at_a_word() -> None:
    one = Watched()
    one.goes_on(300, SHELL, vital(11))
    assert one.said() == [(120.0, "no output and no processor time for 2 min")]
    one.goes_on(5, SHELL, vital(11), output=1)
    assert one.said()[1:] == [(305.0, None)]
    one.goes_on(200, SHELL, vital(11))
    assert one.said()[2:] == [(425.0, "no output and no processor time for 2 min")]


def test_a_silent_test_run_is_well_and_said_to_be_so_once() -> None:
    one = Watched()
    one.goes_on(900, SHELL, vital(11), per_look=5 * TICKS_PER_SECOND)
    assert one.said() == [(120.0, "no output for 2 min, but its processes are at work")]


def test_the_timers_of_a_hung_agent_are_no_work() -> None:
    one = Watched()
    one.goes_on(600, SHELL, vital(11), per_look=TICKS_PER_SECOND * 5 * 4 // 1000)
    assert [at for at, _ in one.said()] == [120.0]
    assert "hardly any processor time" in str(one.said()[0][1])


def test_what_is_about_as_busy_as_idle_does_not_flap() -> None:
    one = Watched()
    one.goes_on(300, SHELL, vital(11))
    for _ in range(30):
        one.goes_on(30, SHELL, vital(11, 0), per_look=TICKS_PER_SECOND * 5 * 11 // 1000)
        one.goes_on(30, SHELL, vital(11, 0), per_look=TICKS_PER_SECOND * 5 * 9 // 1000)
    assert len(one.said()) == 1


def test_the_time_of_children_that_have_ended_counts() -> None:
    """Each lives for one look only, and the next one has another pid."""
    one = Watched()
    for pid in range(20, 100):
        one.goes_on(5, SHELL, vital(pid, ticks=TICKS_PER_SECOND))
    assert [found.suspected for _, found in one.found] == [None]
    assert one.found[0][1].note


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ("TT", "all its processes are stopped, as by SIGSTOP"),
        ("Tt", "all its processes are stopped, as by SIGSTOP"),
        ("TS", "no output and no processor time for 2 min"),
        ("DD", "wait in the kernel, as for a disk that does not answer"),
        ("DS", "no output and no processor time for 2 min"),
    ],
)
def test_states_tell_more(states: str, said: str) -> None:
    one = Watched()
    one.goes_on(125, SHELL, *(vital(11 + n, state=state) for n, state in enumerate(states)))
    assert [at for at, _ in one.said()] == [120.0]
    assert said in str(one.said()[0][1])


def test_who_is_stopped_while_at_work_is_suspected_though_it_has_just_worked() -> None:
    one = Watched()
    one.goes_on(130, SHELL, vital(11), per_look=400)
    one.goes_on(5, SHELL, vital(11, ticks=10_400, state="T"))
    assert str(one.said()[-1][1]).startswith("all its processes are stopped")
    one.goes_on(5, SHELL, vital(11, ticks=10_400, state="R"), per_look=400)
    assert one.said()[-1][1] is None


def test_only_the_shell_being_left_is_death_when_seen_twice() -> None:
    one = Watched()
    one.goes_on(30, SHELL, vital(11))
    one.goes_on(5, SHELL, childless=True)
    assert one.said() == []
    one.goes_on(5, SHELL, vital(12))  # it was between two commands
    one.goes_on(5, SHELL, childless=True)
    assert one.said() == []
    one.goes_on(5, SHELL, childless=True)
    assert "nothing of it is left but the shell" in str(one.said()[0][1])


def test_a_child_that_hides_its_marker_is_no_reason_to_stop_anything() -> None:
    """`env -i agent`: nothing of it can be found by the marker, and it is there all the same."""
    one = Watched()
    one.goes_on(900, SHELL, childless=False)
    assert one.said() == []


def test_who_was_suspected_before_stays_so_until_it_shows_a_sign_of_life() -> None:
    """A later coordinator looks for the first time at what has been printed long ago: that is no sign."""
    one = Watched()
    one.signs = Signs(WRAPPER, 120.0, 0.0, suspected=True)
    one.output = 5000
    one.goes_on(60, SHELL, vital(11))
    assert one.said() == []
    one.goes_on(5, SHELL, vital(11), output=1)
    assert one.said() == [(65.0, None)]
    other = Watched()
    other.signs = Signs(WRAPPER, 120.0, 0.0, suspected=True)
    other.goes_on(60, SHELL, vital(11), per_look=4 * TICKS_PER_SECOND)
    assert other.said()[0][1] is None


def test_memory_over_the_limit_twice_in_a_row_is_too_much() -> None:
    memory = Memory(2 * GIB)
    assert memory.look(3 * GIB, 5 * GIB // 2) is None
    assert memory.look(GIB, None) is None  # it came down again
    assert memory.look(3 * GIB, 5 * GIB // 2) is None
    assert memory.look(3 * GIB, int(2.3 * GIB)) == "memory: 2.3 GiB used, the limit is 2.0 GiB"
    assert memory.peak == 5 * GIB // 2


def test_shared_pages_are_not_held_against_it() -> None:
    memory = Memory(2 * GIB)
    for _ in range(5):
        assert memory.asks(3 * GIB)
        assert memory.look(3 * GIB, GIB) is None
    assert memory.peak == GIB


def test_the_exact_figure_is_asked_for_only_at_a_new_peak_or_above_the_limit() -> None:
    memory = Memory(None)
    asked = 0
    for resident in [*range(100, 200), *([150] * 100), 200, 201]:
        exact = resident if memory.asks(resident) else None
        asked += exact is not None
        assert memory.look(resident, exact) is None
    assert asked < 20
    assert memory.peak is not None
    assert memory.peak >= 190


@pytest.mark.parametrize(
    ("bytes_", "said"),
    [
        (2 * GIB, "2.0 GiB"),
        (int(2.34 * GIB), "2.4 GiB"),
        (310 << 20, "310 MiB"),
        ((100 << 20) + 1, "101 MiB"),
        (0, "0 MiB"),
    ],
)
def test_sizes_in_words(bytes_: int, said: str) -> None:
    assert in_words(bytes_) == said


@pytest.mark.parametrize(("seconds", "said"), [(120, "2 min"), (90, "90 s"), (3600, "60 min"), (1.5, "1.5 s")])
def test_times_in_words(seconds: float, said: str) -> None:
    assert spell(seconds) == said
