"""Rollouts of tiny models: rows, services that do as they are told, and a trainer whose turns are scripted."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tiny_models
from fakes import FakeSearch, hit, picture
from lakes import level_of
from verifying import closed_world_judge

from gog.schemas import FurtherImage, Seed, Split, content_id
from gog.transforms.dialect.backbones import Backbone
from gog.transforms.episode.crops import Cropper
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.episode.tool import EpisodeTools
from gog.transforms.export.rows import ExportSettings, rl_row
from gog.transforms.images import CropSettings
from gog.transforms.passing_images import PassingImages
from gog.transforms.services.gateway.gateway import Gateway
from gog.transforms.services.gateway.retry import Retry
from gog.transforms.services.store.records import Mode
from gog.transforms.services.store.sqlite import Store
from gog.transforms.verify.judge import JudgeCall
from gog_train.processors import fit
from gog_train.questions import questions
from gog_train.services import TrainingServices

CROPS = CropSettings(max_pixels=8 * 28 * 28)


def call(name: str, **arguments: Any) -> str:
    """A turn that thinks and calls a tool, as the policy writes it."""
    written = json.dumps({"name": name, "arguments": arguments})
    return f"I look.\n</think>\n\n<tool_call>\n{written}\n</tool_call>"


def answer(text: str) -> str:
    """A turn that answers."""
    return f"Evidence: useful.\n</think>\n\n<answer>{text}</answer>"


def seed(number: int = 0, *, width: int = 640, height: int = 480, more: Sequence[tuple[int, int]] = ()) -> Seed:
    """A seed about the picture of `fakes`, which is as large as asked for; and about it in further sizes."""
    data = picture(width, height)
    return Seed(
        seed_id=content_id("seed", number),
        dataset="fake",
        question=f"What is the capital, question {'again ' * number}?",
        answers=("Nairobi",),
        image_sha256=PassingImages().put(data, "png"),
        width=width,
        height=height,
        image_phash="0" * 16,
        further_images=tuple(
            FurtherImage(
                sha256=PassingImages().put(picture(*size), "png"), width=size[0], height=size[1], phash="0" * 16
            )
            for size in more
        ),
    )


def rl_rows(episode: EpisodeSettings, seeds: Sequence[Seed], levels: Sequence[int] = (2,)) -> Any:
    """Rows as `gog_train.data` gives them: a `datasets.Dataset`."""
    from datasets import Dataset, Image, List

    rows = []
    for number, one in enumerate(seeds):
        level = levels[number % len(levels)]
        row = rl_row(one, level_of(one, level), Split.TRAIN, ExportSettings(levels=(1, 2)), episode)
        assert not hasattr(row, "reason")
        values = {name: getattr(row, name) for name in row.__slots__ if name not in ("split", "image_sha256")}
        sizes = [(one.width, one.height), *((image.width, image.height) for image in one.further_images)]
        rows.append(values | {"images": [{"bytes": picture(*size), "path": None} for size in sizes]})
    return Dataset.from_list(rows).cast_column("images", List(Image()))


@contextmanager
def services(
    folder: Path,
    *,
    text: FakeSearch | None = None,
    image: FakeSearch | None = None,
    judge: JudgeCall = closed_world_judge,
) -> Iterator[TrainingServices]:
    """Fakes behind a real door."""
    images = PassingImages()
    with Store(folder, Mode.LIVE) as store:
        door = Gateway(store, retry=Retry(attempts=1))
        tools = EpisodeTools(
            door,
            text or FakeSearch(lambda query: (hit(f"About {query}", "It is Nairobi."),), id="fake-text:1"),
            image or FakeSearch(lambda sha: (hit("Kenya"),), id="fake-image:1"),
            Cropper(store, images, CROPS),
            5,
        )
        yield TrainingServices(tools, images, judge)


def row_of(rows: Any, number: int = 0) -> dict[str, Any]:
    """A row as TRL hands it to `reset`."""
    row: dict[str, Any] = questions(rows, [number])[0]
    return row


def fitted(backbone: Backbone, *, thinking: bool = True) -> tuple[Any, bool]:
    """A tiny processor with template and budget, and whether the prompt opens the thought."""
    made, form = tiny_models.processor(backbone.name), backbone.template(thinking=thinking)
    fit(made, form, backbone)
    return made, form.opened


Script = Callable[[int, int], str]
"""The text of a rollout's turn (number of the rollout, number of the turn); its last token is the end of the turn
unless the text ends with `CUT`."""

CUT = "[cut]"


def scripted(trainer: type[Any]) -> type[Any]:
    """The trainer with scripted turns. The real generation runs, then its tokens give way to the script's."""

    class Scripted(trainer):  # type: ignore[misc]
        script: Script
        going: list[int]

        def _tell(self, live: Any) -> Any:
            going = super()._tell(live)
            self.going = [self._number(tokens.rollout) for tokens in going]
            return going

        def _number(self, rollout: Any) -> int:
            return next(n for n, environment in enumerate(self.environments) if environment.rollout is rollout)

        def _generate(self, prompts: Any) -> Any:
            self.going = list(range(len(prompts)))
            return super()._generate(prompts)

        def _generate_single_turn(self, *arguments: Any, **more: Any) -> Any:
            made, logps = super()._generate_single_turn(*arguments, **more)
            assert len(made) == len(self.going)
            turns = [self.environments[number].rollout.episode.turns for number in self.going]
            return [self.tokens_of(number, turn) for number, turn in zip(self.going, turns, strict=True)], logps

        def tokens_of(self, number: int, turn: int) -> list[int]:
            text = self.script(number, turn)
            family = self.setup.backbone
            end = family.ends[-1] if "<tool_call>" in text else family.end_of_turn
            text, end = (text.removesuffix(CUT), "") if text.endswith(CUT) else (text, end)
            if not self.setup.opened:
                text = "<think>\n" + text
            ids: list[int] = self._tokenizer.encode(text + end, add_special_tokens=False)
            return ids

    return Scripted


