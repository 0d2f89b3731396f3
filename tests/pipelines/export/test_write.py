import errno
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from lakes import counted, level_of, make_seed, reflective, small_run, source_of, verdict_of, write

from gog.pipelines.export import parquet, readings
from gog.pipelines.export import write as splits
from gog.pipelines.export.parquet import export_schema
from gog.pipelines.export.request import ExportRequest
from gog.pipelines.export.write import Exported, export_rl, export_sft
from gog.pipelines.lake.lake import Lake, LakeError
from gog.schemas import Curated, Reject, Seed, Split, Trajectory, Unit
from gog.transforms import atomic
from gog.transforms.export.rows import ExportSettings, RlRow, SftRow

SETTINGS = ExportSettings()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return small_run(tmp_path / "lake")


def run_of(lake: Lake) -> Path:
    return lake.run_folder("small")


def sft(lake: Lake, settings: ExportSettings = SETTINGS, on_reject: Callable[[Reject], None] = print) -> Exported:
    return export_sft(source_of(lake), ExportRequest(settings), on_reject)


def rl(lake: Lake, settings: ExportSettings = SETTINGS, on_reject: Callable[[Reject], None] = print) -> Exported:
    return export_rl(source_of(lake), ExportRequest(settings), on_reject)


def digest(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def rows_of(folder: Path, split: str) -> list[dict[str, Any]]:
    return [row for path in sorted(folder.glob(f"data/{split}-*.parquet")) for row in pq.read_table(path).to_pylist()]


class TestSplits:
    def test_curated_trajectories_go_where_their_group_says(self, lake: Lake) -> None:
        done = sft(lake)
        curated = list(lake.read_table("small", "curated", Curated))
        for split in Split:
            ids = sorted(row.trajectory_id for row in curated if row.split is split)
            assert [row["id"] for row in rows_of(done.folder, split.value)] == ids
            assert done.rows[split] == len(ids) > 0
        assert done.count.entered == done.count.passed == len(curated)

    def test_labelled_seeds_go_out_by_level(self, lake: Lake) -> None:
        rejects: list[Reject] = []
        done = rl(lake, on_reject=rejects.append)
        assert {row["level"] for split in Split for row in rows_of(done.folder, split.value)} == {1, 2}
        assert [reject.reason for reject in rejects] == ["export.level"]
        assert done.rejected == {"export.level": 1}
        assert done.count.entered == done.count.passed + len(rejects) == 3

    def test_what_is_too_long_is_handed_on(self, lake: Lake) -> None:
        rejects: list[Reject] = []
        done = sft(lake, ExportSettings(max_tokens=256), rejects.append)
        assert {reject.reason for reject in rejects} == {"export.too_long"}
        assert (done.count.entered, done.count.passed, len(rejects)) == (6, 0, 6)

    def test_images_stand_beside_the_messages_in_their_order(self, lake: Lake) -> None:
        seeds = {seed.seed_id: seed for seed in lake.read_table("small", "seeds", Seed)}
        for row in rows_of(sft(lake).folder, "train"):
            hashes = [hashlib.sha256(image["bytes"]).hexdigest() for image in row["images"]]
            assert hashes == row["image_sha256"]
            assert hashes[0] == seeds[row["seed_id"]].image_sha256
            assert [image["path"] for image in row["images"]] == [f"{sha256}.jpg" for sha256 in hashes]
            assert row["messages"].count('{"type":"image"}') == len(hashes) == 3

    def test_files_are_numbered_and_row_groups_small(self, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(parquet, "GROUP_ROWS", 2)
        folder = sft(lake, ExportSettings(rows_per_file=3)).folder
        names = [path.name for path in sorted(folder.glob("data/train-*"))]
        assert names == ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"]
        metadata = pq.read_metadata(folder / "data" / names[0])
        assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [2, 1]

    def test_large_images_end_a_row_group(self, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(parquet, "GROUP_BYTES", 1)
        assert pq.read_metadata(sft(lake).folder / "data" / "train-00000-of-00001.parquet").num_row_groups == 4

    def test_text_is_compressed_and_images_are_not_again(self, lake: Lake) -> None:
        group = pq.read_metadata(sft(lake).folder / "data" / "train-00000-of-00001.parquet").row_group(0)
        columns = {group.column(n).path_in_schema: group.column(n).compression for n in range(group.num_columns)}
        assert columns.pop("images.list.element.bytes") == "UNCOMPRESSED"
        assert set(columns.values()) == {"ZSTD"}

    def test_a_run_without_anything_makes_empty_splits(self, tmp_path: Path) -> None:
        lake = Lake(tmp_path / "empty")
        for done in (sft(lake), rl(lake)):
            assert done.count.entered == 0
            assert rows_of(done.folder, "train") == rows_of(done.folder, "validation") == []


class TestLoading:
    @pytest.mark.parametrize(("export", "row"), [(sft, SftRow), (rl, RlRow)])
    def test_datasets_opens_the_splits(
        self, lake: Lake, tmp_path: Path, export: Callable[[Lake], Exported], row: type[SftRow | RlRow]
    ) -> None:
        from datasets import Features, Image, List, load_dataset

        folder = export(lake).folder
        found = [split.value for split in Split if any(folder.glob(f"data/{split}-*"))]
        files = {split: str(folder / "data" / f"{split}-*.parquet") for split in found}
        data = load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "cache"))
        assert data["train"].features["images"] == List(Image())
        assert Features.from_arrow_schema(export_schema(row)) == data["train"].features
        assert len(data["train"]) == len(rows_of(folder, "train")) > 0
        assert {split: len(data[split]) for split in data} == {split: len(rows_of(folder, split)) for split in found}
        assert data["train"][0]["images"][0].size == (400, 300)
        assert json.loads(data["train"][0]["tools"])[0]["type"] == "function"

    @pytest.mark.parametrize(("export", "rows"), [(sft, {"train": 4, "validation": 2}), (rl, {"train": 2})])
    def test_the_folder_opens_by_its_card(
        self, lake: Lake, tmp_path: Path, export: Callable[[Lake], Exported], rows: dict[str, int]
    ) -> None:
        from datasets import load_dataset

        data = load_dataset(str(export(lake).folder), cache_dir=str(tmp_path / "cache"))
        assert {split: len(data[split]) for split in data} == rows


class TestSameBytes:
    def test_twice(self, lake: Lake) -> None:
        first = digest(sft(lake).folder)
        assert digest(sft(lake).folder) == first
        assert {"README.md", "manifest.json"} < first.keys()

    @pytest.mark.parametrize("export", [sft, rl])
    @pytest.mark.parametrize(("least", "most"), [(2, 50), (1, 50), (1, 2)])
    def test_in_any_number_of_ranges(
        self, lake: Lake, monkeypatch: pytest.MonkeyPatch, export: Callable[[Lake], Exported], least: int, most: int
    ) -> None:
        whole = digest(export(lake).folder)
        monkeypatch.setattr(readings, "LEAST_RANGE", least)
        monkeypatch.setattr(readings, "MOST_RANGES", most)
        assert digest(export(lake).folder) == whole

    def test_other_shards_of_the_same_rows(self, lake: Lake, tmp_path: Path) -> None:
        other = Lake(tmp_path / "other")
        (other.root / "images").mkdir()
        (other.root / "images").rmdir()
        (other.root / "images").symlink_to(lake.root / "images")
        for table, record in (("trajectories", Trajectory), ("seeds", Seed), ("curated", Curated)):
            for number, item in enumerate(lake.read_table("small", table, record)):
                write(other, "small", table, [item], step=f"s{99 - number}")
        for table in ("verdicts", "groups", "rejects", "funnel", "regions", "evidence"):
            (run_of(other) / table).symlink_to(run_of(lake) / table)
        assert digest(sft(other).folder) == digest(sft(lake).folder)

    def test_what_comes_after_the_export_does_not_change_it(self, lake: Lake) -> None:
        before = digest(sft(lake).folder)
        reject = Reject.of("export_sft", Unit.TRAJECTORY, "t", "export.too_long")
        write(lake, "small", "rejects", [reject], step="later")
        lines = [counted("export_sft", Unit.TRAJECTORY, 7, 6), counted("label", Unit.SEED, 1, 1, shard=1)]
        write(lake, "small", "funnel", lines, step="later")
        assert digest(sft(lake).folder) == before

    def test_no_paths_of_this_machine_are_in_it(self, lake: Lake, tmp_path: Path) -> None:
        for path in sft(lake).folder.rglob("*.*"):
            assert str(tmp_path).encode() not in path.read_bytes()


class TestManifest:
    def test_names_every_file_with_its_hash(self, lake: Lake) -> None:
        folder = sft(lake).folder
        manifest = json.loads((folder / "manifest.json").read_text())
        listed = {f["name"]: f["sha256"] for split in manifest["splits"].values() for f in split["files"]}
        found = digest(folder)
        found.pop("manifest.json")
        assert listed | manifest["other_files"] == found
        assert {name: split["rows"] for name, split in manifest["splits"].items()} == {"train": 4, "validation": 2}
        assert manifest["fingerprint"] == "print-1"
        assert manifest["licences"] == {"MIT AND ODbL-1.0": 6}
        assert {"episode/system", "episode/teacher"} < manifest["prompt_hashes"].keys()

    def test_notices_of_the_bundled_world_go_with_its_rows(self, lake: Lake, tmp_path: Path) -> None:
        assert "Panayiotis Lipiridis" in (sft(lake).folder / "LICENSES-atlas.md").read_text()
        other = Lake(tmp_path / "other")
        seed = make_seed(1, other.images, dataset="mine", licence="CC-BY-4.0")
        one_kept(other, seed)
        folder = sft(other).folder
        assert not (folder / "LICENSES-atlas.md").exists()
        assert "flag-icons" not in (folder / "README.md").read_text()


def one_kept(lake: Lake, seed: Seed) -> Trajectory:
    """A run with one curated trajectory."""
    made = reflective(seed, lake.images).trajectory
    kept = Curated(
        trajectory_id=made.trajectory_id,
        seed_id=seed.seed_id,
        split=Split.TRAIN,
        behaviour=made.behaviour,
        origin=made.origin,
    )
    write(lake, "small", "seeds", [seed])
    write(lake, "small", "trajectories", [made])
    write(lake, "small", "verdicts", [verdict_of(made)])
    write(lake, "small", "curated", [kept])
    return made


class TestTrouble:
    @pytest.mark.parametrize("table", ["trajectories", "seeds", "verdicts"])
    def test_a_row_that_is_missing_is_not_lost_without_a_word(self, lake: Lake, table: str) -> None:
        before = digest(sft(lake).folder)
        for path in (run_of(lake) / table).iterdir():
            path.unlink()
        with pytest.raises(LakeError, match=f"is not in the table {table}"):
            sft(lake)
        assert digest(run_of(lake) / "exports" / "sft") == before

    def test_a_seed_without_a_group_is_not_lost_without_a_word(self, lake: Lake) -> None:
        for path in (run_of(lake) / "groups").iterdir():
            path.unlink()
        with pytest.raises(LakeError, match="is not in the table groups"):
            rl(lake)

    @pytest.mark.parametrize("least", [1, 3, 500])
    def test_a_row_that_is_there_twice(self, lake: Lake, monkeypatch: pytest.MonkeyPatch, least: int) -> None:
        monkeypatch.setattr(readings, "LEAST_RANGE", least)
        write(lake, "small", "curated", list(lake.read_table("small", "curated", Curated)), step="again")
        with pytest.raises(LakeError, match="twice"):
            sft(lake)

    def test_an_image_that_is_missing(self, lake: Lake) -> None:
        whole = sum(sft(lake).rows.values())
        lake.images.path(next(lake.read_table("small", "seeds", Seed)).image_sha256).unlink()
        exported = sft(lake)
        left = exported.rejected["export.image_missing"]
        assert left > 0
        assert sum(exported.rows.values()) == whole - left

    def test_a_damaged_part(self, lake: Lake) -> None:
        next((run_of(lake) / "trajectories").iterdir()).write_bytes(b"PAR1 no PAR1")
        with pytest.raises(LakeError, match="cannot read the tables") as error:
            sft(lake)
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize(
        "error",
        [
            OSError(errno.ENOSPC, "No space left on device"),
            OSError("Error writing bytes to file. Detail: [errno 28] No space left on device"),  # Arrow's
        ],
    )
    def test_a_full_disk_keeps_the_export_before(
        self, lake: Lake, monkeypatch: pytest.MonkeyPatch, error: OSError
    ) -> None:
        before = digest(sft(lake).folder)

        def full(*_: object) -> None:
            raise error

        monkeypatch.setattr(splits, "put_in_place", full)
        with pytest.raises(LakeError, match=r"the disk is full: make room .*; the export before it is kept"):
            sft(lake)
        monkeypatch.undo()
        assert digest(run_of(lake) / "exports" / "sft") == before
        sft(lake)
        assert [path.name for path in (run_of(lake) / "exports").iterdir()] == ["sft"]

    def test_several_policies_want_one_named(self, lake: Lake) -> None:
        seed = next(lake.read_table("small", "seeds", Seed))
        write(lake, "small", "complexity", [level_of(seed, 2, "other")], step="again")
        with pytest.raises(LakeError, match="name one: other, planner"):
            rl(lake)
        with pytest.raises(LakeError, match="nobody has not labelled"):
            export_rl(source_of(lake), ExportRequest(policy="nobody"))
        done = export_rl(source_of(lake), ExportRequest(policy="other"))
        assert done.count.entered == 1

    def test_a_folder_of_a_difficult_name(self, tmp_path: Path) -> None:
        lake = small_run(tmp_path / "it's a [lake] *?")
        assert sft(lake).count.passed == 6
        assert rl(lake).count.passed == 2


_KILLED = """
import hashlib, os, shutil, sys
from pathlib import Path
import pandas  # noqa: F401 - pyarrow would import it in each child
from gog.transforms import atomic
from gog.pipelines.export.request import ExportRequest, SourceRun
from gog.pipelines.export.write import export_sft
from gog.pipelines.lake.image_files import ImageFiles
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.export.rows import ExportSettings

run, images, exchange = Path(sys.argv[1]), ImageFiles(Path(sys.argv[2])), sys.argv[3] == "exchange"
final = run / "exports" / "sft"
if not exchange:
    atomic._exchange = lambda one, other: False

def digest(folder):
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

def child(rows_per_file, kill_at=None, counted=None):
    # No thread has been started yet: a fork is safe, and a hundred times faster than a new process.
    pid = os.fork()
    if pid == 0:
        events = 0
        def hook(event, args):
            nonlocal events
            if event in ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree", "ctypes.dlsym"):
                events += 1
                if events == kill_at:
                    os.kill(os.getpid(), 9)
        sys.addaudithook(hook)
        settings = ExportSettings(rows_per_file=rows_per_file)
        export_sft(SourceRun(run, images, EpisodeSettings()), ExportRequest(settings))
        if counted:
            counted.write_text(str(events))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

count, kept = run.parent / "count", run.parent / "kept"
assert child(100) == 0
old = digest(final)
shutil.copytree(final, kept)
assert child(1, counted=count) == 0
new = digest(final)
assert old != new
total = int(count.read_text())
seen = set()
for kill_at in sorted({*range(1, total, max(1, total // 4)), *range(max(1, total - 9), total + 1)}):
    shutil.rmtree(final.parent)
    shutil.copytree(kept, final)
    ended = child(1, kill_at)  # a busy machine counts an event of the clock's more, or one less
    assert ended == -9 or (ended == 0 and kill_at >= total - 1), (kill_at, total)
    if not exchange and not final.exists():
        atomic.recover(final)
        assert digest(final) == old
    state = digest(final)
    assert state in (old, new), kill_at
    seen.add(state == new)
    if kill_at % 3 == 0:
        assert child(1) == 0
        assert digest(final) == new
        assert [path.name for path in final.parent.iterdir()] == ["sft"]
print(sorted(seen), total)
"""


@pytest.mark.parametrize("how", ["exchange", "two steps"])
def test_a_kill_at_any_moment_leaves_the_old_export_or_the_new_one(lake: Lake, how: str) -> None:
    arguments = [str(run_of(lake)), str(lake.root / "images"), how]
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1].startswith("[False, True]"), "both sides of the swap were hit"


class TestSwap:
    def test_two_steps_where_the_system_cannot_exchange(self, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
        first = digest(sft(lake).folder)
        monkeypatch.setattr(atomic, "_exchange", lambda one, other: False)
        assert digest(sft(lake, ExportSettings(rows_per_file=1)).folder) != first
        assert digest(sft(lake).folder) == first
        assert [path.name for path in (run_of(lake) / "exports").iterdir()] == ["sft"]

    def test_nothing_to_recover(self, tmp_path: Path) -> None:
        atomic.recover(tmp_path / "exports" / "sft")
        assert list(tmp_path.iterdir()) == []
