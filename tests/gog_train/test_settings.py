"""Settings: files closed to unknown keys, options that replace them, errors of one line."""

from pathlib import Path

import pytest

from gog_train.grpo_settings import GrpoSettings
from gog_train.settings import TrainingError, bundled_configs, read_settings
from gog_train.sft import EXAMPLES, SftSettings, main


def read(*arguments: str) -> SftSettings:
    return read_settings(SftSettings, arguments, "gog_train.sft", EXAMPLES)


NEEDED = ("--model", "m", "--export", "e", "--output", "o")


def test_the_defaults_are_the_papers() -> None:
    settings = read(*NEEDED)
    assert (settings.lora_rank, settings.epochs, settings.rate, settings.batch_size) == (8, 3, 1e-4, 8)
    assert not settings.train_vision
    assert settings.model_copy(update={"tune": "full"}).rate == 1e-5


@pytest.mark.parametrize("name", ["sft_qwen2_5_vl", "sft_qwen3_vl"])
def test_the_bundled_configs_are_the_papers_too(name: str) -> None:
    assert name in bundled_configs()
    settings = read("--config", name, "--export", "e", "--output", "o")
    plain = read(*NEEDED)
    assert settings.model_copy(update={"model": "m"}) == plain


def test_options_replace_keys_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("model: a\nexport: b\noutput: c\nlearning_rate: 2e-5\nsave: merged\nmax_steps: 7\n")
    settings = read(
        "--config", str(file), "--learning-rate", "3e-5", "--train_vision", "--max-steps", "null", "--resume"
    )
    assert settings.learning_rate == 3e-5
    assert settings.save == "merged"
    assert settings.train_vision
    assert settings.max_steps is None
    assert settings.resume == "last"
    assert read(*NEEDED, "--resume", "o/checkpoint-3", "--train-vision", "false").resume == "o/checkpoint-3"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rat: 1\n", "learning_rat is no setting; did you mean learning_rate?"),
        ("zzz: 1\n", "zzz is no setting; --help lists them"),
        ("epochs: -1\n", "epochs: Input should be greater than 0"),
        ("batch_size: 8\ndevice_batch_size: 3\n", "device_batch_size has to divide batch_size"),
        ("report: mlflow\n", "report: Input should be 'none', 'tensorboard', 'trackio' or 'wandb'"),
        ("- a\n", "has to be a mapping of settings"),
        ("a: [\n", "is not YAML"),
        ("\x00", "is not YAML"),
    ],
)
def test_a_bad_file_is_told_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(TrainingError) as caught:
        read("--config", str(file), *NEEDED)
    assert message in str(caught.value)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(TrainingError, match=r"export is missing: name it in the file or as --export"):
        read("--model", "m", "--output", "o")
    with pytest.raises(TrainingError, match=r"cannot read nowhere.yaml: .*one of .*sft_qwen3_vl"):
        read("--config", "nowhere.yaml")


def test_help_shows_every_setting_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"--{name.replace('_', '-')}" in shown for name in SftSettings.model_fields)
    assert "python -m gog_train.sft --config my.yaml --resume" in shown
    assert all(field.description for field in SftSettings.model_fields.values())


def test_wrong_use_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", "nowhere.yaml"]) == 2
    assert capsys.readouterr().err.startswith("error: cannot read nowhere.yaml")
    with pytest.raises(SystemExit) as caught:
        main(["--bogus"])
    assert caught.value.code == 2


def test_what_settings_say_of_one_another_is_their_own_line() -> None:
    words = ["--model", "x", "--export", "y", "--output", "z", "--world", "q", "--text-search", "corpus:a"]
    with pytest.raises(TrainingError, match=r"^world answers searches, pages and tools: leave out text_search$"):
        read_settings(GrpoSettings, words, "gog_train.grpo", "")
