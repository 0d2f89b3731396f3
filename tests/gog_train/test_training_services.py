"""Searches out of local indexes and stores, as rollouts use them; and judges, as the reward asks them."""

from dataclasses import replace
from pathlib import Path

import pytest
from rolling import answer, call, rl_rows, row_of, seed

from gog.pipelines.lake.lake import Lake
from gog.schemas import FailureClass
from gog.transforms.atlas.world import atlas_world
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.episode.tools import BUILT_IN
from gog.transforms.images import CropSettings
from gog.transforms.passing_images import PassingImages
from gog.transforms.services.loop import run_on_loop
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.search.reranking import Judged
from gog.transforms.services.search.settings import SearchSettings
from gog.transforms.services.search.upload import UploadSettings
from gog.transforms.services.store.records import Mode
from gog.transforms.services.store.sqlite import Store
from gog.transforms.verify.judge import JudgeQuestion, JudgeReply, Ruling
from gog_train.environment import Ending, Rollout
from gog_train.pictures import FoundPictures, KeptPictures
from gog_train.services import (
    RULES,
    Addresses,
    StoreMode,
    TrainingServices,
    check_judge,
    open_judge,
    open_services,
)
from gog_train.settings import TrainingError

EPISODE = EpisodeSettings().in_frame(BACKBONES["qwen3-vl"].spec)
SEARCH = call("text_search", query="capital of Kenya")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the bundled world's indexes."""
    return atlas_world(tmp_path_factory.mktemp("world"))


def opened(world: Path, folder: Path, mode: StoreMode) -> TrainingServices:
    addresses = Addresses(
        f"corpus:{world}", f"gallery:{world}", (RULES,), folder / "calls", store=folder / "store", store_mode=mode
    )
    return open_services(addresses, CropSettings(), EPISODE)


def played(services: TrainingServices, turns: list[str], episode: EpisodeSettings = EPISODE) -> Rollout:
    rollout = Rollout(row_of(rl_rows(episode, [seed()])), services.tools, services.images, episode)
    for turn in turns:
        if not rollout.over:
            run_on_loop(rollout.turn(turn))
    return rollout


def test_an_episode_that_folds_is_not_trained_on(world: Path, tmp_path: Path) -> None:
    addresses = Addresses(f"corpus:{world}", f"gallery:{world}", (RULES,), tmp_path)
    with pytest.raises(TrainingError, match=r"episode\.fold is 8: a rollout in training is one sequence"):
        open_services(addresses, CropSettings(), EPISODE.model_copy(update={"fold": 8}))


def test_an_episode_that_asks_with_words_needs_an_index_that_reads(world: Path, tmp_path: Path) -> None:
    addresses = Addresses(f"corpus:{world}", f"gallery:{world}", (RULES,), tmp_path)
    with pytest.raises(TrainingError, match=r"^episode\.image_query: words find no pictures in gallery:atlas@"):
        open_services(addresses, CropSettings(), EPISODE.model_copy(update={"image_query": True}))


def test_hits_are_in_the_order_that_the_run_had(world: Path, tmp_path: Path) -> None:
    search = SearchSettings(rerank="judge")
    addresses = Addresses(f"corpus:{world}", f"gallery:{world}", (RULES,), tmp_path, search=search)
    with pytest.raises(TrainingError, match=r"search\.rerank: the run's judge put hits in order: set `judge`"):
        open_services(addresses, CropSettings(), EPISODE)
    with pytest.raises(TrainingError, match=r"search\.rerank: onnx:none: there is no such file"):
        open_services(replace(addresses, search=SearchSettings(rerank="onnx:none")), CropSettings(), EPISODE)
    judged = open_services(replace(addresses, judges=("http://127.0.0.1:9/v1#j",)), CropSettings(), EPISODE)
    assert isinstance(judged.tools.text_search, Judged)
    judged.close()


LOOKING = EpisodeSettings(tools=(*BUILT_IN, "look")).in_frame(BACKBONES["qwen3-vl"].spec)


def test_pictures_of_results_stay_beside_a_store_that_records(world: Path, tmp_path: Path) -> None:
    """A search that the store answers brings none along, and those of a batch are forgotten after it."""
    turns = [call("image_search"), call("look", result=1), answer("Nairobi")]
    told = []
    for mode in ("record", "record", "replay"):
        services = opened(world, tmp_path, mode)
        for _ in range(2):
            rollout = played(services, turns, LOOKING)
            assert rollout.ending is Ending.ANSWERED
            told.append(rollout.episode.messages)
            services.images.clear()
        services.close()
    assert all(messages == told[0] for messages in told)
    (kept,) = {message.images[0] for messages in told for message in messages[2:] if message.images}
    (file,) = (tmp_path / "images" / kept[:2]).iterdir()
    file.write_bytes(b"damaged")
    services = opened(world, tmp_path, "replay")
    with pytest.raises(KeyError):
        services.images.read(kept)
    assert not services.images.has("../../calls/passwords")
    services.close()


