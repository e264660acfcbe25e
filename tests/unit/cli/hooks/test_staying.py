"""Whether a session may end its turn: kept while there is something to do, and never for ever."""

from __future__ import annotations

from maestro.cli.hooks.staying import LIMIT, LIMIT_AT_WORK, Held, InHand, keep


def in_hand(
    ready: tuple[str, ...] = (), running: tuple[str, ...] = (), landing: tuple[str, ...] = (), works_on: bool = False
) -> InHand:
    return InHand("r1", ready, running, landing, works_on)


def test_it_says_what_is_ready_running_and_landing_and_with_which_commands_to_go_on() -> None:
    words, held = keep(in_hand(("a", "b"), ("c",), ("d",)), Held(), "1")
    assert words is not None
    for said in ("Ready to be launched: a, b.", "Not reported yet: c.", "landed: d.", "maestro wait --run-id r1"):
        assert said in words
    assert "maestro delegate next --run-id r1 --wait 60 --json" in words
    assert held == Held("1", 1)


def test_many_tasks_are_named_in_part() -> None:
    words, _ = keep(in_hand(tuple("abcdefg")), Held(), "1")
    assert "a, b, c, d, e and 2 more" in str(words)


def test_it_lets_go_when_nothing_moves_and_starts_again_when_something_does() -> None:
    held = Held()
    for _ in range(LIMIT):
        words, held = keep(in_hand(running=("a",)), held, "1")
        assert words is not None
    words, held = keep(in_hand(running=("a",)), held, "1")
    assert (words, held) == (None, Held("1", LIMIT))
    words, held = keep(in_hand(running=("a",)), held, "2")
    assert words is not None
    assert held == Held("2", 1)


def test_while_subagents_work_in_the_background_there_is_more_patience_and_an_end_to_it() -> None:
    waits = in_hand(running=("a",), works_on=True)
    assert keep(waits, Held("1", LIMIT_AT_WORK - 1), "1")[0] is not None
    assert keep(waits, Held("1", LIMIT_AT_WORK), "1")[0] is None
