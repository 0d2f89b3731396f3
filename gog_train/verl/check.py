"""What `gog_train.verl.start` looks at before verl starts; by itself: `python -m gog_train.verl.check [overrides]`.

verl takes minutes to start, so what is wrong has to be found before. The environment says what to look at: GOG_EXPORT,
GOG_CALLS, GOG_TEXT_SEARCH, GOG_IMAGE_SEARCH, GOG_PAGES, GOG_JUDGE, GOG_JUDGE_KEY_ENV, GOG_UNSETTLED and MODEL, as in
`launch.sh`.

transformers and datasets are imported inside of the functions.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from PIL import Image
from pydantic import ValidationError

from gog.transforms.dialect.backbones import BACKBONES, Backbone
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.export.target import ToolSettings
from gog.transforms.images import decode_image
from gog_train.checkpoints import check_notes
from gog_train.data import ExportError, check_files, read_manifest
from gog_train.processors import backbone_of, base_of, check_tokens, load_processor
from gog_train.reach import reach
from gog_train.services import RULES, check_judge, open_services
from gog_train.settings import TrainingError
from gog_train.verl.episode import LoopSettings

AGAIN = "export it again with `gog export rl --format verl`"


BATCH: Final = "data.train_batch_size"


def check(environment: Mapping[str, str], words: Sequence[str] = ()) -> str:
    """Look at the export, the model, the searches and the judge; returns what was found, in two lines.

    `words` are the overrides that verl gets, of which the batch size counts here.

    Raises `ExportError` or `TrainingError`.
    """
    folder = Path(environment["GOG_EXPORT"])
    manifest = read_manifest(folder, "rl", "verl")
    train = manifest["splits"]["train"]
    if not train.get("rows"):
        raise ExportError(f"the split train of {folder} has no rows: label more seeds with `gog label`, and {AGAIN}")
    _check_batch(folder, train["rows"], words)
    for split, listed in manifest["splits"].items():
        check_files(folder, {file["name"]: file["sha256"] for file in listed["files"]}, f"split {split}", AGAIN)
    images = {name: value for name, value in manifest["other_files"].items() if name.startswith("images/")}
    check_files(folder, images, "images", AGAIN)
    _check_model(environment["MODEL"], manifest, folder / train["files"][0]["name"])
    settings = _settings(environment)
    _check_services(environment, manifest, settings)
    golds = _golds([folder / file["name"] for file in train["files"]])
    rules = reach(golds, settings.unsettled, judge=settings.judge != RULES)
    there = f"{train['rows']} questions, {len(images)} images; model, searches and judge are there"
    return f"{there}\n{rules.line}" + (f" -> {rules.advice}" if rules.advice else "")


def _check_batch(folder: Path, rows: int, words: Sequence[str]) -> None:
    """A batch of at most the rows: verl leaves out what does not fill one, and divides by the steps that are left."""
    recipe = yaml.safe_load((folder / "grpo.yaml").read_text("utf-8"))
    batch = str(recipe["data"]["train_batch_size"])
    for word in words:
        name, _, value = word.lstrip("+").partition("=")
        batch = value if name == BATCH else batch
    if batch.isdigit() and int(batch) > rows:
        raise TrainingError(
            f"a step takes {batch} questions, the export has {rows}: label more seeds with `gog label`, or start with "
            f"{BATCH}={rows} actor_rollout_ref.actor.ppo_mini_batch_size={rows}"
        )


def _check_model(model: str, manifest: Mapping[str, Any], rows: Path) -> None:
    """A whole model of the family, its tokens, and the size that its processor gives to small and large images."""
    wanted = BACKBONES[manifest["backbone"]["name"]]
    if base_of(model, None)[0] != model:
        raise TrainingError(f"{model} is an adapter, verl trains whole models: name a folder saved with `save: merged`")
    family = backbone_of(model)
    if family != wanted:
        raise TrainingError(f"{model} is a {family.name}, the export is for {wanted.name}: {AGAIN} for {family.name}")
    check_notes(model, wanted.template(thinking=manifest["backbone"]["thinking"]))
    processor = load_processor(model)
    check_tokens(processor.tokenizer, wanted)
    for image in (Image.new("RGB", (64, 48)), *map(decode_image, _images_of(rows))):
        _check_size(processor, wanted, image)


def _images_of(rows: Path) -> list[bytes]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(rows) as file:
        first = next(file.iter_batches(batch_size=1, columns=["images"])).to_pylist()[0]
    return [image["bytes"] for image in first["images"]]


def _golds(files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    for path in files:
        for row in pq.read_table(path, columns=["reward_model"]).to_pylist():
            yield json.loads(row["reward_model"]["ground_truth"])


def _check_size(processor: Any, backbone: Backbone, image: Image.Image) -> None:
    wanted = backbone.visual_tokens(*image.size)
    try:
        width, height, factor = backbone.processed(processor.image_processor, image)
        tokens = width * height // factor**2
    except (ValueError, RuntimeError):
        tokens = 0
    if tokens != wanted:
        raise TrainingError(
            f"the processor makes {tokens} tokens of an image of {image.width}x{image.height}, the export assumed "
            f"{wanted}: start from the processor of the export's backbone, with its own limits"
        )


def _settings(environment: Mapping[str, str]) -> LoopSettings:
    """What the recipe reads of the environment. Raises `TrainingError`."""
    names = {"judge": "GOG_JUDGE", "judge_key_env": "GOG_JUDGE_KEY_ENV", "unsettled": "GOG_UNSETTLED"}
    given = {field: environment[name] for field, name in names.items() if environment.get(name)}
    try:
        return LoopSettings.model_validate(given)
    except ValidationError as error:
        (wrong, *_) = error.errors()
        raise TrainingError(f"{names[str(wrong['loc'][0])]}: {wrong['msg']}") from None


def _check_services(environment: Mapping[str, str], manifest: Mapping[str, Any], settings: LoopSettings) -> None:
    tools = ToolSettings.model_validate(manifest["tools"])
    addresses = settings.addresses(environment, tools)
    services = open_services(addresses, tools.crops, EpisodeSettings.model_validate(manifest["episode"]))
    try:
        check_judge(services.judge)
    finally:
        services.close()


def main(words: Sequence[str] = ()) -> int:
    """The command line: 0 where verl can start, 2 where it cannot."""
    try:
        print(check(os.environ, words), flush=True)
        return 0
    except KeyError as error:
        why = f"{error.args[0]} is not set: start with launch.sh"
    except (TrainingError, ExportError) as error:
        why = str(error)
    print(f"error: {why}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
