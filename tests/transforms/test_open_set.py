"""Open sets: ours, those of installed distributions, and dotted paths."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from plugged import installed

from gog.transforms.open_set import OpenSet, Origin, UnknownMemberError, plugins


@dataclass(frozen=True)
class Colour:
    name: str
    code: int


@pytest.fixture
def colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OpenSet[Colour]:
    """A set with two of its own, two of another distribution (one of a name of ours), and a broken one."""
    for loaded in [name for name in sys.modules if name.partition(".")[0] == "our_colours"]:
        monkeypatch.delitem(sys.modules, loaded)
    own = tmp_path / "our_colours"
    own.mkdir()
    member = "from types import SimpleNamespace\nCOLOUR = SimpleNamespace(name={!r}, code={})\n"
    (own / "__init__.py").touch()
    (own / "red.py").write_text(member.format("red", 1))
    (own / "dark_blue.py").write_text(member.format("dark-blue", 2))
    (own / "helpers.py").write_text("")
    installed(
        tmp_path,
        monkeypatch,
        {"gog.test-colours": {"pink": "more_colours:PINK", "red": "more_colours:PINK", "torn": "more_colours:NONE"}},
        more_colours="from types import SimpleNamespace\nPINK = SimpleNamespace(name='pink', code=3)\n",
    )
    return OpenSet("colour", "gog.test-colours", "our_colours", "COLOUR")


def test_ours_are_the_modules_of_the_package(colours: OpenSet[Colour]) -> None:
    assert (colours["red"].code, colours["dark-blue"].code) == (1, 2)
    assert colours.origin("red").distribution == "glance-or-gaze"
    assert list(colours) == ["dark-blue", "red", "pink", "torn"]


def test_another_distribution_adds_and_never_replaces(colours: OpenSet[Colour]) -> None:
    assert colours["pink"].code == 3
    assert colours.origin("pink") == Origin("gog-test-plugin", "1.2")
    assert str(colours.origin("pink")) == "gog-test-plugin 1.2"
    assert set(colours.installed) == {"pink", "torn"}


def test_a_dotted_path_names_what_nobody_declared(colours: OpenSet[Colour]) -> None:
    assert "more_colours:PINK" in colours
    assert colours["more_colours:PINK"].code == 3
    assert colours.origin("more_colours:PINK").distribution == "more_colours"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("green", "there is no colour 'green'; there are dark-blue, red, pink, torn"),
        ("torn", "colour 'torn' cannot be loaded"),
        ("no.such:thing", "colour 'no.such:thing' cannot be loaded"),
        ("../red", "there is no colour"),
        ("helpers", "there is no colour"),
    ],
)
def test_what_is_none_is_told_in_one_line(name: str, why: str, colours: OpenSet[Colour]) -> None:
    with pytest.raises(UnknownMemberError, match=why) as caught:
        colours[name]
    assert "\n" not in str(caught.value)


def test_plugins_are_listed_by_distribution(colours: OpenSet[Colour]) -> None:
    points = plugins()[Origin("gog-test-plugin", "1.2")]
    assert [(point.group, point.name) for point in points] == [
        ("gog.test-colours", name) for name in ("pink", "red", "torn")
    ]


def test_one_that_is_asked_for_loads_no_other(colours: OpenSet[Colour], tmp_path: Path) -> None:
    (tmp_path / "our_colours" / "dear.py").write_text("raise RuntimeError('loaded')\n")
    assert "red" in colours
    assert "green" not in colours
    assert "pink" in colours
    assert colours["red"].code == 1
    assert colours["pink"].code == 3
