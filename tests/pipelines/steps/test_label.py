"""Labels by a policy, to the RL splits: one behind an endpoint that does as it is told, and a checkpoint's own."""

import base64
import hashlib
import json
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from checkpoints import interpreter, saved
from endpoint import completion
from runs import atlas, check_nothing_lost, exported, number, select, shared_run

from gog.pipelines.config.config import Config
from gog.pipelines.connect.addresses import episode_of, policy_id
from gog.pipelines.connect.services import close_stores
from gog.pipelines.steps.run import run
from gog.schemas import Frame

SEEDS = 16
SMALL: dict[str, Any] = {"label": {"k": 2}, "screen": {"passes": 2}, "synthesize": {"rollouts": 1, "composed": 0}}

Say = Callable[[str, int], str]
"""The reply to a question about a picture, by the picture's hash, and a seed."""


@pytest.fixture
def labelled(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    """A finished run, to be labelled anew."""
    made = shared_run(atlas("labels", run="labels", count=SEEDS, shard_size=8, **SMALL), tmp_path_factory)
    shutil.copytree(made.lake, tmp_path / "lake")
    yield made.model_copy(update={"lake": str(tmp_path / "lake")})
    close_stores()


@contextmanager
def endpoint(say: Say) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An OpenAI-compatible endpoint: its address, and the bodies of what it was asked."""
    bodies: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            bodies.append(body)
            (url,) = [part["image_url"]["url"] for part in body["messages"][1]["content"] if "image_url" in part]
            sha256 = hashlib.sha256(base64.b64decode(url.partition(",")[2])).hexdigest()
            data = json.dumps(completion(say(sha256, body["seed"]))).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1#sft", bodies
        finally:
            server.shutdown()
            thread.join()


def pool(config: Config) -> list[tuple[str, str, str, bool]]:
    """Seeds to label: id, hash of the picture, an answer, and whether a verified trajectory solves it."""
    return select(
        config,
        """SELECT s.seed_id, s.image_sha256, json_extract_string(s.answers, '$[0]'), EXISTS (
                SELECT 1 FROM trajectories t JOIN verdicts v USING (trajectory_id)
                WHERE t.seed_id = s.seed_id AND v.reasons = '[]')
           FROM seeds s JOIN screenings g USING (seed_id)
           WHERE NOT g.easy AND s.seed_id NOT IN (SELECT seed_id FROM curated) ORDER BY s.seed_id""",
    )


def test_a_policys_tries_become_levels_and_splits(labelled: Config) -> None:
    seeds = pool(labelled)
    can = [seed_id for seed_id, _, _, solved in seeds if solved]
    cannot = [seed_id for seed_id, _, _, solved in seeds if not solved]
    assert len(can) >= 3
    assert cannot
    wanted = {seed_id: place % 3 for place, seed_id in enumerate(can)} | dict.fromkeys(cannot, 2)
    gold = {picture: (answer, wanted[seed_id]) for seed_id, picture, answer, _ in seeds}

    def say(picture: str, seed: int) -> str:
        answer, level = gold[picture]
        right = level == 0 or (level == 1 and seed % 2 == 0)
        return f"<answer>{answer if right else 'Atlantis'}</answer>"

    assert len(gold) == len(seeds), "the pictures tell the seeds apart"
    with endpoint(say) as (address, bodies):
        config = labelled.model_copy(update={"labeller": address})
        run(config, steps=("label", "export_rl"))
    levels = dict(select(config, "SELECT seed_id, level FROM complexity"))
    assert levels == {seed_id: wanted[seed_id] for seed_id in can}
    unsolvable = select(config, "SELECT id FROM rejects WHERE reason = 'label.unsolvable'")
    assert {seed_id for (seed_id,) in unsolvable} == set(cannot)
    rows = exported(config, "rl")
    assert Counter(row["level"] for row in rows) == Counter(level for level in levels.values() if level)
    assert {row["id"] for row in rows} == {seed_id for seed_id, level in levels.items() if level}
    assert {body["model"] for body in bodies} == {"sft"}
    assert {body["temperature"] for body in bodies} == {1.0}
    check_nothing_lost(config, SEEDS)


def test_a_policy_is_met_in_the_frame_that_its_family_writes(labelled: Config) -> None:
    with endpoint(lambda picture, seed: "<answer>Atlantis</answer>") as (address, bodies):
        config = labelled.model_copy(update={"labeller": address})
        run(config, steps=("label",))
        plain = {body["messages"][0]["content"] for body in bodies}
        bodies.clear()
        models = {"sft": {"family": "qwen2.5-vl"}}
        config = Config.model_validate(config.model_dump(mode="json") | {"models": models})
        run(config, steps=("label",))
        framed = {body["messages"][0]["content"] for body in bodies}
    assert labelled.episode.frame is Frame.PER_MILLE
    assert episode_of(address, config).frame is Frame.RESIZED_PIXELS
    assert len(plain) == len(framed) == 1
    assert not plain & framed, "the labels of the other frame are no longer those of this policy"


@pytest.mark.slow
def test_a_checkpoint_labels(labelled: Config, tmp_path: Path) -> None:
    """A tiny one of random weights: every try fails, in an orderly way."""
    address = f"checkpoint:{saved(tmp_path / 'gog-tiny' / 'merged', 'qwen2.5-vl')}"
    values = labelled.model_dump(mode="json")
    values["labeller"] = address
    values["label"]["rollout"]["max_tokens"] = 24
    values["checkpoint"] = {"python": str(interpreter(tmp_path / "bin")), "device": "cpu", "start_s": 120}
    config = Config.model_validate(values)
    seeds = pool(config)
    run(config, steps=("label", "export_rl"))
    solved = {seed_id for seed_id, _, _, solved in seeds if solved}
    rows = select(config, "SELECT seed_id, policy, k, passes, level FROM complexity")
    assert {row[0] for row in rows} == solved
    assert {row[1:] for row in rows} == {(policy_id(address, config), 2, 0, 2)}
    assert policy_id(address, config).startswith("gog-tiny-merged@")
    assert number(config, "SELECT count(*) FROM rejects WHERE reason = 'label.unsolvable'") == len(seeds) - len(solved)
    assert {row["level"] for row in exported(config, "rl")} == {2}
    told = f"FROM events WHERE purpose = 'label' AND provider = '{policy_id(address, config)}'"
    assert number(config, f"SELECT count(*) {told} AND failure IS NOT NULL") == 0
    assert number(config, f"SELECT min(prompt_tokens) {told}") > 100
    assert 1 <= number(config, f"SELECT max(completion_tokens) {told}") <= 24
    assert list((Path(config.lake) / "logs").glob("checkpoint-*.log"))
    check_nothing_lost(config, SEEDS)
