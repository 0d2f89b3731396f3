"""`gog eval`: the bundled benchmark and published ones, compared, and how far judges agree."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import published
import pytest
import yaml
from calling import Gog
from serving import served

from gog.pipelines.cli.main import call
from gog.pipelines.connect.services import close_stores
from gog.transforms.evaluate.paradigms import Paradigm

FEW = ("--bench", "atlas", "--limit", "4")
SMALL = (*FEW, "--demo")


@pytest.fixture(scope="session")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with two evaluations of four atlas questions by planners of different skill. Nobody writes to it."""
    lake = tmp_path_factory.mktemp("evaluated") / "lake"
    for name, skill in (("base", 0.0), ("tuned", 1.0)):
        policy = f"planner:skill={skill}"
        assert call(["eval", *SMALL, "--policy", policy, "--name", name, "--judge-all", "--lake", str(lake)]) == 0
    close_stores()
    return lake


@pytest.fixture
def lake(evaluated: Path, tmp_path: Path) -> Path:
    """The lake, to be written to."""
    return Path(shutil.copytree(evaluated, tmp_path / "lake"))


def results(lake: Path, name: str) -> dict[str, Any]:
    return dict(json.loads((lake / "evals" / name / "results.json").read_text("utf-8")))


def test_all_paradigms_in_one_table(gog: Gog, lake: Path) -> None:
    done = gog("eval", *SMALL, "--policy", "planner:skill=1.0", "--name", "tuned", "--judge-all", "--lake", lake)
    assert done.code == 0
    first = [line.split()[0] for line in done.out.splitlines() if line.startswith((" direct ", " prompted ", " full"))]
    assert first[:3] == ["direct", "prompted", "full-search"]
    assert "paper" not in done.out, "the paper knows no atlas"
    for said in ("how it searched", "useful gazes", "came back", "list price $", "rules settle", "results.json"):
        assert said in done.out


def test_a_second_time_asks_nobody_and_says_the_same(gog: Gog, lake: Path) -> None:
    before = (lake / "evals" / "tuned" / "results.json").read_bytes()
    done = gog("eval", *SMALL, "--policy", "planner:skill=1", "--name", "tuned", "--judge-all", "--lake", lake)
    assert done.code == 0
    assert (lake / "evals" / "tuned" / "results.json").read_bytes() == before


def test_json_is_what_the_file_holds(gog: Gog, lake: Path) -> None:
    arguments = ("--policy", "planner:skill=1", "--name", "tuned", "--judge-all", "--lake", lake, "--json")
    done = gog("eval", *SMALL, *arguments)
    assert json.loads(done.out) == results(lake, "tuned")


def test_paradigms_are_added_to_what_is_there(gog: Gog, tmp_path: Path) -> None:
    for paradigm in ("policy", "direct"):
        assert gog("eval", *SMALL, "--paradigm", paradigm, "--lake", tmp_path / "lake").code == 0
    found = results(tmp_path / "lake", "eval")["benchmarks"]["atlas"]["paradigms"]
    assert [(name, part["items"]) for name, part in found.items()] == [("direct", 4), ("policy", 4)]


def test_the_served_planner_gives_the_same_numbers(gog: Gog, lake: Path, tmp_path: Path) -> None:
    with served() as server:
        models = ("--policy", f"{server.address}#planner:2?skill=1", "--judge", f"{server.address}#planner:2?skill=1")
        done = gog("eval", *SMALL, *models, "--name", "tuned", "--judge-all", "--lake", tmp_path / "served")
    assert done.code == 0, done.err
    assert server.counted["answered"] > 20
    here, there = results(lake, "tuned"), results(tmp_path / "served", "tuned")
    assert there["benchmarks"] == here["benchmarks"]
    assert (there["policy"], there["judge"]) == (here["policy"], here["judge"])


