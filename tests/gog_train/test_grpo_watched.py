"""A GRPO training as it is watched: rollouts and curves in a lake, evaluations, the best checkpoint."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from checkpoints import interpreter
from lakes import small_run, source_of
from rolling import answer, call
from runs import number, select
from training import grpo_values, small
from watching import curves_of, lake_of, left_by

from gog.pipelines.config.config import Config
from gog.pipelines.connect.addresses import policy_id
from gog.pipelines.connect.services import close_stores
from gog.pipelines.export.request import ExportRequest
from gog.pipelines.export.write import export_rl
from gog.pipelines.steps.run import run
from gog.pipelines.views.database import open_lake
from gog.schemas import Outcome, Seed, StopReason, Trajectory, Verdict
from gog.transforms.export.rows import ExportSettings
from gog.transforms.export.target import Target
from gog_train.grpo import train
from gog_train.grpo_settings import GrpoSettings
from gog_train.settings import TrainingError

QWEN3 = "qwen3-vl"


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An RL export with six questions for training and three for validation. Nobody writes to it."""
    lake = small_run(tmp_path_factory.mktemp("watched") / "lake", seeds=18)
    request = ExportRequest(ExportSettings(levels=(0, 1, 2)), Target("trl", small(QWEN3)))
    return export_rl(source_of(lake), request).folder


@pytest.fixture
def options(_small: None, export: Path, checkpoints: dict[str, Path], world: Path, tmp_path: Path) -> dict[str, Any]:
    """Settings of a short training: four steps of two questions with two rollouts each."""
    values = grpo_values(checkpoints[QWEN3], export, world, tmp_path)
    return values | {"levels": (0, 1, 2), "max_steps": 4, "epochs": 8, "keep": 9}


def looks(number: int, turn: int) -> str:
    """Of two rollouts of a question one is wrong, one looks, reads and is right; one of all is cut off."""
    if number % 2:
        return answer("Uganda")
    if number == 2:
        return "I go on and on[cut]"
    return [
        call("gaze", bbox_2d=[10, 10, 150, 150], label="flag"),
        call("text_search", query="Kenya capital"),
        answer("Kenya"),
    ][turn]


def test_each_rollout_of_a_step_is_in_a_lake_with_what_it_was_paid(options: dict[str, Any], acting: Any) -> None:
    acting(looks)
    train(GrpoSettings(**options | {"max_steps": 2}))
    lake = lake_of(options["output"])
    manifest = lake.read_manifest("training")
    assert manifest is not None
    assert lake.state(manifest) == "done"
    made = list(lake.read_table("training", "trajectories", Trajectory))
    assert len({one.trajectory_id for one in made}) == len(made) == 8
    trainings = [one.training for one in made if one.training]
    assert sorted(one.step for one in trainings) == [1] * 4 + [2] * 4
    by_number = {one.sample_index: one for one in made if one.training and one.training.step == 1}
    right, wrong, cut = by_number[0], by_number[1], by_number[2]
    assert right.training
    assert wrong.training
    assert cut.training
    assert (right.training.reward, right.training.terms["accuracy"], right.training.masked) == (1.0, 1.0, "")
    assert wrong.training.terms["accuracy"] == 0
    assert (right.training.advantage or 0) > 0 > (wrong.training.advantage or 0)
    assert (cut.stop, cut.training.ending, cut.training.masked) == (StopReason.CUT, "overlong", "overlong")
    assert (cut.training.reward, cut.training.advantage) == (None, 0)
    assert [step.action for step in right.steps] == ["gaze", "text_search", "answer"]
    assert right.completion_tokens > wrong.completion_tokens > 0
    assert all(lake.images.has(image.sha256) for one in made for image in one.images)
    verdicts = {one.trajectory_id: one for one in lake.read_table("training", "verdicts", Verdict)}
    assert verdicts[right.trajectory_id].outcome is Outcome.CORRECT
    assert verdicts[cut.trajectory_id].outcome is Outcome.UNKNOWN
    assert verdicts[cut.trajectory_id].reasons == ("episode.cut",)
    seeds = {one.seed_id: one for one in lake.read_table("training", "seeds", Seed)}
    assert {one.seed_id for one in made} == set(seeds)
    with open_lake(lake.run_folder("training")) as connection:
        rows = connection.execute(
            "SELECT (training->>'step')::INT AS step, count(*), avg((training->>'reward')::DOUBLE) "
            "FROM trajectories GROUP BY step ORDER BY step"
        ).fetchall()
    assert [row[:2] for row in rows] == [(1, 4), (2, 4)]
    assert rows[0][2] == pytest.approx((1 + 0.1 + 0.1) / 3)


