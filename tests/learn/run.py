"""`make learn`: whether the loop teaches, in a small world, from a model that knows nothing of episodes.

The engine makes trajectories of flags in scenes with its rule-based planner. A model of two million weights gets eyes
and words by a loop of its own (`pretrain`); from there on all is the package's own: SFT on the engine's export, labels
by the SFT model, GRPO on what it finds hard, and an evaluation on held-out countries, also in a world whose countries
have changed names. Each step is left out where what it makes is there, so that a run goes on where it was stopped.

    python -m learn.run --work build/learn --seeds 3000 --scenes 48000 --times 3
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from learn import family, held_out
from learn.results import evaluation, table

TESTS: Final = Path(__file__).parents[1]
ARMS: Final = ("before", "without gaze", "SFT", "GRPO")
_EPISODE: Final = {"top_k": 2, "max_turns": 5}
_WITHOUT: Final = _EPISODE | {"tools": ["text_search", "image_search"]}


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything."""

    seeds: int
    scenes: int
    times: int
    questions: int
    sft_epochs: int
    grpo_steps: int
    rl_seeds: int


class Work:
    """A folder with all that a proof makes, and the commands that make it."""

    def __init__(self, folder: Path, sizes: Sizes) -> None:
        self.folder, self.sizes = folder.resolve(), sizes
        self.folder.mkdir(parents=True, exist_ok=True)
        family.install(self.folder / "plugin")
        self.python = self._interpreter()

    def everything(self) -> None:
        """All steps, in order, for each of the repetitions."""
        self.teacher("teach", self.sizes.seeds, 1, _EPISODE)
        self.teacher("blind", self.sizes.seeds, 1, _WITHOUT)
        self.base()
        for time in range(self.sizes.times):
            sft = self.sft("SFT", "teach", time)
            self.sft("without gaze", "blind", time)
            self.grpo(sft, time)
        for time in range(self.sizes.times):
            for arm in ARMS:
                self.evaluate(arm, time)
        (self.folder / "results.md").write_text(table(self.folder / "lake" / "evals", ARMS, self.sizes.times))

    def teacher(self, run: str, seeds: int, seed: int, episode: Mapping[str, Any]) -> None:
        """Trajectories of the planner, exported for the small family."""
        if self._export(run, "sft").exists():
            return
        config = self._config(run, seed=seed, episode=episode, count=seeds)
        for command in (["ingest"], ["synthesize"], ["curate"], self._exporting("sft")):
            self._gog(*command, "-c", str(config))

    def base(self) -> None:
        """The vocabulary of the exports, and the model that has eyes and words."""
        if not (self.folder / "tokenizer" / "tokenizer.json").exists():
            self._learn("learn.words", "tokenizer", *(str(self._export(run, "sft")) for run in ("teach", "blind")))
        if not (self.folder / "base" / "model" / "gog.json").exists():
            self._learn("learn.pretrain", "tokenizer", "base", "--scenes", str(self.sizes.scenes))

    def sft(self, arm: str, run: str, time: int) -> Path:
        """The base after the export's rows; its folder."""
        output = self._output(arm, time)
        if not (output / "model" / "gog.json").exists():
            options = {"tune": "full", "learning_rate": 5e-4, "batch_size": 16, "device_batch_size": 8, "workers": 0}
            options |= {
                "model": self.folder / "base" / "model",
                "export": self._export(run, "sft"),
                "output": output,
                "seed": time,
            }
            options |= {"epochs": self.sizes.sft_epochs, "save_every": 500}
            self._train("gog_train.sft", options)
        return output / "model"

    def grpo(self, sft: Path, time: int) -> None:
        """Labels by the SFT model on seeds of their own, and GRPO on what it does not find easy."""
        run, output = f"rl-{time}", self._output("GRPO", time)
        if (output / "model" / "gog.json").exists():
            return
        config = self._config(
            run, seed=50 + time, episode=_EPISODE, count=self.sizes.rl_seeds, labeller=f"checkpoint:{sft}"
        )
        if not self._export(run, "rl").exists():
            for command in (["ingest"], ["synthesize"], ["curate"], ["label"], self._exporting("rl")):
                self._gog(*command, "-c", str(config))
        options = {"tune": "full", "learning_rate": 3e-5, "questions": 8, "rollouts": 8, "device_batch_size": 8}
        options |= {"model": sft, "export": self._export(run, "rl"), "output": output, "seed": time}
        splits = json.loads((self._export(run, "rl") / "manifest.json").read_bytes())["splits"]
        options |= {"levels": ",".join(sorted(splits["train"]["levels"]))}
        options |= {"max_steps": self.sizes.grpo_steps, "max_tokens": 1536, "turn_tokens": 192, "unsettled": "zero"}
        options |= {"save_every": 20, "log_every": 1, "epochs": 100}
        self._train("gog_train.grpo", options)

    def evaluate(self, arm: str, time: int) -> None:
        """Answers to the held-out questions, in both worlds."""
        made = held_out.write(self.folder / "held-out", self.sizes.questions)
        model = self.folder / "base" / "model" if arm == "before" else self._output(arm, time) / "model"
        if arm == "before" and time:
            return
        for world, questions, index in (
            ("real", made.real, "gallery:atlas"),
            ("permuted", made.permuted, f"gallery:{made.gallery}"),
        ):
            name = evaluation(arm, time, world)
            episode = _WITHOUT if arm == "without gaze" else _EPISODE
            config = self._config(
                name, seed=0, episode=episode, count=1, labeller=f"checkpoint:{model}", image_search=index
            )
            bench = f"held={questions}"
            self._gog("eval", "-c", str(config), "--bench", bench, "--paradigm", "policy", "--name", name)

    def _config(self, run: str, *, seed: int, episode: Mapping[str, Any], count: int, **more: str) -> Path:
        path = self.folder / f"{run}.yaml"
        kinds = {"direct": 0.08, "glance": 0.12, "gaze": 0.6, "trap": 0.2}
        config: dict[str, Any] = {
            "run": run,
            "lake": str(self.folder / "lake"),
            "seed": seed,
            "source": {"kind": "atlas", "count": count, "kinds": kinds},
            "teacher": "planner:skill=0.9",
            "episode": dict(episode),
            "screen": {"passes": 1},
            "synthesize": {"rollouts": 1, "composed": 0},
            "curate": {"balance": {"shares": {}}, "splits": {"rl_share": 0.5 if run.startswith("rl") else 0.05}},
            "label": {"k": 4, "rollout": {"max_tokens": 192}},
            "checkpoint": {"python": str(self.python)},
        }
        path.write_text(yaml.safe_dump(config | more))
        return path

    def _exporting(self, kind: str) -> list[str]:
        return ["export", kind, "--format", "trl", "--backbone", family.NAME]

    def _export(self, run: str, kind: str) -> Path:
        return self.folder / "lake" / "runs" / run / "exports" / f"trl-{family.NAME}" / kind

    def _output(self, arm: str, time: int) -> Path:
        return self.folder / f"{arm.replace(' ', '-').lower()}-{time}"

    def _interpreter(self) -> Path:
        path = self.folder / "python"
        path.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{Path(__file__).with_name('start.py')}' \"$@\"\n")
        path.chmod(0o755)
        return path

    def _gog(self, *words: str) -> None:
        self._call(str(Path(sys.executable).with_name("gog")), *words)

    def _learn(self, module: str, *words: str) -> None:
        self._call(sys.executable, "-m", module, *words)

    def _train(self, module: str, options: Mapping[str, object]) -> None:
        words = [word for key, value in options.items() for word in (f"--{key.replace('_', '-')}", str(value))]
        going_on = ["--resume"] if any(Path(str(options["output"])).glob("checkpoint-*")) else []
        self._call(str(self.python), "-m", module, *words, *going_on)

    def _call(self, *command: str) -> None:
        print("$", *command, flush=True)
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        subprocess.run(command, cwd=self.folder, env=os.environ | threads, check=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("build/learn"), help="folder of all that is made")
    parser.add_argument("--seeds", type=int, default=3000, help="scenes that the planner answers, for each SFT export")
    parser.add_argument("--scenes", type=int, default=48000, help="drawn scenes that the base model sees")
    parser.add_argument("--times", type=int, default=3, help="repetitions of SFT and GRPO, each with a seed")
    parser.add_argument("--questions", type=int, default=300, help="held-out questions")
    parser.add_argument("--sft-epochs", type=int, default=5)
    parser.add_argument("--grpo-steps", type=int, default=60)
    parser.add_argument("--rl-seeds", type=int, default=400, help="scenes that the SFT model labels, for GRPO")
    asked = vars(parser.parse_args())
    Work(asked.pop("work"), Sizes(**asked)).everything()


if __name__ == "__main__":
    main()