def test_compare(gog: Gog, evaluated: Path) -> None:
    done = gog("eval", "compare", "base", "tuned", "--lake", evaluated)
    assert done.code == 0
    assert len([line for line in done.out.splitlines() if line.startswith(" atlas")]) == 2 * len(Paradigm)
    one = gog("eval", "compare", "tuned/direct", "tuned/policy", "--lake", evaluated, "--json")
    official, judged = json.loads(one.out)
    assert (official["benchmark"], official["paradigm"], official["protocol"]) == (
        "atlas",
        "direct > policy",
        "official",
    )
    assert judged["protocol"] == "judged"
    assert official["comparison"]["paired"] == 4
    found = results(evaluated, "tuned")["benchmarks"]["atlas"]["paradigms"]
    for side, paradigm in (("a", "direct"), ("b", "policy")):
        measured = found[paradigm]["official"]["measures"]["accuracy"]["value"]
        assert official["comparison"]["measures"]["accuracy"][side] == measured
    file = evaluated / "evals" / "base" / "results.json"
    assert gog("eval", "compare", file, f"{file}/policy", "--lake", "nowhere").code == 0


def test_rules_against_the_judge(gog: Gog, evaluated: Path) -> None:
    done = gog("eval", "agreement", "tuned", "--lake", evaluated)
    assert done.code == 0
    assert "kappa" in done.out
    (found,) = json.loads(gog("eval", "agreement", "tuned/policy", "--lake", evaluated, "--json").out)
    assert (found["benchmark"], found["paradigm"], found["decided"]["n"]) == ("atlas", "policy", 4)
    assert found["agreement"]["n"] + found["agreement"]["unknown_first"] == 4, "the judge was asked of all of them"


def test_judge_against_judge_is_over_equal_answers(gog: Gog, lake: Path) -> None:
    path = lake / "evals" / "tuned" / "results.json"
    found = results(lake, "tuned")
    items = found["benchmarks"]["atlas"]["paradigms"]["policy"]["answers"]
    opinions = [item["opinion"] for item in items]
    assert set(opinions) <= {"correct", "incorrect"}
    items[0]["opinion"] = "incorrect" if opinions[0] == "correct" else "correct"
    items[1]["prediction"] = "another answer"
    other = lake.parent / "other.json"
    other.write_text(json.dumps(found), "utf-8")
    done = gog("eval", "agreement", path, f"{other}/policy", "--json")
    (row,) = json.loads(done.out)
    assert (row["other_answers"], row["agreement"]["n"]) == (1, 3)
    assert row["agreement"]["agreed"]["value"] == pytest.approx(2 / 3)
    shown = gog("eval", "agreement", path, other)
    assert shown.code == 0
    assert "other answers" in shown.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name a benchmark"),
        (("--bench", "vqa", "--demo"), "is no benchmark: there are atlas"),
        (("--bench", "fvqa", "--demo"), "not bundled: give the path of fvqa_test.parquet"),
        (("--bench", "fvqa=nowhere.parquet", "--demo"), "nowhere.parquet"),
        (("--bench", "atlas", "--bench", "atlas"), "named twice"),
        (("--bench", "atlas", "--paradigm", "magic", "--demo"), "no paradigm 'magic': one of direct"),
        (("--bench", "atlas", "--policy", "nobody:", "--demo"), "is no address of a model"),
        (("--bench", "atlas", "--limit", "0"), "limit"),
        (("compare", "base", "nothing"), "there is no evaluation 'nothing'"),
        (("compare", "base/magic", "tuned"), "there is no evaluation 'base/magic'"),
        (("agreement", "nothing"), "there is no evaluation 'nothing'"),
    ],
)
def test_wrong_use_is_told_in_a_line(gog: Gog, lake: Path, arguments: tuple[str, ...], said: str) -> None:
    done = gog("eval", *arguments, *(() if arguments[:1] == () else ("--lake", lake)))
    assert done.code == 2
    assert said in done.error


