"""GLM-V: a turn ends with the role of whoever speaks next, in training, in rollouts and in what is served."""

import re
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from families import GLM
from PIL import Image
from rolling import CUT, answer, call, make_trainer, services
from training import module_of, small, trl_export

from gog.pipelines.config.config import Config
from gog.transforms.dialect.backbones import BACKBONES, Backbone
from gog.transforms.dialect.observations import neutralise
from gog.transforms.episode.machine import EpisodeSettings
from gog_train.collator import with_pixels
from gog_train.environment import Ending
from gog_train.generate import open_generator
from gog_train.processors import check_tokens, end_turns
from gog_train.settings import TrainingError
from gog_train.sft import SftSettings, train
from gog_train.token_ids import chat_ids

GAZE = call("gaze", bbox_2d=[10, 10, 90, 90], label="it", image=0)
SEARCH = call("text_search", query="capital of Kenya")
ANSWER = answer("Nairobi")
MUTE = "I think.\n</think>\n\nHm."
UNREADABLE = "I look.\n</think>\n\n<tool_call>\n{oops\n</tool_call>"


@pytest.fixture
def family(monkeypatch: pytest.MonkeyPatch) -> Backbone:
    """The dense one with a small budget of pixels."""
    monkeypatch.setattr(module_of(GLM[0]), small(GLM[0]))
    return BACKBONES[GLM[0]]


def keeping(trainer: type[Any]) -> type[Any]:
    """Keeps what was generated; `ends` are tokens that turns end with by number, in the place of the template's."""

    class Keeping(trainer):
        ends: dict[int, str]

        def _generate(self, prompts: Any) -> Any:
            self.generated = super()._generate(prompts)
            return self.generated

        def tokens_of(self, number: int, turn: int) -> list[int]:
            ids: list[int] = super().tokens_of(number, turn)
            return [*ids[:-1], self._tokenizer.convert_tokens_to_ids(self.ends[turn])] if turn in self.ends else ids

    return Keeping


def rolled(
    family: Backbone, folder: Path, turns: list[str], ends: dict[int, str] | None = None, **more: Any
) -> tuple[Any, list[tuple[str, bool]]]:
    """The trainer after a step whose rollouts took these turns, and a rollout as stretches: text, and whose it is."""
    with services(folder / "store") as made:
        trainer = make_trainer(family, made, folder, script=lambda _, turn: turns[turn], kind=keeping, **more)
        trainer.ends = ends or {}
        trainer.eos_token_ids.append(trainer._tokenizer.pad_token_id)  # at which real ones stop, too
        trainer.train()
    _, completions, masks, *_ = trainer.generated
    stretches: list[tuple[list[int], bool]] = []
    for token, own in zip(completions[0], masks[0], strict=True):
        if not stretches or stretches[-1][1] is not bool(own):
            stretches.append(([], bool(own)))
        stretches[-1][0].append(token)
    return trainer, [(trainer._tokenizer.decode(ids), own) for ids, own in stretches]


def test_trls_own_template_for_training_ends_turns_so_too() -> None:
    """It drops the thoughts of earlier turns, which ours keeps: a turn is trained as it is read later."""
    import trl
    from transformers.utils.chat_template_utils import render_jinja_template

    text = (Path(trl.__file__).parent / "chat_templates" / "glm4moe_training.jinja").read_text("utf-8")
    called = {"type": "function", "function": {"name": "gaze", "arguments": {"image": 0}}}
    chat = [
        {"role": "user", "content": "Which flag?"},
        {"role": "assistant", "content": "", "reasoning_content": "I look.", "tool_calls": [called]},
        {"role": "tool", "content": "a crop"},
        {"role": "assistant", "content": "Kenya", "reasoning_content": "I see."},
        {"role": "user", "content": "Sure?"},
    ]
    for form, kept in ((text, False), (BACKBONES[GLM[0]].template(thinking=True).text, True)):
        (whole,), (spans,) = render_jinja_template([chat], chat_template=form, return_assistant_tokens_mask=True)
        trained = [whole[begin:end].strip() for begin, end in spans]
        assert [piece.rpartition("<|")[2] for piece in trained] == ["observation|>", "user|>"]
        assert whole.count("<|user|>") == 2
        assert whole.count("<|observation|>") == 1
        assert ("I look." in whole) is kept


