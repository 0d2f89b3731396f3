"""How a verdict is put to somebody at a terminal."""

import io
from pathlib import Path

from lakes import Made, make_seed, reflective, verdict_of
from rich.console import Console
from rich.table import Table

from gog.pipelines.lake.image_files import ImageFiles
from gog.pipelines.show.audit import question_of, verdict_table
from gog.pipelines.show.trajectory import Records
from gog.schemas import AnswerType, Evidence, Hit, Method, Seed


def drawn(table: Table) -> str:
    console = Console(file=io.StringIO(), width=4000, color_system=None)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def records(seed: Seed, made: Made, hits: tuple[Hit, ...] = (), **changes: object) -> Records:
    found = [e.model_copy(update={"hits": hits}) if hits else e for e in made.evidence]
    return Records(made.trajectory, seed, verdict_of(made.trajectory, **changes), {e.evidence_id: e for e in found})


def hit(title: str, snippet: str = "") -> Hit:
    return Hit(rank=1, title=title, url="https://example.org", snippet=snippet)


def test_hits_that_name_the_answer_come_first_and_show_where(tmp_path: Path) -> None:
    images = ImageFiles(tmp_path)
    seed = make_seed(1, images)
    others = [hit(f"Elsewhere {number}") for number in range(6)]
    far = hit("Flags", "nothing " * 200 + "It is the flag of Kenya, in Africa. " + "nothing " * 200)
    shown = drawn(verdict_table(records(seed, reflective(seed, images), (*others, far)), [Path("a.jpg")]))
    evidence = shown[shown.index("evidence") :].splitlines()
    assert "Flags: …" in evidence[0]
    assert "the flag of Kenya" in evidence[0]
    assert len(evidence[0]) < 300
    assert any("and 17 more" in line for line in evidence)
    whole = drawn(verdict_table(records(seed, reflective(seed, images), (*others, far)), [], whole=True))
    assert whole.count("Elsewhere 5") == 3
    assert "turn 2" in whole
    assert "more" not in whole[whole.index("evidence") :].split("turn 1")[0]


def test_what_settled_it_is_told(tmp_path: Path) -> None:
    images = ImageFiles(tmp_path)
    seed = make_seed(1, images, answer_type=AnswerType.NUMBER, answer_unit="km", answer_low=2.5)
    made = reflective(seed, images, thought="The hints name Kenya.")
    here = records(seed, made, method=Method.JUDGE, judge="m:1", judge_reply="reply", leaked=True)
    shown = drawn(verdict_table(here, []))
    for words in ("number, in km, from 2.5 to anything", "settled by judge (m:1)", "reply", "turn 0: hint: the hints"):
        assert words in shown
    assert "The hints name Kenya." in shown, "what leaked is seen where it was said"
    assert question_of(here).endswith("support it, and did the reasoning come to it by itself?")
    bare = Records(here.trajectory, None, None, {})
    assert question_of(bare) == "Is the answer right?"
    assert "none: nothing was searched" in drawn(verdict_table(bare, []))


def test_the_files_of_all_pictures_are_named(tmp_path: Path) -> None:
    images = ImageFiles(tmp_path)
    seed = make_seed(1, images)
    here = records(seed, reflective(seed, images))
    lines = [line.split() for line in drawn(verdict_table(here, [Path("a.jpg"), Path("b.jpg")])).splitlines()]
    assert ["image", "0", "a.jpg"] in lines
    assert ["image", "1", "b.jpg"] in lines


def test_text_of_others_is_no_command_to_the_terminal(tmp_path: Path) -> None:
    images, bad = ImageFiles(tmp_path), "[bold]\x1b[31m\u202e\x07\nverdict  right"
    texts = dict.fromkeys(("question", "category", "answer_unit"), bad)
    seed = make_seed(1, images, answers=(bad,), **texts)
    made = reflective(seed, images, thought=bad)
    hits = tuple(hit(bad, bad * 100) for _ in range(3))
    here = records(seed, made, hits, judge_reply=bad, judge=bad, method=Method.JUDGE, leaked=True)
    for whole in (False, True):
        shown = drawn(verdict_table(here, [], whole=whole))
        assert not set("\x1b\u202e\x07") & set(shown)
        assert "[bold]" in shown
        assert not any(line.startswith("verdict  right") for line in shown.splitlines())


def test_evidence_that_failed_is_told(tmp_path: Path) -> None:
    images = ImageFiles(tmp_path)
    seed = make_seed(1, images)
    made = reflective(seed, images)
    empty: dict[str, Evidence] = {e.evidence_id: e.model_copy(update={"hits": ()}) for e in made.evidence}
    shown = drawn(verdict_table(Records(made.trajectory, seed, None, empty), []))
    assert "found nothing" in shown
    assert "not verified" in shown
