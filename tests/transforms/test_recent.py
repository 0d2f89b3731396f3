"""What was made last is held as far as it fits."""

from gog.transforms.recent import Recent


def test_the_least_recently_used_is_forgotten() -> None:
    recent: Recent[str, str] = Recent(4, len)
    assert recent.put("a", "aa") == "aa"
    recent.put("b", "bb")
    assert recent.get("a") == "aa"
    recent.put("c", "cc")
    assert [recent.get(key) for key in "abc"] == ["aa", None, "cc"]


def test_the_first_under_a_key_stays() -> None:
    recent: Recent[str, str] = Recent(10, len)
    assert [recent.put("a", value) for value in ("one", "two")] == ["one", "one"]
    assert len(recent) == 1


def test_the_last_is_held_whatever_its_weight() -> None:
    recent: Recent[int, str] = Recent(1, len)
    recent.put(1, "long")
    assert recent.get(1) == "long"
    recent.put(2, "longer")
    assert (recent.get(1), recent.get(2)) == (None, "longer")


def test_what_is_dropped_weighs_nothing() -> None:
    recent: Recent[str, str] = Recent(4, len)
    recent.put("a", "aaa")
    recent.drop("a")
    recent.drop("b")
    recent.put("c", "c")
    recent.put("d", "ddd")
    assert [recent.get(key) for key in "acd"] == [None, "c", "ddd"]
