"""The hours of a run: spans of calls at once count once, and short gaps between them count as work."""

import pytest

from gog.transforms.services.store.rows import _IDLE_S, hours_of


@pytest.mark.parametrize(
    ("spans", "seconds"),
    [
        ([], 0),
        ([(1e9, 10.0)], 10),
        ([(1e9, 10.0), (1e9 + 2, 3.0)], 10),
        ([(1e9, 10.0), (1e9 + 4, 20.0)], 24),
        ([(1e9, 10.0), (1e9 + 10, 5.0)], 15),
        ([(1e9, 10.0), (1e9 + 10 + _IDLE_S, 5.0)], 15 + _IDLE_S),
        ([(1e9, 10.0), (1e9 + 10 + _IDLE_S + 1, 5.0)], 15),
        ([(1e9, 10.0), (1e9 + 10 + 9 * _IDLE_S, 5.0), (1e9 + 12 + 9 * _IDLE_S, 8.0)], 20),
        ([(1e9, 100.0), (1e9 + 1, 1.0), (1e9 + 99, 2.0)], 101),
    ],
)
def test_hours_are_those_at_work(spans: list[tuple[float, float]], seconds: float) -> None:
    assert hours_of(iter(spans)) * 3600 == pytest.approx(seconds)
