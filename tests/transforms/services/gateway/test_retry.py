"""Failures: what is tried again, after which pause, and what is paid for once."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_teacher import REPLY, Naps, Teacher, fails, play, request

from gog.schemas import FailureClass
from gog.transforms.services.gateway.gateway import Gateway
from gog.transforms.services.gateway.retry import LONGEST_WAIT_S, SPREAD, Retry
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.store.records import Mode
from gog.transforms.services.store.sqlite import Store


@pytest.mark.parametrize("failure", [f for f in FailureClass if f.passing])
def test_passing_failures_are_tried_again_and_asked_anew_by_the_next_run(tmp_path: Path, failure: FailureClass) -> None:
    async def scenario() -> None:
        teacher, naps = Teacher(fails(failure)), Naps()
        with Store(tmp_path) as store:
            gateway = Gateway(
                store, run="r", retry=Retry(attempts=4, initial_s=1.0, longest_s=3.0, patience_s=0), sleep=naps
            )
            with pytest.raises(ServiceError) as caught:
                await gateway.chat(teacher, request(), "episode")
            assert caught.value.failure is failure
            assert [e.attempts for e in store.events("r")] == [4]
            assert gateway.statistics.calls == len(teacher.calls) == 4
            assert len(naps.naps) == 3
            assert all(0.5 * most <= nap <= most for nap, most in zip(naps.naps, (1.0, 2.0, 3.0), strict=True))
            teacher.outcomes = [REPLY]
            assert await gateway.chat(teacher, request(), "episode") == REPLY

    play(scenario)


@pytest.mark.parametrize("failure", [f for f in FailureClass if f.permanent])
def test_permanent_failures_are_paid_once(tmp_path: Path, failure: FailureClass) -> None:
    async def scenario() -> None:
        teacher = Teacher(fails(failure))
        for _ in range(2):
            with Store(tmp_path) as store:
                gateway = Gateway(store)
                for _ in range(2):
                    with pytest.raises(ServiceError, match="as told") as caught:
                        await gateway.chat(teacher, request(), "episode")
                    assert caught.value.failure is failure
                assert gateway.statistics.failures == {failure: 2}
        assert len(teacher.calls) == 1

    play(scenario)


def test_a_failure_that_neither_passes_nor_lasts_is_not_tried_again_now(tmp_path: Path) -> None:
    async def scenario() -> None:
        teacher = Teacher(fails(FailureClass.AUTH))
        with Store(tmp_path) as store:
            gateway = Gateway(store)
            for _ in range(2):
                with pytest.raises(ServiceError):
                    await gateway.chat(teacher, request(), "episode")
        assert len(teacher.calls) == 2

    play(scenario)


def test_a_failure_that_passes_is_forgotten(tmp_path: Path) -> None:
    async def scenario() -> None:
        teacher = Teacher(fails(FailureClass.SERVER), fails(FailureClass.MALFORMED), REPLY)
        with Store(tmp_path) as store:
            gateway = Gateway(store, run="r", sleep=Naps())
            assert await gateway.chat(teacher, request(), "episode") == REPLY
            (event,) = store.events("r")
            assert (event.attempts, event.failure, event.from_store) == (3, None, False)
            assert not gateway.statistics.failures

    play(scenario)


def test_retry_after_lengthens_the_pause(tmp_path: Path) -> None:
    async def scenario() -> None:
        naps = Naps()
        teacher = Teacher(fails(FailureClass.SERVER, 17.0), REPLY)
        with Store(tmp_path) as store:
            await Gateway(store, sleep=naps).chat(teacher, request(), "episode")
        assert len(naps.naps) == 1
        assert 17.0 <= naps.naps[0] <= 17.0 * (1 + SPREAD)

    play(scenario)


@given(st.integers(1, 10_000), st.one_of(st.none(), st.floats()), st.floats(0, 1, exclude_max=True))
def test_pauses_are_bounded(attempt: int, retry_after: float | None, draw: float) -> None:
    retry = Retry()
    pause = retry.pause(attempt, retry_after, draw)
    assert 0 < pause <= retry.longest_s + LONGEST_WAIT_S
    if retry_after is not None and 0 < retry_after < LONGEST_WAIT_S:
        assert pause >= retry_after
    if retry_after is not None and retry.longest_s < retry_after:
        assert pause <= retry_after * (1 + SPREAD)


def test_a_call_refused_again_and_again_waits_longer_than_it_was_told() -> None:
    retry = Retry()
    pauses = [retry.pause(attempt, 1.0, 0.5) for attempt in range(1, 9)]
    assert pauses[0] == 1.0 + SPREAD / 2
    assert pauses == sorted(pauses)
    assert pauses[-1] == retry.pause(8, None, 0.5) == 0.75 * retry.longest_s


def test_jitter_is_seeded(tmp_path: Path) -> None:
    def naps(seed: int) -> list[float]:
        nap = Naps()

        async def scenario() -> None:
            with Store(tmp_path, Mode.LIVE) as store:
                teacher = Teacher(fails(FailureClass.SERVER), fails(FailureClass.SERVER), REPLY)
                await Gateway(store, sleep=nap, seed=seed).chat(teacher, request(), "episode")

        play(scenario)
        return nap.naps

    assert naps(1) == naps(1) != naps(2)
