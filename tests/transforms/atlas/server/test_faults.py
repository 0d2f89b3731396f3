"""Lots: the same for the same request, in the shares that were ordered; pictures: there while they are held."""

from collections import Counter
from typing import Any

import pytest

from gog.transforms.atlas.server.faults import Fault, Lots, Manners
from gog.transforms.atlas.server.pictures import Pictures, TooManyImagesError


def test_the_shares_are_those_that_were_ordered() -> None:
    shares = {Fault.RATE_LIMITED: 0.05, Fault.SERVER_ERROR: 0.03, Fault.STALL: 0.01}
    lots = Lots(Manners(shares=shares, latency_s=0.03, tail_share=0.05, tail_s=0.6))
    drawn = [lots.draw(b"%d" % number) for number in range(20_000)]
    counts = Counter(lot.fault for lot in drawn)
    for fault, share in shares.items():
        assert counts[fault] / len(drawn) == pytest.approx(share, rel=0.2)
    assert set(counts) == {None, *shares}
    assert sum(lot.latency_s == 0.6 for lot in drawn) / len(drawn) == pytest.approx(0.05, rel=0.15)


def test_a_request_meets_the_same_whatever_comes_beside_it() -> None:
    manners = Manners(shares={Fault.RATE_LIMITED: 0.3, Fault.CUT: 0.3}, tail_share=0.5, tail_s=1.0)
    one, other = Lots(manners), Lots(manners)
    attempts = [one.draw(b"request") for _ in range(50)]
    for number in range(50):
        other.draw(b"%d" % number)
        assert other.draw(b"request") == attempts[number]
    assert len(set(attempts)) > 3, "each attempt is drawn anew"
    again = Lots(Manners(shares=manners.shares, tail_share=0.5, tail_s=1.0, seed=1))
    assert [again.draw(b"request") for _ in range(50)] != attempts


@pytest.mark.parametrize(
    "wrong",
    [
        {"shares": {Fault.CUT: 1.5}},
        {"shares": {Fault.CUT: -0.1}},
        {"shares": {Fault.CUT: 0.6, Fault.STALL: 0.6}},
        {"tail_share": float("nan")},
        {"latency_s": -1.0},
        {"stall_s": float("inf")},
        {"rate_limit": 0.0},
    ],
)
def test_manners_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Manners(**wrong)


def test_pictures_are_there_as_long_as_somebody_holds_them() -> None:
    pictures = Pictures(limit_bytes=10)
    with pictures.held([b"12345", b"12345"]):
        with pictures.held([b"12345", b"6789a"]):
            sha256 = pictures.put(b"6789a", "png")
            with pytest.raises(TooManyImagesError), pictures.held([b"6789a", b"b"]):
                pass
        assert pictures.read(sha256) == b"6789a"
    assert pictures.has(sha256)
    with pytest.raises(TooManyImagesError), pictures.held([b"123456"]):
        pass
    with pictures.held([b"12345"]):
        pass