def make_trainer(
    backbone: Backbone,
    services: TrainingServices,
    folder: Path,
    *,
    script: Script | None = None,
    seeds: Sequence[Seed] | None = None,
    levels: Sequence[int] = (2,),
    kind: Callable[[type[Any]], type[Any]] | None = None,
    episode: EpisodeSettings | None = None,
    setup: dict[str, Any] | None = None,
    **arguments: Any,
) -> Any:
    """A trainer of a tiny model with an adapter, on the CPU."""
    from peft import LoraConfig
    from transformers import set_seed
    from trl import GRPOConfig

    from gog_train.episode_trainer import EpisodeTrainer, Setup

    episode = (episode or EpisodeSettings()).in_frame(backbone.spec)
    seeds = seeds or [seed(0)]
    rows = rl_rows(episode, seeds, levels)
    processor, opened = fitted(backbone)
    values: dict[str, Any] = {
        "output_dir": str(folder / "out"),
        "use_cpu": True,
        "report_to": [],
        "save_strategy": "no",
        "logging_steps": 1,
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 1,
        "num_generations": 4,
        "max_steps": 1,
        "max_completion_length": 3000,
        "generation_kwargs": {"max_new_tokens": 2},
        "learning_rate": 1e-3,
        "beta": 0.001,
        "loss_type": "grpo",
        "bf16": False,
        "gradient_checkpointing": False,
        "shuffle_dataset": False,
        "disable_tqdm": True,
        "seed": 0,
        "log_multimodal": False,
        "router_aux_loss_coef": None if backbone.balancing else 0.0,
    }
    numbers = list(range(len(seeds))) * 4
    chosen: type[Any] = EpisodeTrainer
    if script is not None:
        chosen = scripted(chosen)
    if kind is not None:
        chosen = kind(chosen)
    set_seed(0)
    made = chosen(
        Setup(
            services=services,
            episode=episode,
            backbone=backbone,
            opened=opened,
            levels=[rows[number]["level"] for number in numbers],
            **(setup or {}),
        ),
        model=tiny_models.model(backbone.name),
        args=GRPOConfig(**(values | arguments)),
        train_dataset=questions(rows, numbers),
        processing_class=processor,
        peft_config=LoraConfig(r=8, task_type="CAUSAL_LM", target_modules=backbone.layers(vision=False)),
    )
    if script is not None:
        made.script = script
    return made
