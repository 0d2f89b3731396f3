"""`gog index`: a local search world out of pictures and pages, a run over it, and the index of benchmarks."""

import asyncio
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from calling import Gog
from fakes import MemoryImages
from packed_files import article, tar, zim
from PIL import Image
from tiny_encoders import picture_encoder, text_encoder

from gog.transforms.services.gateway.retry import Retry
from gog.transforms.services.search.corpus import Corpus
from gog.transforms.services.search.gallery import Gallery


def picture(number: int) -> bytes:
    """A picture of stripes, each number another."""
    image = Image.new("RGB", (160, 120), (250, 250, 250))
    for x in range(160):
        for y in range(120):
            if (x // (4 + 7 * number) + y // (30 - 4 * number)) % 2:
                image.putpixel((x, y), (40 * number, 200 - 30 * number, 90))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for number, name in enumerate(["red_barn.png", "more/lake-at-night.png", "mill.PNG"]):
        (folder / name).write_bytes(picture(number))
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("no picture either")
    return folder


LINES = [
    {
        "image": "red_barn.png",
        "title": "The red barn",
        "text": "A barn in Vermont, built in 1890.",
        "url": "https://a/barn",
    },
    {"title": "Lakes", "text": "Lakes freeze from the top."},
    {"image": "none.png", "text": "A picture that is missing, of a windmill."},
    {"image": "red_barn.png", "text": "The same barn again, in winter."},
]
BAD = ['{"broken', "[1]", '{"url": "https://nothing"}', '{"image": "../../etc/passwd"}', '{"title": 5, "text": "x"}']


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    file = tmp_path / "texts.jsonl"
    file.write_text("\n".join([*map(json.dumps, LINES), *BAD]) + "\n")
    return file


def search_pictures(folder: Path, data: bytes) -> Any:
    images = MemoryImages()
    return asyncio.run(Gallery.open(folder / "gallery", images).search(images.put(data, "png"), 3))


def search_text(folder: Path, query: str) -> Any:
    return asyncio.run(Corpus.open(folder / "corpus").search(query, 3))


def test_pictures_and_texts_are_found(gog: Gog, photos: Path, texts: Path, tmp_path: Path) -> None:
    done = gog("index", "build", "--images", photos, "--texts", texts, "--out", tmp_path / "index")
    assert done.code == 0
    barn = search_pictures(tmp_path / "index", picture(0))[0]
    assert (barn.title, barn.url, barn.snippet) == ("The red barn", "https://a/barn", LINES[0]["text"])
    lake = search_pictures(tmp_path / "index", picture(1))[0]
    assert (lake.title, lake.url) == ("lake at night", "more/lake-at-night.png")
    assert search_text(tmp_path / "index", "Vermont barn 1890")[0].url == "https://a/barn"
    assert search_text(tmp_path / "index", "frozen lakes freeze")[0].title == "Lakes"
    assert search_text(tmp_path / "index", "windmill"), "its picture is missing, its text is not"


def test_what_was_left_out_is_counted_and_named(gog: Gog, photos: Path, texts: Path, tmp_path: Path) -> None:
    args = ("index", "build", "--images", photos, "--texts", texts, "--out", tmp_path / "index")
    found = json.loads(gog(*args, "--json").out)
    assert (found["pictures"], found["untitled"], found["pages"]) == (3, 2, 4)
    where = {skipped["where"] for skipped in found["skipped"]}
    assert where == {"broken.jpg", *(f"texts.jsonl#{number}" for number in (3, 5, 6, 7, 8, 9))}
    assert all(skipped["why"] for skipped in found["skipped"])
    printed = gog(*args).out
    assert "3 pictures, 2 of them by file name alone" in printed
    assert printed.count("left out: ") == len(where)
    assert "corpus:" in printed


def test_the_same_input_makes_the_same_index(gog: Gog, photos: Path, texts: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert gog("index", "build", "--images", photos, "--texts", texts, "--out", tmp_path / name / "index").code == 0
    for part in ("gallery", "corpus"):
        one, other = ((tmp_path / name / "index" / part / "index.json").read_bytes() for name in ("a", "b"))
        assert one == other


def test_pictures_alone_and_texts_alone(gog: Gog, photos: Path, texts: Path, tmp_path: Path) -> None:
    assert gog("index", "build", "--images", photos, "--out", tmp_path / "p").code == 0
    assert search_pictures(tmp_path / "p", picture(2))[0].title == "mill"
    assert search_text(tmp_path / "p", "mill") == ()
    done = gog("index", "build", "--texts", texts, "--out", tmp_path / "t")
    assert done.code == 0
    assert "--images" in done.out, "lines that name pictures are told of"


def test_nothing_to_index(gog: Gog, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = gog("index", "build", "--images", tmp_path / "empty", "--out", tmp_path / "index")
    assert done.code == 1
    assert "nothing could be indexed" in done.error
    assert "In a config" not in done.out
    assert gog("index", "build", "--images", tmp_path / "none").code == 2
    assert gog("index", "build", "--texts", tmp_path / "none.jsonl").code == 2


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "pages"
    (folder / "more").mkdir(parents=True)
    (folder / "lake.md").write_text(
        "---\ntitle: Lake Ohrid\n---\n\n# Overview\n\nThe *lake* is the oldest\nof **Europe**.\n\n"
        "- It is [deep](https://d).\n"
    )
    (folder / "bridge.txt").write_text("The bridge was\nfinished in 1894.\n\nIt opens for ships.\n")
    (folder / "more" / "mill.html").write_text(
        "<html><head><title>Mills &amp; wind</title></head><body><article><p>A mill grinds\ncorn into flour, all\n"
        "the year round.</p></article></body></html>"
    )
    (folder / "captions.jsonl").write_text(json.dumps({"title": "Owls", "text": "Owls hunt at night."}) + "\n")
    (folder / "scan.docx").write_bytes(b"PK")
    (folder / ".hidden.md").write_text("# Secret")
    return folder


def test_folders_of_documents_are_pages(gog: Gog, documents: Path, tmp_path: Path) -> None:
    found = json.loads(gog("index", "build", "--texts", documents, "--out", tmp_path / "i", "--json").out)
    assert found["pages"] == 4
    assert [(left["where"], left["why"][:18]) for left in found["skipped"]] == [(str(documents), "1 files with .docx")]
    hits = {
        query: search_text(tmp_path / "i", query)[0] for query in ("oldest Europe", "finished", "corn flour", "owls")
    }
    assert [(hit.title, hit.url) for hit in hits.values()] == [
        ("Lake Ohrid", "lake.md"),
        ("bridge", "bridge.txt"),
        ("Mills & wind", "more/mill.html"),
        ("Owls", "captions.jsonl#1"),
    ]
    assert hits["oldest Europe"].snippet == "Overview The lake is the oldest of Europe. It is deep."
    assert hits["finished"].snippet == "The bridge was finished in 1894. It opens for ships."
    assert "grinds corn into flour, all the year round." in hits["corn flour"].snippet
    one = json.loads(gog("index", "build", "--texts", documents / "lake.md", "--out", tmp_path / "o", "--json").out)
    assert one["pages"] == 1
    both = ("--texts", documents / "lake.md", "--texts", documents / "captions.jsonl")
    assert json.loads(gog("index", "build", *both, "--out", tmp_path / "b", "--json").out)["pages"] == 2


def test_a_title_alone_does_not_hide_the_page_that_it_names(gog: Gog, photos: Path, tmp_path: Path) -> None:
    lines = [
        {"image": "mill.PNG", "title": "Old Mill", "url": "https://a/mill"},
        {"title": "Old Mill", "text": "It grinds corn. The owner is called Ada.", "url": "https://a/mill"},
        {"image": "red_barn.png", "title": "Red barn"},
        {"title": "red barn", "text": "It was built by Bob.", "url": "https://a/barn"},
        {"image": "more/lake-at-night.png", "title": "Lake at night"},
    ]
    (tmp_path / "t.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    args = ("--images", photos, "--texts", tmp_path / "t.jsonl", "--out", tmp_path / "i")
    found = json.loads(gog("index", "build", *args, "--json").out)
    assert (found["pictures"], found["captions"], found["matched"], found["pages"]) == (3, 3, 3, 3)
    assert "Ada" in search_text(tmp_path / "i", "Old Mill")[0].snippet
    assert "Bob" in search_text(tmp_path / "i", "red barn")[0].snippet
    assert search_text(tmp_path / "i", "lake night")[0].title == "Lake at night", "no other page has that name"
    assert search_pictures(tmp_path / "i", picture(2))[0].title == "Old Mill"


def test_what_was_asked_for_and_did_not_come_is_exit_code_1(gog: Gog, photos: Path, tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"
    file.write_text(json.dumps({"image": "photos/mill.PNG", "title": "Mill", "text": "A mill."}) + "\n")
    done = gog("index", "build", "--images", photos, "--texts", file, "--out", tmp_path / "i")
    assert done.code == 1
    assert "none of 1 pictures that the texts name is in" in done.error
    file.write_text("\n")
    done = gog("index", "build", "--images", photos, "--texts", file, "--out", tmp_path / "i")
    assert done.code == 1
    assert "no page could be indexed" in done.error
    (tmp_path / "empty").mkdir()
    file.write_text(json.dumps({"text": "A mill."}) + "\n")
    done = gog("index", "build", "--images", tmp_path / "empty", "--texts", file, "--out", tmp_path / "i")
    assert done.code == 1
    assert "no picture could be indexed" in done.error


def test_photographs_of_the_news_find_themselves(gog: Gog, tmp_path: Path) -> None:
    if not os.environ.get("GOG_REAL_DATA"):
        pytest.skip("GOG_REAL_DATA is not set")
    news = Path(os.environ["GOG_REAL_DATA"]) / "livevqa" / "News"
    lines = [
        {"image": item["img_path"], "title": item["source"], "text": item["level1_qa"]["question"], "url": item["id"]}
        for item in json.loads((news / "benchmark.json").read_text())
    ]
    (tmp_path / "captions.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    args = ("--images", news / "News_imgs", "--texts", tmp_path / "captions.jsonl", "--out", tmp_path / "index")
    found = json.loads(gog("index", "build", *args, "--json").out)
    assert (found["pictures"], found["pages"], found["untitled"], found["skipped"]) == (30, 30, 0, [])
    for line in lines:
        picture_hits = search_pictures(tmp_path / "index", (news / "News_imgs" / line["image"]).read_bytes())
        assert (picture_hits[0].url, picture_hits[0].score) == (line["url"], 1.0)
        assert search_text(tmp_path / "index", line["text"])


def test_the_benchmarks_that_a_run_is_kept_apart_from(gog: Gog, tmp_path: Path) -> None:
    asked = [
        {"image_url": "https://a/1.jpg", "question": "What is the name of his third child?", "answer": ["none"],
         "question_id": "en1", "golden_query": "third child"},
        {"image_url": "https://a/2.jpg", "question": "When did Marie Curie in Paris win her second Nobel Prize?",
         "answer": ["1911"], "question_id": "en2", "golden_query": "second Nobel Prize"},
    ]  # fmt: skip
    (tmp_path / "DynVQA_en.202502.jsonl").write_text("\n".join(map(json.dumps, asked)))
    config = tmp_path / "apart.yaml"
    path = tmp_path / "DynVQA_en.202502.jsonl"
    config.write_text(f"decontaminate: {{against: [{{benchmark: dynvqa, path: {path}}}]}}\n")
    done = gog("index", "benchmarks", "-c", config, "--lake", tmp_path / "lake", "--json")
    line = {"benchmark": "dynvqa", "rows": 2, "by_image": 0, "by_question": 1, "by_neither": 1}
    assert json.loads(done.out) == [line]
    assert "by neither" in gog("index", "benchmarks", "-c", config, "--lake", tmp_path / "lake").out


def test_without_benchmarks_in_the_config_it_says_what_to_add(gog: Gog, tmp_path: Path) -> None:
    config = tmp_path / "none.yaml"
    config.write_text("")
    done = gog("index", "benchmarks", "-c", config, "--lake", tmp_path / "lake")
    assert done.code == 2
    assert "decontaminate" in done.error


def test_an_index_with_encoders_finds_what_is_alike_and_what_is_meant(gog: Gog, photos: Path, tmp_path: Path) -> None:
    seen, read = picture_encoder(tmp_path / "seen"), text_encoder(tmp_path / "read")
    (tmp_path / "t.jsonl").write_text(json.dumps({"title": "Pets", "text": "A feline sleeps."}) + "\n")
    args = ("--images", photos, "--texts", tmp_path / "t.jsonl", "--out", tmp_path / "i")
    encoders = ("--image-encoder", f"onnx:{seen}", "--text-encoder", f"onnx:{read}")
    done = gog("index", "build", *args, *encoders)
    assert done.code == 0
    assert "mean colours" not in done.out
    assert search_pictures(tmp_path / "i", picture(0))[0].title == "red barn"
    assert search_text(tmp_path / "i", "cat")[0].title == "Pets"
    found = json.loads(gog("index", "build", *args, *encoders, "--json").out)
    assert found["encoder_of_images"].startswith("onnx:model@")
    plain = gog("index", "build", *args)
    assert "mean colours" in plain.out
    assert "--image-encoder" in plain.out
    assert search_text(tmp_path / "i", "cat") == ()


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("onnx:none.onnx", "there is no such file"),
        ("magic:", "is no address of an encoder"),
        ("http://127.0.0.1:9/v1", "the model behind a #"),
        ("TEXTS", "takes texts, not pictures"),
    ],
)
def test_an_encoder_that_is_none_is_wrong_use(gog: Gog, photos: Path, tmp_path: Path, address: str, says: str) -> None:
    if address == "TEXTS":
        address = f"onnx:{text_encoder(tmp_path / 'read')}"
    done = gog("index", "build", "--images", photos, "--out", tmp_path / "i", "--image-encoder", address)
    assert done.code == 2
    assert says in done.error
    assert not (tmp_path / "i").exists()


def test_an_embeddings_server_that_is_not_there_is_exit_code_1(
    gog: Gog, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gog.transforms.services.search.vector_table.RETRY", Retry(attempts=1))
    address = "http://127.0.0.1:9/v1#m"
    done = gog("index", "build", "--images", photos, "--out", tmp_path / "i", "--image-encoder", address)
    assert done.code == 1
    assert "network" in done.error


def test_tars_bring_pictures_and_pages_and_zim_files_pages(gog: Gog, tmp_path: Path) -> None:
    said = json.dumps({"title": "The red barn", "text": "It stands in Vermont.", "url": "https://a/barn"}).encode()
    shards = tmp_path / "shards"
    shards.mkdir()
    tar(shards / "0.tar", [("a.png", picture(0)), ("a.json", said), ("b.png", picture(1)), ("c.mp3", b"")])
    tar(shards / "1.tar", [("d.png", picture(2)), ("d.txt", b"A mill grinds."), ("e.jpg", b"no picture")])
    (shards / "bare.jsonl").write_text('{"title": "The red barn"}\n{"title": "Elsewhere"}\n')
    done = gog("index", "build", "--texts", shards, "--out", tmp_path / "index", "--json")
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert [report[key] for key in ("pictures", "untitled", "pages")] == [3, 3, 3]
    assert {(one["where"], one["why"]) for one in report["skipped"]} >= {
        ("0.tar/c", "neither a picture nor a text: mp3")
    }
    barn = search_pictures(tmp_path / "index", picture(0))[0]
    assert (barn.title, barn.url, barn.snippet) == ("The red barn", "https://a/barn", "It stands in Vermont.")
    assert search_pictures(tmp_path / "index", picture(1))[0].url == "0.tar/b.png"
    assert search_text(tmp_path / "index", "Vermont")[0].url == "https://a/barn"

    alone = gog("index", "build", "--texts", tar(tmp_path / "p.tar", [("b.png", picture(1))]), "--out", tmp_path / "p")
    assert alone.code == 0, alone.err

    pytest.importorskip("libzim", reason="the extra zim is not installed")
    wiki = zim(
        tmp_path / "wiki.zim", [("Bergen", "Bergen", article("Bergen", "A city between hills." * 9), "text/html")]
    )
    done = gog("index", "build", "--texts", wiki, "--out", tmp_path / "wiki")
    assert done.code == 0, done.err
    assert search_text(tmp_path / "wiki", "hills")[0].url == "https://en.wikipedia.org/wiki/Bergen"