@pytest.mark.parametrize("text", ["[]", "{", '{"benchmarks": {}}', '{"benchmarks": {"atlas": 1}}', "\x00"])
def test_a_file_that_holds_no_results(gog: Gog, evaluated: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    for arguments in (("compare", "base", tmp_path / "x.json"), ("agreement", tmp_path / "x.json")):
        done = gog("eval", *arguments, "--lake", evaluated)
        assert done.code == 2
        assert "holds no results" in done.error


def test_evaluations_with_nothing_in_common(gog: Gog, evaluated: Path, tmp_path: Path) -> None:
    found = results(evaluated, "base")
    found["benchmarks"]["fvqa"] = found["benchmarks"].pop("atlas")
    (tmp_path / "x.json").write_text(json.dumps(found))
    for command in ("compare", "agreement"):
        done = gog("eval", command, "base", tmp_path / "x.json", "--lake", evaluated)
        assert (done.code, "in common" in done.error) == (2, True)


def test_another_policy_needs_another_name(gog: Gog, lake: Path) -> None:
    done = gog("eval", *SMALL, "--policy", "planner:skill=0.3", "--name", "base", "--judge-all", "--lake", lake)
    assert done.code == 2
    assert "another policy: choose another --name" in done.error


def config(folder: Path, **keys: Any) -> Path:
    path = folder / "eval.yaml"
    path.write_text(yaml.safe_dump(keys))
    return path


def test_at_a_ceiling_it_ends_with_exit_code_1_and_goes_on_with_a_higher_one(gog: Gog, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    arguments = ("eval", *FEW, "--paradigm", "policy", "--lake", lake)
    done = gog(*arguments, "-c", config(tmp_path, budget={"max_calls": 3}))
    assert done.code == 1
    assert "max_calls" in done.error
    assert "the same command asks for them again" in done.error
    done = gog(*arguments, "-c", config(tmp_path, budget={"max_calls": 1000}))
    assert done.code == 0
    assert results(lake, "eval")["benchmarks"]["atlas"]["left"] == 0


def test_a_money_ceiling_without_a_price_is_refused_first(gog: Gog, tmp_path: Path) -> None:
    path = config(tmp_path, budget={"max_cost": 1.0}, models={"m": {"key_env": ""}})
    policy = ("--policy", "http://127.0.0.1:9/v1#m")
    done = gog("eval", *FEW, *policy, "--lake", tmp_path / "lake", "-c", path)
    assert done.code == 2
    assert "price" in done.error


def test_a_dead_endpoint_leaves_everything_unknown(gog: Gog, tmp_path: Path) -> None:
    path = config(tmp_path, retry={"attempts": 1}, models={"m": {"key_env": ""}})
    arguments = ("eval", "--bench", "atlas", "--limit", "2", "--lake", tmp_path / "lake", "-c", path)
    done = gog(*arguments, "--policy", "http://127.0.0.1:9/v1#m")
    assert done.code == 1
    # The breaker may have stopped the last of them.
    assert "8 answers are missing (" in done.error
    found = results(tmp_path / "lake", "eval")["benchmarks"]["atlas"]["paradigms"]["policy"]
    assert found["official"]["measures"]["accuracy"]["value"] is None
    assert found["official"]["unknown"] == found["unsettled"] == 2


def livevqa(folder: Path) -> str:
    """The real rows where they are, else a small copy of their form."""
    real = os.environ.get("GOG_REAL_DATA", "")
    return f"{real}/livevqa" if real else str(published.livevqa(folder / "livevqa", rows=1))


def test_a_published_benchmark_from_end_to_end(gog: Gog, tmp_path: Path) -> None:
    arguments = ("--bench", f"livevqa={livevqa(tmp_path)}", "--bench", "atlas", "--limit", "4", "--demo")
    done = gog("eval", *arguments, "--paradigm", "direct", "--paradigm", "policy", "--lake", tmp_path / "lake")
    assert done.code == 0, done.err
    assert "policy, paper: GoG-3-8B-Think-RL" in done.out
    assert "43.9" in done.out
    assert "for orientation" in done.out
    assert "The judge is a rule-based program: its numbers of livevqa are worth little" in done.out
    assert "Average of atlas, livevqa" in done.out
    found = results(tmp_path / "lake", "eval")
    assert found["benchmarks"]["livevqa"]["paradigms"]["policy"]["items"] == 4
    level = found["benchmarks"]["livevqa"]["paradigms"]["policy"]["official"]["measures"]
    assert {"accuracy_overall", "accuracy_attempted", "level1_accuracy_overall"} <= level.keys()
    images = [path for path in (tmp_path / "lake" / "images").rglob("*.*") if path.is_file()]
    assert len(images) == len({path.stem for path in images})


def own_questions(folder: Path) -> Path:
    """Rows with ids, one of them twice, one without an answer and one without its picture."""
    folder.mkdir()
    (folder / "a.png").write_bytes(published.picture(1, form="PNG"))
    rows = [
        {"nr": "q-7", "q": "What is this?", "a": "Tower", "img": "a.png"},
        {"nr": "q-8", "q": "Who built it?", "a": ["Ann", "Ann B."], "img": "a.png"},
        {"nr": "q-8", "q": "When?", "a": "1901", "img": "a.png"},
        {"nr": "q-9", "q": "Why?", "a": "", "img": "a.png"},
        {"nr": "q-10", "q": "Where?", "a": "Spain", "img": "gone.png"},
    ]
    path = folder / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


MAPPING = {"question": "q", "answers": ["a"], "image": "img", "columns": {"id": "nr"}}


@pytest.mark.parametrize("described", [True, False], ids=["yaml", "the config's mapping"])
def test_a_benchmark_of_ones_own_questions(gog: Gog, tmp_path: Path, described: bool) -> None:
    rows = own_questions(tmp_path / "mine")
    source = {"kind": "jsonl", "path": "elsewhere.jsonl", "dataset": "d", "mapping": MAPPING}
    if described:
        mine = tmp_path / "mine" / "mine.yaml"
        mine.write_text(yaml.safe_dump({"source": source | {"path": "mine.jsonl"}}))
        bench, path = f"mine={mine}", config(tmp_path)
    else:
        bench, path = f"mine={rows}", config(tmp_path, source=source | {"limit": 1})
    arguments = ("eval", "--bench", bench, "--paradigm", "direct", "--lake", tmp_path / "lake", "-c", path)
    done = gog(*arguments)
    assert done.code == 0, done.err
    part = results(tmp_path / "lake", "eval")["benchmarks"]["mine"]
    assert part["dropped"] == {"no_answer": 1, "image_unreadable": 1}
    answers = part["paradigms"]["direct"]["answers"]
    assert [answer["item_id"] for answer in answers] == ["q-7", "q-8", "q-8#2"]
    assert gog(*arguments).code == 0
    assert gog("eval", "compare", "eval/direct", "eval/direct", "--lake", tmp_path / "lake").code == 0


@pytest.mark.parametrize(
    ("bench", "said"),
    [
        ("mine", "mine=FILE is one of your own questions"),
        ("fvaq=x.parquet", "did you mean fvqa?"),
        ("../mine=x.jsonl", "is no benchmark"),
        ("mine=mine.jsonl", "nothing says what its columns are"),
        ("mine=nowhere.yaml", "nowhere.yaml: no such file"),
        ("mine:test=mine.jsonl", "mine has no split 'test'"),
    ],
)
def test_what_is_no_benchmark_of_ones_own(gog: Gog, tmp_path: Path, bench: str, said: str) -> None:
    done = gog("eval", "--demo", "--bench", bench, "--lake", tmp_path / "lake")
    assert (done.code, said in done.error) == (2, True), done.error


@pytest.mark.parametrize(
    ("change", "said"), [({"question": "frage"}, "frage"), ({"answers": ["none"]}, "none")], ids=["question", "answers"]
)
def test_own_questions_that_the_mapping_does_not_fit(
    gog: Gog, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    rows = own_questions(tmp_path / "mine")
    source = {"kind": "jsonl", "path": "x.jsonl", "dataset": "d", "mapping": MAPPING | change}
    path = config(tmp_path, source=source)
    done = gog("eval", "--bench", f"mine={rows}", "--lake", tmp_path / "lake", "-c", path)
    assert (done.code, said in done.error) == (2, True), done.error


def test_own_questions_without_any_of_their_pictures_fall_short(gog: Gog, tmp_path: Path) -> None:
    rows = own_questions(tmp_path / "mine")
    for picture in [path for path in rows.parent.rglob("*") if path.suffix in (".png", ".jpg")]:
        picture.unlink()
    path = config(tmp_path, source={"kind": "jsonl", "path": "x.jsonl", "dataset": "d", "mapping": MAPPING})
    arguments = ("--paradigm", "direct", "--lake", tmp_path / "lake", "-c", path)
    done = gog("eval", "--bench", f"mine={rows}", *arguments)
    assert done.code == 1, done.out
    assert "mine: nothing could be asked; most left as image_unreadable" in done.error


def test_hostile_names_are_shown_as_they_are(gog: Gog, tmp_path: Path) -> None:
    rows = [published.fvqa_row(n, data_id=f"[red]{n}\x1b[2J\r\n\u202e") for n in range(2)]
    path = published.table(tmp_path / "fvqa_test.parquet", rows)
    arguments = ("--bench", f"fvqa={path}", "--paradigm", "direct", "--demo", "--lake", tmp_path / "lake")
    done = gog("eval", *arguments)
    assert done.code == 0
    assert "\x1b" not in done.out
    assert results(tmp_path / "lake", "eval")["benchmarks"]["fvqa"]["paradigms"]["direct"]["items"] == 2
    kept = (tmp_path / "lake" / "evals" / "eval" / "answers" / "fvqa.test-direct.jsonl").read_bytes()
    assert kept.count(b"\n") == 2
    assert b"\x1b" not in kept
    assert gog("eval", *arguments).code == 0


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL])
def test_stopped_in_the_middle_it_keeps_what_was_answered(gog: Gog, tmp_path: Path, signum: signal.Signals) -> None:
    path = published.table(tmp_path / "fvqa_test.parquet", [published.fvqa_row(n) for n in range(30)])
    lake, file = tmp_path / "lake", config(tmp_path, window=1)
    arguments = ["eval", "--bench", f"fvqa={path}", "--paradigm", "policy", "--lake", str(lake), "-c", str(file)]
    journal = lake / "evals" / "eval" / "answers" / "fvqa.test-policy.jsonl"
    with subprocess.Popen(
        [sys.executable, "-m", "gog.pipelines.cli.main", *arguments], stderr=subprocess.PIPE
    ) as child:
        until = time.monotonic() + 60
        while time.monotonic() < until and not (journal.exists() and journal.read_bytes().count(b"\n") >= 3):
            time.sleep(0.01)
        child.send_signal(signum)
        _, err = child.communicate(timeout=60)
    assert child.returncode == (130 if signum is signal.SIGINT else -9), err
    before = journal.read_bytes()
    assert 3 <= before.count(b"\n") < 30
    assert gog(*arguments).code == 0
    after = journal.read_bytes()
    assert after.startswith(before)
    assert 30 <= after.count(b"\n") <= 31, "at most one torn line"
    assert results(lake, "eval")["benchmarks"]["fvqa"]["paradigms"]["policy"]["items"] == 30


def test_several_judges_are_a_panel(gog: Gog, tmp_path: Path) -> None:
    judges = [part for skill in ("1", "0.9", "0.8") for part in ("--judge", f"planner:skill={skill}")]
    done = gog(
        "eval",
        "--demo",
        "--bench",
        "atlas",
        "--limit",
        "2",
        "--paradigm",
        "direct",
        *judges,
        "--lake",
        tmp_path / "lake",
    )
    assert done.code == 0, done.err
    assert results(tmp_path / "lake", "eval")["judge"].count("planner:2?skill=") == 3
