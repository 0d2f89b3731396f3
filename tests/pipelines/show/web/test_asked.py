"""Filters in SQL: what they find, what they may not do, and what they may cost."""

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from lakes import small_run
from viewing import View, ids, viewed, with_manifest

from gog.pipelines.lake.lake import Lake
from gog.pipelines.show.web import index as index_module
from gog.pipelines.show.web.asked import Found, find
from gog.pipelines.show.web.filters import Filter, SqlError
from gog.pipelines.show.web.index import RunIndex


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return with_manifest(small_run(tmp_path / "lake"), "small")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunIndex]:
    made = RunIndex(small_run(tmp_path_factory.mktemp("lake")), "small")
    yield made
    made.close()


def found(index: RunIndex, sql: str) -> set[str]:
    return {row["trajectory_id"] for row in index.page(Filter(sql=sql), "ana", 0, 100).rows}


def test_a_condition_and_a_query_find_the_same(index: RunIndex) -> None:
    wrong = {row["trajectory_id"] for row in index.page(Filter(facets={"outcome": "wrong"}), "ana", 0, 100).rows}
    assert 0 < len(wrong) < index.total
    for sql in (
        "outcome = 'wrong'",
        "outcome = 'wrong' -- those that are not right",
        "list_contains(reasons, 'verify.wrong')",
        "select trajectory_id from verdicts where outcome = 'wrong'",
        "SELECT trajectory_id, outcome FROM verdicts WHERE outcome = 'wrong';",
        "from verdicts where outcome = 'wrong'",
        "with w as (select * from verdicts where outcome = 'wrong') select trajectory_id from w",
        "(select trajectory_id from listed where answer = 'Uganda')",
    ):
        assert found(index, sql) == wrong, sql


def test_a_query_of_seeds_finds_all_their_attempts(index: RunIndex) -> None:
    some = found(index, "select seed_id from complexity")
    assert len(some) == index.total / 2
    assert index.progress(Filter(sql="select seed_id from complexity"), "ana").total == len(some)
    assert found(index, "select NULL as trajectory_id") == set()
    assert found(index, "select 'none' as seed_id") == set()


def test_it_goes_with_other_filters_and_with_a_sample(index: RunIndex) -> None:
    both = Filter(sql="turns > 3", facets={"outcome": "correct"})
    assert index.page(both, "ana", 0, 100).total == 6
    few = Filter(sql="outcome = 'correct'", sample=3)
    assert index.page(few, "ana", 0, 100).total == 3
    first = index.first(few, "ana")
    assert first is not None
    assert index.neighbours(first, few, "ana").total == 3


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("outcom = 'wrong'", 'Referenced column "outcom" not found'),
        ("outcome = ", "syntax error"),
        ("select 1", "it gives 1: a column trajectory_id or seed_id is needed"),
        ("true)); delete from listed; from ((listed", "3 queries: one at a time"),
        ("select trajectory_id from listed); delete from listed; from (listed", "3 queries: one at a time"),
        ("from read_csv('/etc/passwd')", "queries read the run's own files"),
        ("select content as trajectory_id from read_text('/etc/passwd')", "queries read the run's own files"),
        ("exists (from read_text('/etc/passwd'))", "queries read the run's own files"),
        ("select content as seed_id from read_text('http://127.0.0.1:1/x')", ""),
        ("select * from read_parquet('s3://bucket/x')", ""),
        ("with x as (copy listed to '/tmp/x.csv') select trajectory_id from x", ""),
        ("select trajectory_id from query('drop table listed')", ""),
        ("select getvariable('x') as trajectory_id, nextval('s')", ""),
        ("from nothing", "Table with name nothing does not exist"),
        ("\x00", ""),
        ("(" * 1900, ""),
    ],
)
def test_what_cannot_be_asked_is_told_in_one_line(index: RunIndex, sql: str, said: str) -> None:
    with pytest.raises(SqlError) as told:
        found(index, sql)
    words = str(told.value)
    assert said in words, words
    assert "\n" not in words
    assert "unsafe" not in words
    assert len(words) < 500
    assert index.page(Filter(), "ana", 0, 1).total == index.total, "the list is as it was"


