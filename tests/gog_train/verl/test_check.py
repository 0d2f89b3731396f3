"""What stops an export for verl before anything starts: verl itself would train on what a broken tool says."""

import json
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tiny_models
from lakes import small_run, source_of

from gog.pipelines.export.request import ExportRequest
from gog.pipelines.export.write import export_rl
from gog.transforms.atlas.world import atlas_world
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.export.target import Target
from gog_train.data import ExportError
from gog_train.settings import TrainingError
from gog_train.verl.check import check, main

QWEN3 = "qwen3-vl"
Environment = dict[str, str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export, a model whose processor has the family's limits, and an index. Nobody writes to them."""
    folder = tmp_path_factory.mktemp("verl")
    lake, target = small_run(folder / "lake"), Target("verl", BACKBONES[QWEN3])
    done = export_rl(source_of(lake), ExportRequest(target=target)).folder
    done.rename(folder / "export")
    recipe = folder / "export" / "grpo.yaml"
    recipe.write_text(recipe.read_text().replace("train_batch_size: 64", "train_batch_size: 2"))
    tiny_models.checkpoint(QWEN3, folder / "model")
    resized(folder / "model", {"shortest_edge": 256 * 256, "longest_edge": 4096 * 4096})
    atlas_world(folder / "world")
    return folder


@pytest.fixture
def environment(made: Path, tmp_path: Path) -> Environment:
    """What launch.sh sets; export and model are copies to spoil."""
    for name in ("export", "model"):
        shutil.copytree(made / name, tmp_path / name)
    world = atlas_world(made / "world")
    return {
        "GOG_EXPORT": str(tmp_path / "export"),
        "GOG_CALLS": str(tmp_path / "calls"),
        "GOG_TEXT_SEARCH": f"corpus:{world}",
        "GOG_IMAGE_SEARCH": f"gallery:{world}",
        "MODEL": str(tmp_path / "model"),
        "GOG_UNSETTLED": "zero",
    }


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])


def resized(model: Path, size: dict[str, int], **more: object) -> None:
    path = model / "processor_config.json"
    config = json.loads(path.read_text())
    config["image_processor"] |= {"size": size, **more}
    path.write_text(json.dumps(config))


def test_all_is_there(environment: Environment) -> None:
    there, rules = check(environment).splitlines()
    assert there == "2 questions, 2 images; model, searches and judge are there"
    assert rules.startswith("rules settle answers to 2 questions: 100% only as right (string: 2 only as right); ")
    assert rules.endswith("paid 0 -> name a judge")


@pytest.mark.parametrize(("word", "fits"), [("data.train_batch_size=1", True), ("data.train_batch_size=3", False)])
def test_a_batch_has_to_fit_into_the_rows(environment: Environment, word: str, fits: bool) -> None:
    """verl starts all the same, and divides by a step's zero after minutes."""
    words = ["trainer.total_epochs=1", word]
    if fits:
        assert check(environment, words)
        return
    with pytest.raises(TrainingError, match=r"a step takes 3 questions, the export has 2: .* data.train_batch_size=2"):
        check(environment, words)


def test_what_no_rule_settles_is_masked_unless_it_is_to_be_paid(environment: Environment) -> None:
    del environment["GOG_UNSETTLED"]
    assert "masked -> name a judge, or set" in check(environment)
    environment["GOG_UNSETTLED"] = "none"
    with pytest.raises(TrainingError, match="GOG_UNSETTLED: Input should be 'mask' or 'zero'"):
        check(environment)


def old(environment: Environment) -> None:
    path = Path(environment["GOG_EXPORT"], "manifest.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 0}))


def empty(environment: Environment) -> None:
    path = Path(environment["GOG_EXPORT"], "manifest.json")
    manifest = json.loads(path.read_text())
    manifest["splits"]["train"] = {"rows": 0, "files": [], "levels": {}}
    path.write_text(json.dumps(manifest))


def image_gone(environment: Environment) -> None:
    next(Path(environment["GOG_EXPORT"], "images").iterdir()).unlink()


def image_outside(environment: Environment) -> None:
    path = Path(environment["GOG_EXPORT"], "manifest.json")
    manifest = json.loads(path.read_text())
    manifest["other_files"] |= {"images/../../model/config.json": "0" * 64}
    path.write_text(json.dumps(manifest))


def rows_changed(environment: Environment) -> None:
    path = next(Path(environment["GOG_EXPORT"]).glob("data/train-*"))
    path.write_bytes(path.read_bytes()[:-1])


def another_format(environment: Environment) -> None:
    path = Path(environment["GOG_EXPORT"], "manifest.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": "trl"}))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (old, "schema version 0, this program reads 1: export it again with `gog export rl --format verl"),
        (empty, "has no rows: label more seeds"),
        (image_gone, "of the images is missing; copy the whole folder"),
        (image_outside, "of the images is missing; copy the whole folder"),
        (rows_changed, "is not the file that was exported"),
        (another_format, "in the format 'trl', training reads verl"),
    ],
)
def test_an_export_that_cannot_be_trained_on(
    environment: Environment, spoil: Callable[[Environment], None], told: str
) -> None:
    spoil(environment)
    with pytest.raises(ExportError) as caught:
        check(environment)
    assert told in str(caught.value)


def other_family(environment: Environment) -> None:
    path = Path(environment["MODEL"], "config.json")
    path.write_text(path.read_text().replace('"model_type": "qwen3_vl"', '"model_type": "qwen2_5_vl"'))


def an_adapter(environment: Environment) -> None:
    base = {"peft_type": "LORA", "base_model_name_or_path": environment["MODEL"]}
    adapter = Path(environment["GOG_CALLS"])
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps(base))
    environment["MODEL"] = str(adapter)


def no_end_of_turn(environment: Environment) -> None:
    tiny_models.tokenizer(("<|im_end|>",)).save_pretrained(environment["MODEL"])


def smaller_images(environment: Environment) -> None:
    resized(Path(environment["MODEL"]), {"shortest_edge": 1024, "longest_edge": 4096})


def no_resizing(environment: Environment) -> None:
    resized(Path(environment["MODEL"]), {"shortest_edge": 1024, "longest_edge": 4096}, do_resize=False)


def thought_otherwise(environment: Environment) -> None:
    Path(environment["MODEL"], "gog.json").write_text('{"thinking": false}')


def no_index(environment: Environment) -> None:
    environment["GOG_TEXT_SEARCH"] = "corpus:nowhere"


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (other_family, "is a qwen2.5-vl, the export is for qwen3-vl"),
        (an_adapter, "verl trains whole models"),
        (no_end_of_turn, "no single token for <|im_end|>"),
        (smaller_images, "the export assumed"),
        (no_resizing, "the processor makes 0 tokens of an image of 64x48"),
        (thought_otherwise, "was trained with thinking: false"),
        (no_index, "`gog index build --out nowhere` makes one"),
    ],
)
def test_a_model_or_a_search_that_does_not_fit(
    environment: Environment, spoil: Callable[[Environment], None], told: str
) -> None:
    spoil(environment)
    with pytest.raises(TrainingError) as caught:
        check(environment)
    assert told in str(caught.value)


def test_a_judge_that_is_down(
    environment: Environment,
    closed_port: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    environment["GOG_JUDGE"] = f"http://127.0.0.1:{closed_port}/v1#judge"
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    assert main() == 2
    said = capsys.readouterr().err
    assert "the judge does not answer" in said
    assert said.count("\n") == 1
    monkeypatch.delenv("GOG_EXPORT")
    assert main() == 2
    assert "GOG_EXPORT is not set: start with launch.sh" in capsys.readouterr().err
