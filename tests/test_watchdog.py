from __future__ import annotations

from stream.watchdog import LOOK_SECONDS, Pulse


def blocked_after(
    seconds: float, *, cpu_share: float, pulse: Pulse | None = None, start: float = 100.0
) -> float | None:
    """Seconds without a sign of the loop after which it counts as blocked, None if it does not within `seconds`."""
    pulse = pulse or Pulse()
    pulse.look(start, start, start)
    for number in range(1, int(seconds / LOOK_SECONDS) + 1):
        passed = number * LOOK_SECONDS
        if pulse.look(start, start + passed, start + passed * cpu_share):
            return passed
    return None


def test_a_loop_that_waits_or_spins_for_5_s_is_blocked() -> None:
    assert blocked_after(20, cpu_share=0.0) == 5.5
    assert blocked_after(20, cpu_share=1.0) == 5.5


def test_a_process_that_gets_a_fifth_of_a_core_is_not_blocked_before_it_has_worked_5_s() -> None:
    assert blocked_after(20, cpu_share=0.2) is None
    assert blocked_after(40, cpu_share=0.2) == 25.5


def test_a_process_that_was_stopped_as_a_whole_is_not_blocked() -> None:
    pulse = Pulse()
    assert not pulse.look(100.0, 100.2, 3.0)
    assert not pulse.look(100.0, 160.0, 3.0)
    assert not pulse.look(160.1, 160.5, 3.1)


def test_every_sign_of_the_loop_counts_anew() -> None:
    pulse = Pulse()
    assert not any(pulse.look(at, at + 0.1, at) for at in range(100, 200))