def test_a_picture_that_is_being_kept_is_where_a_run_of_the_lake_clears_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []
    write = Path.write_bytes

    def seen(path: Path, data: bytes) -> int:
        written.append(path)
        return write(path, data)

    lake = Lake(tmp_path)
    monkeypatch.setattr(Path, "write_bytes", seen)
    pictures = KeptPictures(tmp_path / "images")
    name = FoundPictures(pictures).put(b"a picture", "png")
    assert [path.parent for path in written] == [lake.images.passing]
    pictures.clear()
    assert lake.images.read(name) == pictures.read(name) == b"a picture"


def test_a_store_replays_what_was_recorded_and_nothing_else(world: Path, tmp_path: Path) -> None:
    turns = [SEARCH, call("image_search"), call("gaze", bbox_2d=[0, 0, 500, 1000]), answer("Nairobi")]
    recording = opened(world, tmp_path, "record")
    first = played(recording, turns)
    recording.close()
    replaying = opened(world, tmp_path, "replay")
    again, missed = played(replaying, turns), played(replaying, [call("text_search", query="something else")])
    replaying.close()
    assert first.ending is again.ending is Ending.ANSWERED
    assert "Nairobi" in first.episode.messages[3].text
    assert again.episode.messages == first.episode.messages
    assert missed.ending is Ending.MISSED
    assert missed.driven.failure is not None
    assert missed.driven.failure.failure is FailureClass.STORE_MISS


def test_live_searches_leave_no_answers_behind(world: Path, tmp_path: Path) -> None:
    services = opened(world, tmp_path, "live")
    assert played(services, [SEARCH, answer("Nairobi")]).ending is Ending.ANSWERED
    (store,) = services.stores
    store.flush()
    assert store.count() == 0
    assert [event.kind for event in store.events("")] == ["text_search"]
    services.close()
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(("mode", "lends"), [("record", True), ("record", False), ("live", True)])
def test_pictures_are_lent_where_a_store_keeps_what_comes_of_it(
    mode: StoreMode, lends: bool, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Google Lens takes addresses: without a store every picture would be lent, and paid for, anew."""
    monkeypatch.setenv("SERPAPI_API_KEY", "none")
    uploader = UploadSettings(put="https://example.org/{name}", url="https://example.org/{name}") if lends else None
    addresses = Addresses(
        f"corpus:{world}",
        "serpapi:",
        (RULES,),
        tmp_path / "calls",
        store=tmp_path / "store",
        store_mode=mode,
        uploader=uploader,
    )
    if lends and mode == "record":
        open_services(addresses, CropSettings(), EPISODE).close()
        return
    with pytest.raises(TrainingError, match=r"lends pictures to the web: .*`store_mode: record` with an `uploader`"):
        open_services(addresses, CropSettings(), EPISODE)


def test_a_panel_judges_a_reward_and_each_member_is_tried(tmp_path: Path) -> None:
    judges = ("planner:skill=1", "planner:skill=0.9", "planner:skill=0.8")
    addresses = Addresses("", "", judges, tmp_path / "calls")
    question = JudgeQuestion("answer", "What is the capital of Kenya?", ("Nairobi",), "In Nairobi")
    with Store(tmp_path / "calls", Mode.LIVE) as calls:
        judge = open_judge(addresses, calls, PassingImages())
        assert judge is not None
        check_judge(judge)

        async def asked() -> JudgeReply:
            return await judge(question)

        reply = run_on_loop(asked())
        assert (len(reply.votes), reply.ruling) == (3, Ruling.YES)
        with pytest.raises(TrainingError, match="each has to be another judge"):
            open_judge(replace(addresses, judges=judges[:1] * 2), calls, PassingImages())


def test_a_judge_that_calls_all_right_or_does_not_answer_is_none() -> None:
    async def flattering(question: JudgeQuestion) -> JudgeReply:
        return JudgeReply(Ruling.YES, "yes", "judge:1")

    async def down(question: JudgeQuestion) -> JudgeReply:
        raise ServiceError(FailureClass.NETWORK, "refused")

    with pytest.raises(TrainingError, match="asked whether Berlin is the capital of France, it says right"):
        check_judge(flattering)
    with pytest.raises(TrainingError, match="does not answer"):
        check_judge(down)
    check_judge(None)
