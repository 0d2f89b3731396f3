"""The lake of a training on its own: parts and curves as they come, go and are refused by a disk."""

import json
from pathlib import Path
from typing import Any

import pytest
from lakes import make_seed, reflective, verdict_of

from gog.pipelines.lake.lake import Lake
from gog.schemas import Seed, Trajectory
from gog.transforms.atomic import passing_beside
from gog.transforms.passing_images import PassingImages
from gog_train.training_lake import TrainingLake


def told(step: int, images: PassingImages, number: int = 0) -> tuple[list[Seed], dict[str, list[Any]]]:
    """What a step of one rollout leaves; each number is another seed, each step another crop."""
    seed = make_seed(number, images)
    made = reflective(seed, images, answer=f"answer {step}")
    return [seed], {
        "evidence": list(made.evidence),
        "verdicts": [verdict_of(made.trajectory)],
        "trajectories": [made.trajectory],
    }


def written(lake: TrainingLake, steps: range, images: PassingImages) -> None:
    for step in steps:
        seeds, tables = told(step, images, number=step % 3)
        lake.put(images, (image.sha256 for one in tables["trajectories"] for image in one.images))
        lake.write(step, seeds, tables)
        lake.log(step, {"reward": step / 10, "loss": float("nan")})


def answers(output: Path) -> list[str]:
    made = Lake(output / "rollouts", create=False).read_table("training", "trajectories", Trajectory)
    return [str(one.answer) for one in made]


def curves(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "rollouts/runs/training/curves.jsonl").read_text().splitlines()]


def test_it_keeps_the_last_steps_and_what_they_show(tmp_path: Path) -> None:
    images = PassingImages()
    lake = TrainingLake(tmp_path, 2, pytest.fail)
    lake.begin(0, "export")
    written(lake, range(1, 6), images)
    there = Lake(tmp_path / "rollouts", create=False)
    manifest = there.read_manifest("training")
    assert manifest is not None
    assert there.state(manifest) == "live"
    lake.end("done")
    lake.end("failed")
    manifest = there.read_manifest("training")
    assert manifest is not None
    assert (there.state(manifest), manifest.counts["steps"]) == ("done", 5)
    assert answers(tmp_path) == ["answer 4", "answer 5"]
    seeds = list(there.read_table("training", "seeds", Seed))
    assert {seed.seed_id for seed in seeds} == {make_seed(number, images).seed_id for number in (1, 2)}
    shown = {i.sha256 for one in there.read_table("training", "trajectories", Trajectory) for i in one.images}
    assert {path.stem for path in (tmp_path / "rollouts/images").rglob("*.*") if path.is_file()} == shown
    assert [(line["step"], line["values"]) for line in curves(tmp_path)] == [
        (n, {"reward": n / 10}) for n in range(1, 6)
    ]


def test_it_goes_on_behind_a_step(tmp_path: Path) -> None:
    images = PassingImages()
    lake = TrainingLake(tmp_path, None, pytest.fail)
    lake.begin(0, "export")
    written(lake, range(1, 5), images)
    lake.log(2, {"late": 1.0})
    lake.end("failed")
    path = tmp_path / "rollouts/runs/training/curves.jsonl"
    path.write_bytes(path.read_bytes() + b'{"step": 2, "ti')
    damaged = tmp_path / "rollouts/runs/training/trajectories/part-train-00001.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-20])
    again = TrainingLake(tmp_path, None, pytest.fail)
    again.begin(2, "export")
    assert [line["step"] for line in curves(tmp_path)] == [1, 2, 2]
    assert answers(tmp_path) == ["answer 2"], "what is damaged is gone, and so are later steps"
    written(again, range(3, 4), images)
    again.end("done")
    assert answers(tmp_path) == ["answer 2", "answer 3"]
    assert curves(tmp_path)[-1]["values"] == {"reward": 0.3}


def test_what_is_said_of_a_step_is_one_line(tmp_path: Path) -> None:
    lake = TrainingLake(tmp_path, 0, pytest.fail)
    lake.begin(0, "export")
    lake.log(5, {"reward": 0.5})
    lake.log(5, {"eval_accuracy": 0.25})
    lake.end("stopped", "by hand")
    again = TrainingLake(tmp_path, 0, pytest.fail)
    again.begin(5, "export")
    again.log(5, {"eval_turns": 2.0})
    again.log(6, {"reward": 0.75})
    again.end("done")
    assert [line["values"] for line in curves(tmp_path)] == [
        {"reward": 0.5, "eval_accuracy": 0.25, "eval_turns": 2.0},
        {"reward": 0.75},
    ]


def test_what_a_kill_has_left_is_cleared_away(tmp_path: Path) -> None:
    images, root = PassingImages(), tmp_path / "rollouts"
    lake = TrainingLake(tmp_path, None, pytest.fail)
    lake.begin(0, "export")
    written(lake, range(1, 3), images)

    def there() -> set[Path]:
        return {path.relative_to(root) for path in root.rglob("*") if path.is_file()}

    before, untold = there(), images.put(b"put by a step that was never told", "png")
    lake.put(images, [untold])
    half = [passing_beside(root / "runs/training" / name) for name in ("manifest.json", "verdicts/part-train-00003")]
    half.append(passing_beside(root / "images/.passing" / f"{untold}.png"))
    review = passing_beside(root / "images/.passing/part-review-00000.parquet")
    for path in (*half, review):
        path.write_bytes(b"half")
    assert len(there() - before) == 5
    lake.end("failed")
    again = TrainingLake(tmp_path, None, pytest.fail)
    again.begin(2, "export")
    again.end("done")
    assert there() - before == {review.relative_to(root)}, "a review may be being written"
    assert before <= there()


def test_a_run_that_another_process_writes_is_left_as_it_is(tmp_path: Path) -> None:
    images, said = PassingImages(), list[str]()
    lake = TrainingLake(tmp_path, None, pytest.fail)
    lake.begin(0, "export")
    written(lake, range(1, 3), images)

    def there() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in (tmp_path / "rollouts/runs").rglob("*") if path.is_file()}

    before = there()
    other = TrainingLake(tmp_path, 1, said.append)
    other.begin(0, "another export")
    written(other, range(3, 5), images)
    other.end("failed")
    assert there() == before
    assert len(said) == 1
    written(lake, range(3, 4), images)
    lake.end("done")
    assert answers(tmp_path) == ["answer 1", "answer 2", "answer 3"]
    assert [line["step"] for line in curves(tmp_path)] == [1, 2, 3]


def test_a_disk_that_refuses_is_said_once(tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "rollouts").write_text("a file where the folder should be")
    lake = TrainingLake(tmp_path, None, said.append)
    lake.begin(0, "export")
    written(lake, range(1, 4), PassingImages())
    lake.end("done")
    assert len(said) == 1
    assert said[0].startswith(f"rollouts and curves cannot be written to {tmp_path / 'rollouts'} (")
    assert said[0].endswith("; the training goes on")


def test_a_full_disk_leaves_the_lines_that_were_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    said: list[str] = []
    lake = TrainingLake(tmp_path, None, said.append)
    lake.begin(0, "export")
    images = PassingImages()
    written(lake, range(1, 2), images)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("gog_train.training_lake.write_whole", full)
        written(lake, range(2, 3), images)
    written(lake, range(3, 4), images)
    lake.end("done")
    assert [line["step"] for line in curves(tmp_path)] == [1, 2, 3]
    assert answers(tmp_path) == ["answer 1", "answer 3"]
    assert len(said) == 1
