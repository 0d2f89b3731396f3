"""`gog store`: what is kept, whether it is sound, cassettes that travel, clearing up."""

import asyncio
import json
import shutil
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from calling import Gog, Place, contents, place

from gog.pipelines.cli.errors import UseError
from gog.pipelines.cli.options import seconds_of
from gog.pipelines.lake.lake import Lake
from gog.transforms.services.provider import Opening
from gog.transforms.services.providers import IMAGE_SEARCHES, open_service
from gog.transforms.services.store.schema import FILE


def store_of(made: Place) -> sqlite3.Connection:
    return sqlite3.connect(made.lake / "store" / FILE, isolation_level=None)


def one(made: Place, sql: str, *values: object) -> Any:
    return store_of(made).execute(sql, values).fetchone()[0]


def configured(made: Place, folder: Path, name: str, **changes: Any) -> Path:
    """Another config of the place."""
    config = yaml.safe_load(made.config.read_text()) | changes
    path = folder / name
    path.write_text(yaml.safe_dump(config))
    return path


def fresh(folder: Path, finished: Place, **changes: Any) -> Place:
    """A place without a store; the index is there, as building it takes its time."""
    folder.mkdir(exist_ok=True)
    made = place(folder, **changes)
    shutil.copytree(finished.lake / "indexes", made.lake / "indexes")
    return made


class TestWorlds:
    def test_a_run_is_sealed_for_trainings(self, gog: Gog, finished: Place, tmp_path: Path) -> None:
        """All pictures of its seeds are searched with beforehand, and the indexes come along."""
        folder = tmp_path / "world"
        command = ("store", "export", folder, "--lake", finished.lake, "--for-training")
        done = gog(*command)
        assert done.code == 0, done.err
        assert "whatever else is asked is searched in its 199 pictures" in done.out
        assert f"world: {folder}" in done.out
        seeds = {row["image_sha256"] for row in Lake(finished.lake, create=False).read_rows("tiny", "seeds")}
        search = open_service(IMAGE_SEARCHES, Opening(f"world:{folder}", calls=False))
        assert seeds
        for sha256 in seeds:
            # The store here has no picture, so that the index could not be asked.
            assert asyncio.run(search.search(sha256, 5))
        again = gog(*command)
        assert (again.code, "is there already" in again.error) == (2, True)
        assert gog(*command[:2], tmp_path / "other", *command[3:], "--kind", "page").code == 2
        assert "no run 'none'" in gog(*command[:2], tmp_path / "other", *command[3:], "--run", "none").error

    def test_a_run_goes_on_in_a_world_and_leaves_where_that_does_not_know(
        self, gog: Gog, finished: Place, tmp_path: Path
    ) -> None:
        assert gog("store", "export", tmp_path / "world", "--lake", finished.lake, "--for-training").code == 0
        address = f"world:{tmp_path / 'world'}"
        made = place(tmp_path, text_search=address, image_search=address)
        assert gog("run", "-c", made.config).code == 0
        assert contents(made.run).keys() == contents(finished.run).keys()
        shutil.rmtree(tmp_path / "world/index")
        assert "missing or cut off" in gog("run", "-c", made.config, "--run", "other").error


class TestStats:
    def test_adds_up(self, gog: Gog, finished: Place) -> None:
        found = json.loads(gog("store", "stats", "--lake", finished.lake, "--json").out)
        assert sum(group["entries"] for group in found["groups"]) == one(finished, "SELECT count(*) FROM answers")
        assert {"chat", "detect", "image_search", "crop"} <= {group["kind"] for group in found["groups"]}
        assert found["events"] == {"tiny": one(finished, "SELECT count(*) FROM events")}
        shown = gog("store", "stats", "--lake", finished.lake)
        assert shown.code == 0
        assert all(word in shown.out for word in ("planner", "age in days", "Events: tiny"))

    def test_failures_have_lines_of_their_own(self, gog: Gog, copied: Place) -> None:
        sql = "UPDATE answers SET failure = 'refused', answer = NULL WHERE key = (SELECT min(key) FROM answers)"
        store_of(copied).execute(sql)
        found = json.loads(gog("store", "stats", "--lake", copied.lake, "--json").out)
        assert [group["entries"] for group in found["groups"] if group["failure"] == "refused"] == [1]

    def test_where_there_is_no_store(self, gog: Gog, tmp_path: Path) -> None:
        made = tmp_path / "made"
        for command in ("stats", "verify", "gc --failures", f"export {made}", f"export {made} --for-training"):
            done = gog("store", *command.split(), "--lake", tmp_path / "none")
            assert done.code == 2
            assert "there is no store" in done.error
            assert list(tmp_path.iterdir()) == []