@pytest.mark.parametrize(
    "sql",
    ["copy listed to '/tmp/x.csv'", "attach '/tmp/x.db'", "install httpfs", "pragma database_list", "set threads = 9"],
)
def test_what_is_no_question_is_no_condition_either(index: RunIndex, sql: str) -> None:
    with pytest.raises(SqlError):
        found(index, sql)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("select count(*)::varchar as seed_id from range(1000000) a, range(1000000) b", "it takes longer than 4 s"),
        (
            "select string_agg(a.range::varchar || b.range) as seed_id from range(100000) a, range(1000) b",
            "more than 256MB",
        ),
        ("length(repeat('x', 2000000000)) > 0", "more than 256MB"),
        ("len(range(1000000000)) > 0", "more than 256MB"),
        ("[" * 900 + "]" * 900, ""),
        ("select range::varchar as seed_id from range(200001)", "it finds more than 200,000"),
    ],
)
def test_time_memory_and_finds_are_bounded(index: RunIndex, sql: str, said: str) -> None:
    found(index, "true")
    began = time.monotonic()
    with pytest.raises(SqlError) as told:
        found(index, sql)
    print(f"{time.monotonic() - began:.1f} s: {told.value}")
    assert said in str(told.value)
    assert len(found(index, "true and true")) == index.total, "the next one is answered"


def test_only_one_is_asked_at_a_time_and_the_rest_wait(index: RunIndex) -> None:
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(len(found(index, f"turns > {n % 3}")))) for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers == [index.total] * 12


