"""Pauses stay in their bounds, whatever chance says."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from spotkeeper_agent import pauses

chances = st.integers().map(Random)
seconds = st.floats(0.01, 3600)
counts = st.integers(1, 100_000)


@given(seconds, chances)
def test_beats_come_within_a_fifth_of_their_interval(interval: float, chance: Random) -> None:
    pause = pauses.until_next_beat(interval, chance)
    assert interval * 0.8 <= pause <= interval * 1.2 + 1e-9


@given(seconds, chances)
def test_the_first_beat_comes_within_the_interval(interval: float, chance: Random) -> None:
    assert 0 <= pauses.until_first_beat(interval, chance) <= interval


@given(counts, st.floats(0, 300), chances)
def test_nobody_tries_again_sooner_than_asked_or_much_later(
    failures: int, asked: float, chance: Random
) -> None:
    pause = pauses.until_next_try(failures, asked, chance)
    assert asked <= pause <= asked + pauses.LONGEST_PAUSE_SECONDS


@given(counts, chances)
def test_no_server_can_send_an_agent_away(failures: int, chance: Random) -> None:
    longest = pauses.LONGEST_RETRY_AFTER_SECONDS + pauses.LONGEST_PAUSE_SECONDS
    assert pauses.until_next_try(failures, 1e9, chance) <= longest


def test_pauses_double_with_each_failure_up_to_the_longest() -> None:
    chance = Random(0)

    def longest(failures: int) -> float:
        return max(pauses.until_next_try(failures, 0, chance) for _ in range(2_000))

    ceilings = [round(longest(failures), 1) for failures in range(1, 10)]
    assert ceilings == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_those_who_fail_together_do_not_try_again_together() -> None:
    chance = Random(0)
    tries = sorted(pauses.until_next_try(6, 5, chance) for _ in range(1_000))
    in_each_second = [sum(second <= at < second + 1 for at in tries) for second in range(5, 21)]
    assert min(in_each_second) > 30
    assert max(in_each_second) < 100