class TestVerify:
    def test_a_sound_store(self, gog: Gog, finished: Place) -> None:
        done = gog("store", "verify", "--lake", finished.lake)
        assert done.code == 0, done.out
        assert "all sound" in done.out

    @pytest.mark.parametrize(
        ("spoil", "said"),
        [
            ("request = request || ' '", "key is not the hash of its request"),
            ("request = x'78'", "request cannot be read"),
            ("answer = '{}'", "not of the form of 'chat'"),
            ("answer = '['", "not of the form of 'chat'"),
            ("answer = x'789c00'", "answer cannot be read"),
            ("answer = NULL", "neither an answer nor a failure"),
        ],
    )
    def test_what_is_not_sound_is_named(self, gog: Gog, copied: Place, spoil: str, said: str) -> None:
        key = one(copied, "SELECT min(key) FROM answers WHERE kind = 'chat' AND typeof(request) = 'text'")
        store_of(copied).execute(f"UPDATE answers SET {spoil} WHERE key = ?", (key,))
        done = gog("store", "verify", "--lake", copied.lake, "--json")
        assert done.code == 1
        (problem,) = json.loads(done.out)["problems"]
        assert problem["key"] == key
        assert said in problem["what"]

    def test_a_damaged_file(self, gog: Gog, copied: Place) -> None:
        path = copied.lake / "store" / FILE
        store_of(copied).execute("PRAGMA wal_checkpoint(TRUNCATE)")
        data = bytearray(path.read_bytes())
        for page in range(3, len(data) // 4096, 2):
            data[page * 4096 : page * 4096 + 64] = b"\xff" * 64
        path.write_bytes(data)
        done = gog("store", "verify", "--lake", copied.lake)
        assert done.code == 1
        assert "damaged" in done.out + done.err


class TestCassettes:
    def test_a_replay_from_one_gives_the_same_run(self, gog: Gog, finished: Place, tmp_path: Path) -> None:
        cassette = tmp_path / "tiny.cassette"
        assert gog("store", "export", cassette, "--lake", finished.lake, "--run", "tiny").code == 0
        made = fresh(tmp_path / "elsewhere", finished, store={"mode": "replay"})
        done = gog("store", "import", cassette, "-c", made.config)
        assert done.code == 0, done.err
        assert gog("run", "-c", made.config).code == 0
        assert contents(made.run) == contents(finished.run)
        assert json.loads(gog("status", "--lake", made.lake, "--json").out)["calls"] == 0

    def test_importing_twice_changes_nothing(self, gog: Gog, finished: Place, tmp_path: Path) -> None:
        cassette = tmp_path / "c"
        gog("store", "export", cassette, "--lake", finished.lake)
        count = one(finished, "SELECT count(*) FROM answers")
        into = ("--lake", tmp_path / "lake", "--json")
        first = json.loads(gog("store", "import", cassette, *into).out)
        assert (first["new"], first["same"], first["conflicts"], first["refused"]) == (count, 0, [], [])
        assert first["images"] > 0
        second = json.loads(gog("store", "import", cassette, *into).out)
        assert (second["new"], second["same"], second["conflicts"]) == (0, count, [])

    def test_equal_stores_make_equal_cassettes(self, gog: Gog, finished: Place, tmp_path: Path) -> None:
        one_file, two, three = tmp_path / "1", tmp_path / "2", tmp_path / "3"
        gog("store", "export", one_file, "--lake", finished.lake)
        gog("store", "export", two, "--lake", finished.lake)
        gog("store", "import", one_file, "--lake", tmp_path / "lake")
        gog("store", "export", three, "--lake", tmp_path / "lake")
        assert one_file.read_bytes() == two.read_bytes() == three.read_bytes()

    def test_other_answers_are_conflicts_and_the_first_stays(self, gog: Gog, copied: Place, tmp_path: Path) -> None:
        gog("store", "export", tmp_path / "c", "--lake", copied.lake)
        key, answer = store_of(copied).execute("SELECT key, answer FROM answers WHERE kind = 'detect'").fetchone()
        store_of(copied).execute("UPDATE answers SET answer = '[]' WHERE key = ?", (key,))
        done = gog("store", "import", tmp_path / "c", "--lake", copied.lake)
        assert done.code == 0
        assert f"1 conflicts: the store has other answers, and keeps them ({key[:16]})" in done.out
        assert one(copied, "SELECT answer FROM answers WHERE key = ?", key) == "[]" != answer

    def test_one_kind_and_one_run(self, gog: Gog, copied: Place, tmp_path: Path) -> None:
        gog("store", "export", tmp_path / "c", "--lake", copied.lake, "--kind", "detect")
        lines = zipfile.ZipFile(tmp_path / "c").read("entries.jsonl").splitlines()
        assert len(lines) == one(copied, "SELECT count(*) FROM answers WHERE kind = 'detect'")
        done = gog("store", "export", tmp_path / "d", "--lake", copied.lake, "--run", "other")
        assert done.code == 2
        assert "it knows tiny" in done.error
        assert not (tmp_path / "d").exists()

    def spoiled(self, cassette: Path, out: Path, change: Any) -> Path:
        with zipfile.ZipFile(cassette) as old, zipfile.ZipFile(out, "w") as new:
            for info in old.infolist():
                name, data = change(info.filename, old.read(info))
                new.writestr(name, data)
        return out

    def test_what_is_wrong_in_one_is_refused_and_the_rest_taken(
        self, gog: Gog, finished: Place, tmp_path: Path
    ) -> None:
        gog("store", "export", tmp_path / "c", "--lake", finished.lake)
        count = one(finished, "SELECT count(*) FROM answers")
        changed = 0

        def change(name: str, data: bytes) -> tuple[str, bytes]:
            nonlocal changed
            if name == "entries.jsonl":
                lines = data.splitlines(keepends=True)
                lines[0] = lines[0].replace(b'"key": "', b'"key": "0', 1)
                entry = json.loads(lines[1])
                lines[1] = json.dumps(entry | {"request": entry["request"] + " "}).encode() + b"\n"
                chat = next(n for n, line in enumerate(lines[2:], 2) if b'"kind": "chat"' in line)
                lines[chat] = json.dumps(json.loads(lines[chat]) | {"answer": "{}"}).encode() + b"\n"
                data = b"".join(lines)
            elif name.startswith("images/") and not changed:
                changed = 1
                data += b"x"
            elif name.startswith("images/") and changed == 1:
                changed = 2
                name = "images/../../evil.png"
            return name, data

        bad = self.spoiled(tmp_path / "c", tmp_path / "bad", change)
        done = gog("store", "import", bad, "--lake", tmp_path / "lake", "--json")
        assert done.code == 1
        found = json.loads(done.out)
        assert found["new"] == count - 3
        assert len(found["refused"]) == 5
        assert any("is not the hash of its request" in line for line in found["refused"])
        assert any("not of the form of 'chat'" in line for line in found["refused"])
        assert not list(tmp_path.rglob("evil*"))
        assert gog("store", "verify", "--lake", tmp_path / "lake").code == 0

    @pytest.mark.parametrize("content", [b"", b"hello", b"PK\x05\x06" + bytes(18)])
    def test_what_is_no_cassette(self, gog: Gog, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "c").write_bytes(content)
        done = gog("store", "import", tmp_path / "c", "--lake", tmp_path / "lake")
        assert done.code == 1
        assert "no cassette" in done.error
        assert not (tmp_path / "lake").exists()
        missing = gog("store", "import", tmp_path / "none", "--lake", tmp_path / "lake")
        assert missing.code == 2
        assert "no such file" in missing.error

    def test_a_cut_cassette(self, gog: Gog, finished: Place, tmp_path: Path) -> None:
        gog("store", "export", tmp_path / "c", "--lake", finished.lake)
        data = (tmp_path / "c").read_bytes()
        (tmp_path / "c").write_bytes(data[: len(data) // 2])
        done = gog("store", "import", tmp_path / "c", "--lake", tmp_path / "lake")
        assert done.code == 1
        assert "damaged" in done.error


class TestClearing:
    def test_counts_first_and_removes_only_when_told(self, gog: Gog, copied: Place) -> None:
        many = one(copied, "SELECT count(*) FROM answers WHERE kind = 'detect'")
        command = ("store", "gc", "--lake", copied.lake, "--kind", "detect", "--older-than", "0s")
        assert f"{many} entries" in gog(*command).out
        assert one(copied, "SELECT count(*) FROM answers WHERE kind = 'detect'") == many
        assert "removed" in gog(*command, "--yes").out
        assert one(copied, "SELECT count(*) FROM answers WHERE kind = 'detect'") == 0
        assert one(copied, "SELECT count(*) FROM answers") > 0
        assert one(copied, "SELECT count(*) FROM events") > 0

    def test_what_is_young_stays(self, gog: Gog, copied: Place) -> None:
        assert gog("store", "gc", "--lake", copied.lake, "--older-than", "1d").out.startswith("0 entries")

    def test_what_no_run_of_the_lake_has_asked(self, gog: Gog, copied: Place) -> None:
        before = one(copied, "SELECT count(*) FROM answers")
        assert gog("store", "gc", "--lake", copied.lake, "--unreachable").out.startswith("0 entries")
        shutil.rmtree(copied.run)
        crops = one(copied, "SELECT count(*) FROM answers WHERE purpose = 'crop'")
        done = gog("store", "gc", "--lake", copied.lake, "--unreachable", "--yes")
        assert done.out.startswith(f"{before - crops:,} entries")
        assert "the events of 1 runs" in done.out
        assert one(copied, "SELECT count(*) FROM answers") == crops
        assert one(copied, "SELECT count(*) FROM events") == 0

    def test_failures_alone(self, gog: Gog, copied: Place) -> None:
        sql = "UPDATE answers SET failure = 'refused', answer = NULL WHERE key = (SELECT min(key) FROM answers)"
        store_of(copied).execute(sql)
        assert gog("store", "gc", "--lake", copied.lake, "--failures").out.startswith("1 entries")

    def test_wrong_use(self, gog: Gog, copied: Place, tmp_path: Path) -> None:
        assert "say what" in gog("store", "gc", "--lake", copied.lake).error
        assert "is no age" in gog("store", "gc", "--lake", copied.lake, "--older-than", "soon").error
        elsewhere = configured(copied, tmp_path, "other.yaml", store={"path": str(copied.lake / "store")})
        assert "may serve other lakes" in gog("store", "gc", "-c", elsewhere, "--unreachable").error


class TestRefresh:
    def test_only_that_kind_is_bought_anew(self, gog: Gog, copied: Place) -> None:
        old = dict(store_of(copied).execute("SELECT key, created FROM answers"))
        assert gog("run", "-c", copied.config, "--run", "again", "--refresh", "image_search").code == 0
        new = dict(store_of(copied).execute("SELECT key, created FROM answers"))
        kinds = dict(store_of(copied).execute("SELECT key, kind FROM answers"))
        bought = {key for key in old if new[key] != old[key]}
        assert bought
        assert {kinds[key] for key in bought} == {"image_search"}
        asked = {key for (key,) in store_of(copied).execute("SELECT key FROM events WHERE run = 'again'")}
        assert {key for key in asked if kinds[key] == "image_search"} == bought
        assert set(new) == set(old)

    def test_what_is_young_is_not(self, gog: Gog, copied: Place) -> None:
        again = ("run", "-c", copied.config, "--run", "again", "--refresh", "image_search", "--older-than", "1d")
        assert gog(*again).code == 0
        assert one(copied, "SELECT sum(attempts) FROM events WHERE run = 'again'") == 0

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (("--refresh", "images"), "is no kind of answer"),
            (("--refresh", "chat", "--older-than", "old"), "is no age"),
            (("--older-than", "1d"), "name a kind with --refresh"),
            (("--refresh", "chat"), "is finished"),
        ],
    )
    def test_wrong_use(self, gog: Gog, finished: Place, options: tuple[str, ...], said: str) -> None:
        done = gog("run", "-c", finished.config, *options)
        assert done.code == 2
        assert said in done.error


@pytest.mark.parametrize(("age", "seconds"), [("90s", 90), ("1.5h", 5400), ("30d", 2_592_000), (" 2w ", 1_209_600)])
def test_ages(age: str, seconds: float) -> None:
    assert seconds_of(age) == seconds


@pytest.mark.parametrize("age", ["", "30", "d", "-1d", "1 d", "1y", "1e3d"])
def test_what_is_no_age(age: str) -> None:
    with pytest.raises(UseError):
        seconds_of(age)