def test_finds_are_kept_for_a_while_and_the_oldest_go(index: RunIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    kept = "turns > 1 and 'kept' = 'kept'"

    def counted(run_folder: Path, listed: Path, sql: str) -> Found:
        calls.append(sql)
        return find(run_folder, listed, sql)

    monkeypatch.setattr(index_module, "find", counted)
    for _ in range(3):
        found(index, kept)
    assert calls == [kept]
    for number in range(12):
        assert len(found(index, f"turns > 1 and {number} = {number}")) == index.total
    calls.clear()
    assert len(found(index, kept)) == index.total
    assert calls == [kept], "it had to go"


# In the page


def link(sql: str) -> str:
    return f"?sql={quote(sql)}"


def test_list_count_queue_and_neighbours_honour_it(lake: Lake) -> None:
    sql = link("outcome = 'wrong' and sample_index = 1")
    with viewed(lake.root) as view:
        page = view.get(f"/runs/small{sql}").text
        assert "<strong>6</strong> of 12 trajectories" in page
        names = ids(page)
        assert len(names) == 6
        first = view.get(f"/runs/small/queue{sql}&review=todo").headers["location"]
        assert first.partition("/t/")[2].partition("?")[0] in names
        assert "sql=outcome" in first
        shown = view.get(first).text
        assert "6 to decide" in shown
        assert "of 6 by you" in re.sub(r"\s+|<[^>]*>", " ", shown).replace("  ", " ")
        follow = re.search(r'rel="next" href="([^"]*)"', shown)
        assert follow
        assert follow[1].partition("/t/")[2].partition("?")[0] in names
        said = view.post(f"/runs/small/t/{names[0]}/review{sql}&review=todo", {"decision": "accept"})
        assert "<strong>1</strong> of 6 by you" in said.text


def test_a_wrong_one_is_told_beside_its_field(lake: Lake) -> None:
    with viewed(lake.root) as view:
        name = ids(view.get("/runs/small").text)[0]
        for sql in ("outcom = 1", "from read_text('/etc/passwd')", "<script>alert(1)</script>"):
            reply = view.get(f"/runs/small{link(sql)}")
            assert reply.status == 400
            assert 'id="sql-error"' in reply.text
            assert "Traceback" not in reply.text
            assert "<script>alert" not in reply.text
            assert ids(reply.text) == []
            for path in (f"/runs/small/t/{name}", "/runs/small/queue"):
                assert view.get(f"{path}{link(sql)}").status == 400
            assert view.post(f"/runs/small/t/{name}/review{link(sql)}", {"decision": "accept"}).status == 400
        assert view.get(f"/runs/small{link('x' * 2001)}").status == 400


# Saved filters


def saved(view: View) -> list[tuple[str, str]]:
    page = view.get("/runs/small").text
    return re.findall(r'<li><a href="/runs/small(\?[^"]*)" title="[^"]*"[^>]*><bdi>([^<]*)</bdi>', page)


def keep(view: View, name: object, query: object) -> int:
    return view.post("/runs/small/filters", {"name": name, "query": query}).status


def test_a_filter_is_saved_applied_changed_and_removed(lake: Lake) -> None:
    with viewed(lake.root, "ana") as view:
        assert keep(view, "hard ones", "?sql=turns+%3E+3&outcome=correct") == 204
        assert keep(view, " <b>odd</b>\n", "?q=kenya&sort=turns&page=3") == 204
        found = saved(view)
        assert [name for _, name in found] == ["&lt;b&gt;odd&lt;/b&gt;", "hard ones"]
        assert found[0][0] == "?q=kenya&amp;sort=turns"
        applied = view.get("/runs/small" + found[1][0].replace("&amp;", "&")).text
        assert "<strong>6</strong> of 12" in applied
        assert applied.count('aria-current="true"') == 1
        assert keep(view, "hard ones", "?outcome=wrong") == 204
    with viewed(lake.root, "ben") as view:
        assert saved(view)[1] == ("?outcome=wrong", "hard ones"), "it outlives the server"
        assert view.post("/runs/small/filters/remove", {"name": "hard ones"}).status == 204
        assert view.post("/runs/small/filters/remove", {"name": "hard ones"}).status == 204
        assert len(saved(view)) == 1
    assert len(list((lake.run_folder("small") / "filters").iterdir())) == 1


def test_what_is_no_filter_is_not_saved(lake: Lake) -> None:
    wrong = "?outcome=wrong"
    with viewed(lake.root) as view:
        for name, query, status in (
            ("", wrong, 422),
            ("x" * 61, wrong, 422),
            (7, wrong, 422),
            ("ok", "", 422),
            ("ok", "?sort=turns", 422),
            ("ok", 7, 422),
            ("\ud800", wrong, 422),
            ("ok", "?q=\ud800", 422),
            ("ok", "?sql=" + "x" * 9000, 422),
            ("ok", "?colour=red", 400),
            ("ok", "?outcome=wrnog", 400),
            ("ok", "?sql=outcom+%3D+1", 400),
        ):
            assert keep(view, name, query) == status, (name, query)
        assert saved(view) == []
        assert view.post("/runs/small/filters/remove", {"name": "\ud800"}).status == 422


@pytest.mark.parametrize("made", ["1e9", "[1]", "{}", f"1{'0' * 400}", "null", '"x"'])
def test_a_file_of_before_is_read_whatever_time_it_says(lake: Lake, made: str) -> None:
    folder = lake.run_folder("small") / "filters"
    folder.mkdir()
    for name, said in (("old", f', "made": {made}'), ("new", "")):
        (folder / f"{name}.json").write_text(f'{{"name": "{name}", "query": "?kept=yes", "by": "ana"{said}}}')
    (folder / "half.json").write_text('{"name": "half", "query": "?q=\\ud800", "by": "ana"}')
    with viewed(lake.root) as view:
        assert saved(view) == [("?kept=yes", "new"), ("?kept=yes", "old")]


def test_damaged_files_are_passed_over_and_their_number_is_bounded(lake: Lake) -> None:
    folder = lake.run_folder("small") / "filters"
    folder.mkdir()
    script = '{"name": "x", "query": "javascript:alert(1)", "by": ""}'
    for number, text in enumerate(("", "[]", '{"name": 1}', script, "[" * 9999)):
        (folder / f"damaged-{number}.json").write_text(text)
    (folder / "away.json").symlink_to("/nowhere")
    with viewed(lake.root) as view:
        assert saved(view) == []
        assert [keep(view, f"n{number}", "?outcome=wrong") for number in range(102)].count(204) == 100
        assert view.post("/runs/small/filters", {"name": "one", "query": "?outcome=wrong"}).status == 409
        assert keep(view, "n7", "?outcome=correct") == 204
        assert view.post("/runs/none/filters", {"name": "one", "query": "?outcome=wrong"}).status == 404
        assert view.post("/runs/none/filters/remove", {"name": "one"}).status == 404
