"""The bounded rate limit."""

from custom_components.lwm2m.dtls.limiter import Limiter


def test_a_burst_then_a_rate() -> None:
    limiter = Limiter(burst=3, rate=1.0)
    assert [limiter.allow("a", 0.0) for _ in range(5)] == [True, True, True, False, False]
    assert not limiter.allow("a", 0.5)
    assert limiter.allow("a", 1.5)
    assert limiter.allow("b", 0.0), "another key has tokens of its own"


def test_all_together_are_limited_too() -> None:
    limiter = Limiter(burst=2, rate=1.0, share=3)
    assert sum(limiter.allow(number, 0.0) for number in range(100)) == 6
    assert sum(limiter.allow(number, 1.0) for number in range(100, 200)) == 3


def test_memory_is_bounded_and_time_may_stand_still() -> None:
    limiter = Limiter(burst=1, rate=1.0, size=10)
    for number in range(1000):
        limiter.allow(number, -float(number))
    assert len(limiter) == 10
