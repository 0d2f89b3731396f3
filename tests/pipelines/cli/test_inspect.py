"""`gog inspect`: queries, the shell, pictures of trajectories."""

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from calling import Gog, Place
from lakes import small_run
from rich.console import Console

from gog.pipelines.lake.lake import Lake, Manifest
from gog.pipelines.views.database import build_views, confine, open_lake
from gog.pipelines.views.sql import SHOWN_ROWS, QueryError, ask, shell, show


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = small_run(tmp_path / "lake")
    made.write_manifest(Manifest(run="small", fingerprint="x", state="done"))
    return made


@pytest.fixture
def views(lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_lake(lake.run_folder("small")) as connection:
        confine(connection, lake.run_folder("small"))
        yield connection


def console(width: int = 100) -> Console:
    return Console(file=io.StringIO(), width=width, color_system=None)


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_one_query_as_a_table(gog: Gog, lake: Lake) -> None:
    done = gog("inspect", "--lake", lake.root, "--sql", "select stage, entered from funnel where stage = 'verify';")
    assert done.code == 0
    assert [line.split() for line in done.out.splitlines() if "verify" in line] == [["verify", "12"]]
    assert "\x1b" not in done.out


def test_one_query_as_json(gog: Gog, lake: Lake) -> None:
    sql = "select unit, 1.5::double as x, null as y from funnel where stage = 'ingest'"
    done = gog("inspect", "--lake", lake.root, "--json", "--sql", sql)
    assert json.loads(done.out) == [{"unit": "row", "x": 1.5, "y": None}]


@pytest.mark.parametrize("sql", ["selct 1", "select nothing from funnel", "", "select 1; select 2", "from nowhere"])
def test_a_query_that_cannot_be_answered_is_wrong_use(gog: Gog, lake: Lake, sql: str) -> None:
    done = gog("inspect", "--lake", lake.root, "--sql", sql)
    assert done.code == 2
    assert done.error


@pytest.mark.parametrize(
    "sql",
    [
        "copy (select 1) to 'x.csv'",
        "create table x as select 1",
        "drop view funnel",
        "attach 'x.duckdb'",
        "install httpfs",
        "set memory_limit = '1GB'",
        "export database 'x'",
        "import database '.'",
        "pragma import_database('.')",
        "pragma threads = 1",
        "checkpoint",
        "prepare x as select 1",
        "explain analyze copy (select 1) to 'x.csv'",
        "explain analyse copy (select 1) to 'x.csv'",
        "/* */ explain /* */ analyze copy (select 1) to 'x.csv'",
        "explain (analyze, format json) copy (select 1) to 'x.csv'",
        "explain (format 'json)', analyze) copy (select 1) to 'x.csv'",
        "explain analyze create table x as select 1",
        "explain analyze with x as (copy (select 1) to 'x.csv') from x",
        "with x as (copy (select 1) to 'x.csv') from x",
        "with x as materialized (copy seeds to 'x.parquet') select 1",
        "with x as (insert into seeds select * from seeds) from x",
    ],
)
def test_queries_only_read(
    views: duckdb.DuckDBPyConnection, lake: Lake, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    folder = lake.run_folder("small")  # what they could write to, were it for the allowed folders alone
    monkeypatch.chdir(folder)
    before = set(folder.rglob("*"))
    with pytest.raises(QueryError, match=r"only read|syntax error"):
        ask(views, sql)
    assert set(folder.rglob("*")) == before


@pytest.mark.parametrize(
    "sql",
    [
        "from read_text('/etc/passwd')",
        "from read_blob('/proc/self/environ')",
        "from read_csv('../../../../secret.txt')",
        "from read_text('link.txt')",
        "from glob('/etc/*')",
        "explain analyze from read_text('/etc/passwd')",
        "from sniff_csv('/etc/passwd')",
        "from query('from read_text(''/etc/passwd'')')",
        "from duckdb_secrets()",
    ],
)
def test_queries_read_the_runs_own_files(
    views: duckdb.DuckDBPyConnection, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    monkeypatch.chdir(lake.run_folder("small"))
    (tmp_path / "secret.txt").write_text("secret\n")
    Path("link.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(QueryError, match="--unsafe lets them"):
        ask(views, sql)


def test_settings_are_locked(views: duckdb.DuckDBPyConnection) -> None:
    for sql in ("SET enable_external_access = true", "SET allowed_directories = ['/']", "RESET lock_configuration"):
        with pytest.raises(duckdb.Error):
            views.execute(sql)


def test_unsafe_queries_do_what_the_user_may(gog: Gog, lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("a\n4711\n")
    sql = f"copy (from '{tmp_path}/mine.csv') to '{tmp_path}/copy.csv'"
    assert gog("inspect", "--lake", lake.root, "--sql", sql).code == 2
    assert not (tmp_path / "copy.csv").exists()
    assert gog("inspect", "--lake", lake.root, "--unsafe", "--sql", sql).code == 0
    assert (tmp_path / "copy.csv").read_text() == "a\n4711\n"


@pytest.mark.parametrize("odd", ["a[b] *", "it's", "plain"])
def test_tables_may_be_links_and_folders_have_any_name(gog: Gog, tmp_path: Path, odd: str) -> None:
    lake = small_run(tmp_path / odd)
    lake.write_manifest(Manifest(run="small", fingerprint="x", state="done"))
    table, elsewhere = lake.table_folder("small", "seeds"), tmp_path / "other disk"
    table.rename(elsewhere)
    table.symlink_to(elsewhere, target_is_directory=True)
    done = gog("inspect", "--lake", lake.root, "--json", "--sql", "select count(*) as n from seeds")
    assert json.loads(done.out) == [{"n": 6}]


@pytest.mark.parametrize(
    "sql",
    [
        "explain from funnel",
        "explain analyze from funnel",
        "Explain (format json) from levels",
        "describe funnel",
        "summarize funnel",
        "show tables",
        "from levels; -- so",
        "values (1)",
        "with x as (from levels) from x order by 1",
    ],
)
def test_ways_to_read(views: duckdb.DuckDBPyConnection, sql: str) -> None:
    assert ask(views, sql).rows


def test_many_rows_are_cut_and_it_is_said(views: duckdb.DuckDBPyConnection) -> None:
    answer = ask(views, "from range(1000)", SHOWN_ROWS)
    out = console()
    show(answer, out)
    assert len(answer.rows) == SHOWN_ROWS
    assert f"the first {SHOWN_ROWS} rows" in shown(out)
    assert len(ask(views, "from range(1000)").rows) == 1000


def test_wide_rows_become_blocks(views: duckdb.DuckDBPyConnection) -> None:
    out = console(80)
    show(ask(views, "from overview limit 2"), out)
    assert "row 1" in shown(out)
    assert "row 2" in shown(out)
    assert max(map(len, shown(out).splitlines())) <= 80


def test_cells_are_shown_as_they_are(views: duckdb.DuckDBPyConnection) -> None:
    out = console()
    show(ask(views, "select '[red]x[/red]' || chr(27) || '[31m' || chr(10) || 'y' as a"), out)
    assert "[red]x[/red]" in shown(out)
    assert "\x1b" not in shown(out)


@pytest.mark.parametrize("word", [".quit", "exit", "quit", "\\q"])
def test_the_shell_is_left_as_people_leave_shells(views: duckdb.DuckDBPyConnection, word: str) -> None:
    out = console()
    shell(views, io.StringIO(f"select 1;\n{word}\nselect 47;"), out)
    assert "47" not in shown(out)


def test_the_shell(views: duckdb.DuckDBPyConnection) -> None:
    out = console(160)
    lines = [
        ".tables",
        "selct;",
        "select stage",
        "from funnel where stage = 'label';",
        ".schema funnel",
        ".schema nowhere",
        ".what",
        "select 4711",
        "",
        ".quit",
        "select 'never'",
    ]
    shell(views, io.StringIO("\n".join(lines)), out)
    text = shown(out)
    assert "Why things left, by stage." in text
    assert "error: Parser Error" in text
    assert "label" in text
    assert "counted from the rejects themselves" in text
    assert "there is no view 'nowhere'" in text
    assert ".schema VIEW" in text
    assert "4711" in text
    assert "never" not in text


def test_the_shell_lists_macros(views: duckdb.DuckDBPyConnection) -> None:
    out = console(160)
    shell(views, io.StringIO(".macros"), out)
    assert "why(code)" in shown(out)
    assert "The turns of a trajectory with what came back" in shown(out)


def test_the_shell_ends_with_its_input(views: duckdb.DuckDBPyConnection) -> None:
    out = console()
    shell(views, io.StringIO("select 47"), out)
    assert "47" in shown(out)


def test_the_shell_as_a_command(gog: Gog, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("select count(*) as seeds from seeds;\n"))
    done = gog("inspect", "--lake", lake.root)
    assert done.code == 0
    assert "seeds" in done.out
    assert "6" in done.out


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class TestDuckdbsOwnShell:
    """A program `duckdb` on the path is started in the run's folder, for somebody at a terminal who
    says --unsafe."""

    @pytest.fixture
    def program(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        path = tmp_path / "bin" / "duckdb"
        path.parent.mkdir()
        path.write_text(f'#!/bin/sh\necho "$PWD $@" > {tmp_path}/said\nexit ${{CODE:-0}}\n')
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")
        monkeypatch.setattr("sys.stdin", Terminal("select 4711 as n;\n"))
        return path

    def test_is_started(self, gog: Gog, lake: Lake, program: Path, tmp_path: Path) -> None:
        folder = lake.run_folder("small")
        build_views(folder)
        done = gog("inspect", "--lake", lake.root, "--unsafe")
        assert (tmp_path / "said").read_text() == f"{folder} -readonly lake.duckdb\n"
        assert "4711" not in done.out

    def test_not_unasked(self, gog: Gog, lake: Lake, program: Path, tmp_path: Path) -> None:
        build_views(lake.run_folder("small"))
        assert "4711" in gog("inspect", "--lake", lake.root).out
        assert not (tmp_path / "said").exists()

    def test_one_that_cannot_read_the_file_makes_place_for_ours(
        self, gog: Gog, lake: Lake, program: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        build_views(lake.run_folder("small"))
        monkeypatch.setenv("CODE", "1")
        assert "4711" in gog("inspect", "--lake", lake.root, "--unsafe").out

    def test_not_without_the_file(self, gog: Gog, lake: Lake, program: Path, tmp_path: Path) -> None:
        assert "4711" in gog("inspect", "--lake", lake.root, "--unsafe").out
        assert not (tmp_path / "said").exists()

    def test_not_for_what_is_piped_in(
        self, gog: Gog, lake: Lake, program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        build_views(lake.run_folder("small"))
        monkeypatch.setattr("sys.stdin", io.StringIO("select 4711 as n;\n"))
        assert "4711" in gog("inspect", "--lake", lake.root, "--unsafe").out
        assert not (tmp_path / "said").exists()


class TestTrajectory:
    def test_the_best_and_one_by_the_start_of_its_id(self, gog: Gog, lake: Lake, tmp_path: Path) -> None:
        assert gog("inspect", "--lake", lake.root, "--trajectory", "best", "--out", tmp_path / "a.png").code == 0
        name = next(lake.read_rows("small", "trajectories"))["trajectory_id"]
        done = gog("inspect", "--lake", lake.root, "--trajectory", name[:-2], "--out", tmp_path / "b.png")
        assert done.code == 0
        for file in ("a.png", "b.png"):
            assert (tmp_path / file).read_bytes().startswith(b"\x89PNG")

    @pytest.mark.parametrize(
        ("name", "out"), [("trajectory-none", "a.png"), ("t", "a.png"), ("best", "a.txt"), ("best", "none/a.png")]
    )
    def test_wrong_use(self, gog: Gog, lake: Lake, tmp_path: Path, name: str, out: str) -> None:
        done = gog("inspect", "--lake", lake.root, "--trajectory", name, "--out", tmp_path / out)
        assert done.code == 2
        assert done.error

    def test_a_run_that_has_kept_nothing(self, gog: Gog, copied: Place, tmp_path: Path) -> None:
        shutil.rmtree(copied.run / "curated")
        done = gog("inspect", "--lake", copied.lake, "--trajectory", "best", "--out", tmp_path / "a.png")
        assert done.code == 2
        assert "kept no trajectory" in done.error