@pytest.mark.parametrize("resample", [0, 1])
def test_a_group_that_is_silenced_has_no_advantage(options: dict[str, Any], acting: Any, resample: int) -> None:
    """One rollout is out of form, so that those of a group are paid differently although all are wrong."""
    acting(lambda number, turn: answer("Uganda" * (1 if number % 2 else 99)))
    train(GrpoSettings(**options | {"max_steps": 1, "resample": resample}))
    made = lake_of(options["output"]).read_table("training", "trajectories", Trajectory)
    trainings = [one.training for one in made if one.training]
    assert len(trainings) == 4 * (1 + resample)
    assert sorted({one.reward or 0 for one in trainings}) == pytest.approx([0, 0.1])
    assert any(one.advantage for one in trainings) is (resample == 0)


def test_curves_have_a_line_a_step_and_so_has_the_terminal(
    options: dict[str, Any], acting: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    acting(looks)
    train(GrpoSettings(**options | {"max_steps": 2, "keep_rollouts": 1}))
    curves = curves_of(options["output"])
    assert [line["step"] for line in curves] == [1, 2]
    values = curves[0]["values"]
    assert (values["accuracy"], values["masked_share"], values["searches"]) == (pytest.approx(1 / 3), 0.25, 0.5)
    named = {"reward", "format", "turns", "kl", "entropy", "grad_norm", "loss", "learning_rate", "tokens_per_second"}
    assert named <= set(values)
    assert values["tokens_per_second"] > 0
    said = capsys.readouterr().err.splitlines()
    (line,) = [one for one in said if one.startswith("step 1/2")]
    assert "accuracy 0.333, format 1, masked share 0.25, " in line
    assert ", searches 0.5, " in line
    assert line.endswith(" left")
    steps = [one.training.step for one in lake_of(options["output"]).read_table("training", "trajectories", Trajectory)
             if one.training]  # fmt: skip
    assert steps == [2] * 4, "older steps are gone"
    assert not list((options["output"] / "rollouts").rglob("*.tmp"))


class KilledError(Exception):
    """Stands for what ends a process without a word."""


def test_what_is_left_of_a_killed_run_that_went_on_is_as_undisturbed(
    options: dict[str, Any], acting: Any, tmp_path: Path
) -> None:
    """It dies while step 4 is rolled out: step 3 is told, and has no checkpoint."""
    options = options | {"save_every": 2, "keep_rollouts": 3, "resample": 1, "eval_every": 2}
    acting(looks)
    train(GrpoSettings(**options | {"output": tmp_path / "whole"}))

    def dies(number: int, turn: int) -> str:
        if [line["step"] for line in curves_of(tmp_path / "killed")][-1:] == [3]:
            raise KilledError
        return looks(number, turn)

    acting(dies)
    with pytest.raises(KilledError):
        train(GrpoSettings(**options | {"output": tmp_path / "killed"}))
    assert [line["step"] for line in curves_of(tmp_path / "killed")] == [0, 1, 2, 3]
    lake = lake_of(tmp_path / "killed")
    manifest = lake.read_manifest("training")
    assert manifest is not None
    assert manifest.state == "failed"
    acting(looks)
    train(GrpoSettings(**options | {"output": tmp_path / "killed", "resume": "last"}))
    whole, killed = left_by(tmp_path / "whole"), left_by(tmp_path / "killed")
    assert [step for step, _ in whole["curves"]] == [0, 1, 2, 3, 4]
    assert len(whole["trajectories"]) >= 12
    for name in whole:
        assert killed[name] == whole[name]


@pytest.fixture
def evaluations(acting: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The n-th evaluation gets as many right answers as this list says; one rollout of training in two is right."""
    from gog_train import held_out

    right = [0, 2, 1, 1, 3]
    now: list[int] = []
    ask = held_out.ask

    def counted(trainer: Any, rows: Any) -> dict[str, float]:
        now.append(right.pop(0))
        try:
            return ask(trainer, rows)
        finally:
            now.clear()

    monkeypatch.setattr(held_out, "ask", counted)
    acting(lambda number, turn: answer("Kenya" if (number < now[0] if now else number % 2) else "Uganda"))
    return right


def test_the_best_checkpoint_is_kept_and_a_training_that_finds_no_better_one_ends(
    options: dict[str, Any], evaluations: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    settings = options | {"eval_every": 1, "patience": 2, "keep": 1, "max_steps": 8}
    trained = train(GrpoSettings(**settings))
    assert (trained.finished, trained.steps) == (True, 3)
    assert (options["output"] / "adapter" / "gog.json").is_file()
    curves = curves_of(options["output"])
    assert [line["values"]["eval_accuracy"] * 3 for line in curves] == pytest.approx([0, 2, 1, 1])
    best = json.loads((options["output"] / "best.json").read_text())
    assert (best["checkpoint"], best["step"], best["at_start"]) == ("checkpoint-1", 1, 0)
    assert best["eval_accuracy"] == pytest.approx(2 / 3)
    there = sorted(path.name for path in options["output"].glob("checkpoint-*"))
    assert "checkpoint-1" in there
    said = capsys.readouterr().err
    assert "step 3/8: no better eval_accuracy in 2 evaluations than that of step 1: it ends here" in said
    assert "step 0/8, eval accuracy 0, eval unknown 0, " in said
    manifest = lake_of(options["output"]).read_manifest("training")
    assert manifest is not None
    assert (manifest.state, manifest.detail) == ("done", "no better eval_accuracy in 2 evaluations")
    assert evaluations == [3]


def test_an_answer_that_nobody_settles_is_no_wrong_one(options: dict[str, Any], evaluations: list[int]) -> None:
    settings = options | {"eval_every": 2, "unsettled": "mask", "max_steps": 2}
    train(GrpoSettings(**settings))
    start, _, last = (line["values"] for line in curves_of(options["output"]))
    assert "eval_accuracy" not in start, "none of three was settled"
    assert start["eval_unknown"] == 1
    assert (last["eval_accuracy"], last["eval_unknown"]) == (1, pytest.approx(1 / 3))


def test_a_checkpoint_replies_as_an_adapter_that_was_saved_does(options: dict[str, Any], acting: Any) -> None:
    from gog_train.generate import open_generator

    acting(looks)
    train(GrpoSettings(**options | {"max_steps": 1}))
    output = options["output"]
    notes = [json.loads((output / name / "gog.json").read_text()) for name in ("checkpoint-1", "adapter")]
    assert notes[0]["serve"] == [part.replace("/adapter", "/checkpoint-1") for part in notes[1]["serve"]]
    assert {**notes[0], "serve": 0} == {**notes[1], "serve": 0}
    assert open_generator(output / "checkpoint-1", "cpu").context == open_generator(output / "adapter", "cpu").context


@pytest.mark.slow
def test_a_checkpoint_labels(options: dict[str, Any], acting: Any, tiny: Config, tmp_path: Path) -> None:
    """One of random weights, by `checkpoint:`: every try fails, in an orderly way."""
    acting(looks)
    train(GrpoSettings(**options | {"max_steps": 1}))
    address = f"checkpoint:{options['output'] / 'checkpoint-1'}"
    shutil.copytree(tiny.lake, tmp_path / "lake")
    values = tiny.model_dump(mode="json") | {"lake": str(tmp_path / "lake"), "labeller": address}
    values["label"]["rollout"]["max_tokens"] = 24
    values["checkpoint"] = {"python": str(interpreter(tmp_path / "bin")), "device": "cpu", "start_s": 240}
    config = Config.model_validate(values)
    try:
        run(config, steps=("label",))
        name = policy_id(address, config)
        assert name.startswith("checkpoint-1@")
        assert set(select(config, "SELECT policy, passes FROM complexity")) == {(name, 0)}
        told = f"FROM events WHERE purpose = 'label' AND provider = '{name}'"
        assert number(config, f"SELECT count(*) {told} AND failure IS NULL") > 0
        assert number(config, f"SELECT count(*) {told} AND failure IS NOT NULL") == 0
    finally:
        close_stores()


def test_evaluations_need_questions_and_patience_needs_evaluations(options: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match=r"no questions of these levels for validation: raise `splits\."):
        train(GrpoSettings(**options | {"levels": (1,), "eval_every": 1, "export": without_validation(options)}))
    with pytest.raises(ValueError, match="patience counts evaluations: set eval_every"):
        GrpoSettings(**options | {"patience": 1})
    with pytest.raises(ValueError, match="updates has to divide eval_every"):
        GrpoSettings(**options | {"updates": 2, "save_every": 2, "eval_every": 3})


def without_validation(options: dict[str, Any]) -> Path:
    """A copy of the export whose validation split has no file."""
    copy = Path(shutil.copytree(options["export"], Path(options["output"]).parent / "export"))
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["splits"]["validation"]["files"] = []
    (copy / "manifest.json").write_text(json.dumps(manifest))
    return copy


@pytest.mark.usefixtures("_small")
def test_greedy_is_the_likeliest_token_whatever_the_random_numbers_are(tmp_path: Path) -> None:
    import torch
    from rolling import make_trainer, seed, services

    from gog.transforms.dialect.backbones import BACKBONES

    made: list[Any] = []

    def recording(trainer: type[Any]) -> type[Any]:
        class Recording(trainer):
            def _generate(self, prompts: Any) -> Any:
                made.append(super()._generate(prompts))
                return made[-1]

        return Recording

    with services(tmp_path / "store") as opened:
        more: dict[str, Any] = {
            "generation_kwargs": {"max_new_tokens": 8},
            "seeds": [seed(0), seed(2)],
            "kind": recording,
        }
        trainer = make_trainer(BACKBONES[QWEN3], opened, tmp_path, **more)
        trainer.eval_dataset = trainer.train_dataset.select([0, 1])
        for number in (1, 2):
            torch.manual_seed(number)
            assert set(trainer.evaluate()) == {"eval_accuracy", "eval_unknown", "eval_turns", "eval_searches"}
        sampled = trainer.generation_kwargs["do_sample"]
    (prompts, first), (_, second) = made[0][:2], made[1][:2]
    assert first == second
    assert len(prompts) == 2
    assert sampled, "sampling is as it was"
    model = trainer.accelerator.unwrap_model(trainer.model).eval()
    pixels = trainer.processing_class.image_processor(images=made[0][6][0], return_tensors="pt")
    ids = torch.tensor([[*prompts[0], *first[0]]])
    kinds = (ids == trainer._image_pad_token_id).int()
    with torch.no_grad():
        logits = model(input_ids=ids, mm_token_type_ids=kinds, **pixels).logits[0, len(prompts[0]) - 1 : -1]
    logits[:, trainer._image_pad_token_id] = -torch.inf
    assert logits.argmax(-1).tolist() == first[0]