def test_the_policys_tokens_are_its_turns_with_their_ends(family: Backbone, tmp_path: Path) -> None:
    trainer, stretches = rolled(family, tmp_path, [GAZE, SEARCH, ANSWER])
    said = [f"<think>\n{turn}" for turn in (GAZE, SEARCH, ANSWER)]
    assert [text for text, own in stretches if own] == [
        f"{said[0]}<|observation|>",
        f"{said[1]}<|observation|>",
        f"{said[2]}<|user|>",
    ]
    heard = [text for text, own in stretches if not own]
    assert heard[0].startswith("\n<tool_response>\n<|begin_of_image|><|image|>")
    assert all(text.endswith("\n</tool_response><|assistant|>\n") for text in heard)
    assert all(text.count("<|observation|>") == text.count("<|user|>") == 0 for text in heard)
    assert trainer.state.log_history[0]["reward/accuracy"] == 1


def test_a_rollout_is_the_chat_that_is_served(family: Backbone, tmp_path: Path) -> None:
    """Token by token what the template makes of the messages: of several calls a turn, crops, a note, a refusal."""
    corner = call("gaze", bbox_2d=[0, 0, 50, 50], label="a corner", image=1).partition("<tool_call>")[2]
    turns = [f"{GAZE}\n<tool_call>{corner}\n<tool_call>{corner}", MUTE, GAZE, ANSWER]
    trainer, _ = rolled(family, tmp_path, turns, episode=EpisodeSettings(calls_per_turn=2))
    prompts, completions, _, messages, _, _, images, _ = trainer.generated
    assert [message["role"] for message in messages[0]] == [
        *("assistant", "tool", "tool", "tool", "assistant", "user", "assistant", "tool", "assistant")
    ]
    pixels = iter(images[0])
    chat = [with_pixels(message, pixels) for message in [*trainer.train_dataset[0]["prompt"], *messages[0]]]
    tools = trainer._env_tools[None]
    assert chat_ids(trainer._tokenizer, chat, family, tools, prompt=False) == [*prompts[0], *completions[0]]
    assert len(images[0]) == 3


@pytest.mark.parametrize(
    ("turn", "end", "lacks"),
    [
        (GAZE, "<|user|>", "<|observation|>"),
        (GAZE, "<|endoftext|>", "<|observation|>"),
        (MUTE, "<|observation|>", "<|user|>"),
        (UNREADABLE, "<|observation|>", "<|user|>"),
        (MUTE, "<|endoftext|>", "<|user|>"),
    ],
)
def test_a_turn_with_another_end_is_told_the_role_that_follows(
    family: Backbone, tmp_path: Path, turn: str, end: str, lacks: str
) -> None:
    _, stretches = rolled(family, tmp_path, [turn, ANSWER], {0: end})
    assert [own for _, own in stretches] == [True, False, True]
    assert stretches[0][0] == f"<think>\n{turn}{end}"
    assert stretches[1][0].startswith(f"{lacks}\n")
    assert stretches[2][0].endswith("<|user|>")


def test_strikes_end_it_and_a_turn_without_an_end_is_overlong(family: Backbone, tmp_path: Path) -> None:
    trainer, stretches = rolled(family, tmp_path / "strikes", [MUTE] * 3)
    assert [one.ending for one in trainer.scored] == [Ending.STRIKES] * 4
    assert [own for _, own in stretches] == [True, False, True, False, True]
    trainer, stretches = rolled(family, tmp_path / "cut", [GAZE, "I think and think" + CUT])
    assert [one.ending for one in trainer.scored] == [Ending.OVERLONG] * 4
    assert stretches[-1] == ("<think>\nI think and think", True)


