"""A teacher and a judge behind an OpenAI-compatible endpoint, who know the truth of a world of photographs and err.

The teacher gives a wrong answer in `wrong` of the episodes and looks at a wrong place first in `astray` of them. It
goes by the last picture of the question, by what the tools returned and by the note of a composed turn; the judge goes
by the words of its prompt. `knows_places` is whether it can say which search was of what is asked.
"""

import asyncio
import base64
import hashlib
import io
import json
import re
import threading
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import web
from PIL import Image

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Manners:
    """How they behave."""

    wrong: float = 0.1
    astray: float = 0.3
    knows_places: bool = True


class Oracle:
    """Who answers. `folder` is a world's."""

    def __init__(self, folder: Path, manners: Manners) -> None:
        self._manners = manners
        self._truths = [json.loads(line) for line in (folder / "truth.jsonl").read_text().splitlines()]
        self._thumbs = np.stack([_thumb(Image.open(folder / "photos" / truth["image"])) for truth in self._truths])
        self._names = sorted({truth["target"] for truth in self._truths if truth["target"]})
        self.calls = 0

    def app(self) -> web.Application:
        """The endpoint."""
        app = web.Application(client_max_size=1 << 28)
        app.router.add_post("/v1/chat/completions", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.Response:
        self.calls += 1
        body = await request.json()
        message = self._judge(body) if _is_judged(body) else self._teach(body)
        done = "tool_calls" if message.get("tool_calls") else "stop"
        choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": done}
        usage = {"prompt_tokens": 900, "completion_tokens": 60}
        return web.json_response({"choices": [choice], "usage": usage, "model": "oracle"})

    def _judge(self, body: dict[str, Any]) -> dict[str, Any]:
        prompt = _text(body["messages"][-1]["content"])
        if prompt.startswith("You judge an answer"):
            accepted = re.search(r"Accepted answers: (.*)", prompt)
            candidate = re.search(r"Answer to judge: (.*)", prompt)
            assert accepted is not None
            assert candidate is not None
            right = any(_plain(form) in _plain(candidate[1]) for form in accepted[1].split(" | "))
            return {"content": json.dumps({"verdict": "correct" if right else "wrong"})}
        if prompt.startswith("You judge whether evidence"):
            answer, _, evidence = prompt.partition("Answer: ")[2].partition("\nEvidence:")
            return {"content": json.dumps({"grounded": _plain(answer) in _plain(evidence)})}
        if not self._manners.knows_places:
            return {"content": "I cannot help with that."}
        return {"content": self._which(prompt)}

    def _which(self, prompt: str) -> str:
        """The look at the place that the question names, by the words for places in the prompt."""
        question = re.search(r"Question: (.*)", prompt)
        assert question
        place = re.search(r"at the ((?:top|middle|bottom) (?:left|centre|right)|centre) of", question[1])
        looks = re.findall(r"^(\d+)\. ([^:]*):", prompt, re.MULTILINE)
        wanted = place[1] if place else "whole image"
        named = [number for number, words in looks if wanted in words]
        return json.dumps({"look": int(named[0]) if len(named) == 1 else None})

    def _teach(self, body: dict[str, Any]) -> dict[str, Any]:
        messages = body["messages"]
        truth = self._truth(messages)
        if truth is None:
            return {"content": "<answer>I see no picture.</answer>"}
        opening = json.dumps([truth["image"], body.get("seed"), body.get("temperature")])
        draws = np.random.default_rng(int.from_bytes(hashlib.sha256(opening.encode()).digest()[:8]))
        errs, strays = draws.random() < self._manners.wrong, draws.random() < self._manners.astray
        turns = [message for message in messages if message["role"] == "assistant"]
        returned = _returned(messages)
        note = _text(messages[-1]["content"])
        if not body.get("tools"):
            answer = truth["answer"] if not truth["target"] or draws.random() < 0.1 else self._other(truth, draws)
            return {"content": f"I answer by what I see. <answer>{answer}</answer>"}
        if note.startswith("Write the next turn of this episode."):
            return self._along(note, truth)
        answer = self._other(truth, draws) if errs else truth["answer"]
        if not truth["target"]:
            return {"content": f"I count what is there. <answer>{answer}</answer>"}
        calls = [call["function"]["name"] for turn in turns for call in turn.get("tool_calls") or ()]
        named = any(_plain(truth["target"]) in _plain(text) for text in returned)
        if not turns:
            if truth["box"] is None:
                return _call("One thing fills the picture, so I search with all of it.", "image_search", {})
            astray = strays and truth["others"]
            box = truth["others"][int(draws.integers(len(truth["others"])))] if astray else truth["box"]
            return _call("The question is about one part of the picture.", "gaze", _gaze(box, truth))
        if not named and truth["box"] is not None and calls == ["gaze"] and strays:
            said = "Evidence: off target. That is another picture than the one that is asked about."
            return _call(said, "gaze", _gaze(truth["box"], truth))
        worth = "useful. It names what I look for." if named else "ambiguous. It does not name what I see."
        if truth["hop"] and "text_search" not in calls:
            return _call(f"Evidence: {worth}", "text_search", {"query": f"{truth['target']} {_topic(truth)}"})
        return {"content": f"Evidence: {worth}\n<answer>{answer}</answer>"}

    def _along(self, note: str, truth: dict[str, Any]) -> dict[str, Any]:
        action = note.splitlines()[1]
        judged = re.search(r'begin it with "Evidence: ([a-z ]+)\."', note)
        said = f"Evidence: {judged[1]}. That is what came back. " if judged else "I look at the picture first. "
        if action == "answer":
            return {"content": f"{said}<answer>{truth['answer']}</answer>"}
        name, _, arguments = action.partition(" ")
        if name == "text_search":
            return _call(said, name, {"query": f"{truth['target']} {_topic(truth)}"})
        return _call(said, name, {**json.loads(arguments or "{}"), **({"label": "thing"} if name == "gaze" else {})})

    def _truth(self, messages: list[dict[str, Any]]) -> dict[str, Any] | None:
        """What is known of the question's picture."""
        for message in messages:
            parts = message["content"] if isinstance(message["content"], list) else []
            for part in parts:
                if part.get("type") == "image_url":
                    data = base64.b64decode(part["image_url"]["url"].partition(",")[2])
                    far = np.abs(self._thumbs - _thumb(Image.open(io.BytesIO(data)))).mean(axis=(1, 2, 3))
                    text = _text(message["content"])
                    asked = [n for n in np.argsort(far)[:5] if self._truths[n]["question"] in text]
                    return self._truths[asked[0]] if asked else None
        return None

    def _other(self, truth: dict[str, Any], draws: np.random.Generator) -> str:
        """A wrong answer."""
        if truth["answer"].isdigit():
            return str(int(truth["answer"]) + 1)
        return next(
            name
            for name in map(str, draws.permutation(self._names))
            if _plain(name) not in _plain(truth["answer"]) and _plain(truth["answer"]) not in _plain(name)
        )


def serve(oracle: Oracle) -> str:
    """Start the endpoint on a free port, in a thread; its address."""
    ready = threading.Event()
    address: list[str] = []

    async def go() -> None:
        runner = web.AppRunner(oracle.app())
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        address.append(f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/v1")  # type: ignore[attr-defined]
        ready.set()
        await asyncio.Event().wait()

    threading.Thread(target=lambda: asyncio.run(go()), daemon=True).start()
    ready.wait(10)
    return address[0]


def _is_judged(body: dict[str, Any]) -> bool:
    return len(body["messages"]) == 1 and isinstance(body["messages"][0]["content"], str)


def _returned(messages: list[dict[str, Any]]) -> list[str]:
    """The first hit of each call: what is behind it only looks alike."""
    texts = [_text(message["content"]) for message in messages if message["role"] == "tool"]
    return [text.partition("[1]")[2].partition("[2]")[0] for text in texts]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content or () if part.get("type") == "text")


def _plain(text: str) -> str:
    """Letters and digits alone, small and without accents."""
    folded = unicodedata.normalize("NFKD", text).lower()
    return "".join(char for char in folded if char.isalnum())


def _topic(truth: dict[str, Any]) -> str:
    return "country" if "country" in truth["question"] else "known for"


def _gaze(box: Box, truth: dict[str, Any]) -> dict[str, Any]:
    return {"bbox_2d": [round(1000 * value) for value in box], "label": "the one that is asked about", "image": 0}


def _call(text: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"content": text, "tool_calls": [{"id": "call_1", "type": "function", "function": function}]}


def _thumb(image: Image.Image) -> np.ndarray[Any, Any]:
    return np.asarray(image.convert("RGB").resize((24, 24)), dtype=np.float32)
