"""Episodes of the planner in the bundled world: real scenes, the real machine, the real gallery and corpus."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from fakes import MemoryImages

from gog.prompts import render
from gog.schemas import WHOLE, EpisodeImage, Evidence, Hit, ImagePart, Message, Outcome, TextPart
from gog.transforms.atlas.planner.policy import Planner
from gog.transforms.atlas.rows import encode
from gog.transforms.atlas.scenes import Kind, Scene, compose_scene
from gog.transforms.atlas.world import atlas_world
from gog.transforms.episode import machine
from gog.transforms.episode.machine import Episode, EpisodeSettings
from gog.transforms.episode.tool import ToolRequest, ToolResult
from gog.transforms.image_store import open_image
from gog.transforms.images import CropSettings, cut_crop
from gog.transforms.images import encode as encode_crop
from gog.transforms.services.protocols import ChatRequest, Sampling
from gog.transforms.services.search.corpus import Corpus
from gog.transforms.services.search.gallery import Gallery
from gog.transforms.verify.judge import JudgeQuestion
from gog.transforms.verify.rules import check

SETTINGS = EpisodeSettings()


@dataclass
class World:
    """Scenes by kind and number, and what their tools return, each made once."""

    images: MemoryImages
    gallery: Gallery
    corpus: Corpus
    scenes: dict[tuple[Kind, int, int], tuple[Scene, EpisodeImage]] = field(default_factory=dict)
    results: dict[str, ToolResult] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path) -> "World":
        images, indexes = MemoryImages(), atlas_world(folder)
        return cls(images, Gallery.open(indexes / "gallery", images), Corpus.open(indexes / "corpus"))

    def scene(self, kind: Kind, index: int, seed: int = 5) -> tuple[Scene, EpisodeImage]:
        if (kind, seed, index) not in self.scenes:
            scene = compose_scene(kind, seed, index)
            sha256 = self.images.put(encode(scene), "jpg")
            width, height = scene.image.size
            self.scenes[kind, seed, index] = scene, EpisodeImage(sha256=sha256, width=width, height=height, box=WHOLE)
        return self.scenes[kind, seed, index]

    def run(self, request: ToolRequest, image: EpisodeImage) -> ToolResult:
        key = repr((request.tool.name, request.arguments, request.box, image.sha256))
        if key not in self.results:
            self.results[key] = self._run(request, image)
        return self.results[key]

    def _run(self, request: ToolRequest, image: EpisodeImage) -> ToolResult:
        if request.tool.name == "text_search":
            hits = asyncio.run(self.corpus.search(str(request.arguments["query"]), SETTINGS.top_k))
            return _result(request, hits)
        if request.box is None:
            return _result(request, asyncio.run(self.gallery.search(image.sha256, SETTINGS.top_k)))
        cut, covered = cut_crop(open_image(self.images, image.sha256), request.box, CropSettings())
        sha256 = self.images.put(*encode_crop(cut))
        crop = EpisodeImage(sha256=sha256, width=cut.width, height=cut.height, box=covered)
        return _result(request, asyncio.run(self.gallery.search(sha256, SETTINGS.top_k)), crop)

    def play(
        self,
        planner: Planner,
        question: str,
        image: EpisodeImage,
        *,
        sample: int = 0,
        temperature: float = 0.0,
        settings: EpisodeSettings = SETTINGS,
        hints: str | None = None,
    ) -> Episode:
        """One episode to its end."""
        system, _ = machine.system_prompt(settings, teacher=hints is not None)
        episode = machine.start(settings, question, [image], system, hints=hints)
        while episode.stop is None:
            request = ChatRequest(episode.messages, machine.offered_tools(settings), Sampling(temperature), sample)
            episode = machine.act(episode, planner.reply(request).message)
            if episode.pending is not None:
                episode = machine.observe(episode, self.run(episode.pending, image))
        return episode


def _result(request: ToolRequest, hits: tuple[Hit, ...], crop: EpisodeImage | None = None) -> ToolResult:
    evidence = Evidence(evidence_id="evidence-0", tool=request.tool.name, hits=hits, provider="test")
    return ToolResult(evidence, crop)


def is_right(scene: Scene, answer: str | None) -> bool:
    """Whether the rules accept the answer."""
    asked = scene.asked
    question = JudgeQuestion(
        "answer",
        asked.question,
        asked.answers,
        answer or "",
        answer_type=asked.answer_type,
        answer_unit=asked.unit,
        answer_low=asked.low,
        answer_high=asked.high,
    )
    return answer is not None and check(answer, question, closed=True)[0] is Outcome.CORRECT


def asked_of(image: EpisodeImage, question: str, *, system: str) -> tuple[Message, Message]:
    """System prompt, and the question about image 0."""
    text = render("episode/question", sizes=[(image.width, image.height)], question=question).text
    user = Message(role="user", content=(ImagePart(image=image.sha256), TextPart(text=text)))
    return Message(role="system", content=system), user