@pytest.mark.parametrize("token", ["<|image|>", "<|video|>", "<|begin_of_video|>", "<|end_of_video|>"])
def test_a_reply_holds_no_token_of_a_picture(family: Backbone, tmp_path: Path, token: str) -> None:
    trainer, stretches = rolled(family, tmp_path, [f"I see {token} and\n</think>\n\n<answer>x</answer>"])
    assert [one.ending for one in trainer.scored] == [Ending.BROKEN] * 4
    assert token not in "".join(text for text, _ in stretches)


def test_generation_stops_where_turns_end() -> None:
    model, tokenizer = tiny_models.model(GLM[0]), tiny_models.tokenizer(backbone=GLM[0])
    end, *ends = tokenizer.convert_tokens_to_ids(["<|endoftext|>", *BACKBONES[GLM[0]].ends])
    for there in (None, end, [end], [end, *ends]):
        model.generation_config.eos_token_id = there
        end_turns(model, tokenizer, BACKBONES[GLM[0]])
        assert model.generation_config.eos_token_id == ([end, *ends] if there is not None else ends)


def test_a_model_that_stops_at_a_word_is_refused() -> None:
    """As GLM-4.1V-9B-Thinking does at `</answer>`: vLLM would leave it out of the text."""
    model, tokenizer = tiny_models.model(GLM[0]), tiny_models.tokenizer(backbone=GLM[0])
    tokenizer.add_tokens(["</answer>"])
    word = tokenizer.convert_tokens_to_ids("</answer>")
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, word]
    with pytest.raises(TrainingError, match=rf"stops at </answer>, inside of a turn: take {word} out of eos_token_id"):
        end_turns(model, tokenizer, BACKBONES[GLM[0]])


def test_words_that_are_left_out_of_what_is_read_are_refused() -> None:
    tokenizer = tiny_models.tokenizer(backbone=GLM[0])
    check_tokens(tokenizer, BACKBONES[GLM[0]])
    tokenizer.add_tokens(["</answer>"], special_tokens=True)
    with pytest.raises(TrainingError, match="leaves </answer> out of what is read: set `special` of it to false"):
        check_tokens(tokenizer, BACKBONES[GLM[0]])


def test_the_switch_of_thoughts_in_a_page_is_broken() -> None:
    assert neutralise("see /nothink and [gMASK]<sop>") == "see ∕nothink and (gMASK]‹sop>"
    assert neutralise("and/or nothink") == "and/or nothink"


@pytest.mark.slow
def test_what_was_trained_is_served_with_its_ends(
    tiny: Config, family: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {
        "model": str(tiny_models.checkpoint(family.name, tmp_path / "base", spread=0.2)),
        "export": trl_export(tiny, "sft", family, tmp_path),
        "output": tmp_path / "out",
    }
    more = {"batch_size": 1, "learning_rate": 1e-2, "warmup": 0.0, "workers": 0, "log_every": 1, "max_steps": 6}
    done = train(SftSettings.model_validate({**options, **more, "evaluate": False, "save": "both"}))
    assert done.finished
    for folder in done.saved.values():
        made = open_generator(folder)
        tokens = made._processor.tokenizer.convert_ids_to_tokens(made._ends)
        assert {*family.ends} <= {*tokens}
        assert re.search("observation", made._processor.chat_template)
    from transformers import GenerationConfig

    saved = GenerationConfig.from_pretrained(done.saved["merged"]).eos_token_id
    assert {*made._processor.tokenizer.convert_tokens_to_ids([*family.ends])} <= {*saved}


def test_a_thin_picture_is_taken(family: Backbone) -> None:
    processor = tiny_models.processor(family.name, family.template(thinking=True).text)
    processor.image_processor.size = family.image_settings["size"]
    content = [{"type": "image", "image": Image.new("RGB", (9, 300))}, {"type": "text", "text": "What?"}]
    batch = processor.apply_chat_template(
        [[{"role": "user", "content": content}]], tokenize=True, return_dict=True, return_tensors="pt"
    )
    marked = int(batch["mm_token_type_ids"].sum())
    assert marked == family.visual_tokens(9, 300)
