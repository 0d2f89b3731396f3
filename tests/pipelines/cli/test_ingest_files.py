"""`gog ingest` over files as people have them: each gives what has to come of it, or one line that says what to do.

`rows` holds files with what has to come of each in `expected.json`; the others are made here.
"""

import base64
import bz2
import datetime
import gzip
import io
import json
import lzma
import tarfile
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import datasets
import published
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from calling import Done, Gog

from gog.pipelines.config.config import parse_config
from gog.pipelines.lake.lake import Lake
from gog.pipelines.steps.ingest import Seeds
from gog.schemas import Reject, Seed
from gog.transforms.ingest.seeds import Ingested, to_seed

FILES = Path(__file__).parent / "rows"
EXPECTED: dict[str, dict[str, Any]] = json.loads((FILES / "expected.json").read_text())
MAPPING = {"question": "question", "answers": ["answer"], "image": "image"}
PICTURE = published.picture(1)


def config(folder: Path, source: dict[str, Any], **mapping: Any) -> dict[str, Any]:
    made = {"dataset": "d", "mapping": MAPPING | mapping} | source
    return {"run": "r", "lake": str(folder / "lake"), "source": made}


def ingest(gog: Gog, folder: Path, source: dict[str, Any], **mapping: Any) -> Done:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config(folder, source, **mapping)))
    return gog("ingest", "-c", path)


def refused(gog: Gog, folder: Path, source: dict[str, Any], **mapping: Any) -> str:
    done = ingest(gog, folder, source, **mapping)
    assert done.code == 2
    return done.error


def outcomes(folder: Path, source: dict[str, Any], **mapping: Any) -> list[Ingested | Reject]:
    """What becomes of every row, in order, without a pipeline around it."""
    seeds = Seeds.of(parse_config(config(folder, source, **mapping)))
    rows = [row for spec in seeds.rows.shards() for row in seeds.rows.read_shard(spec)]
    return [to_seed(row, seeds.mapping, dataset=seeds.dataset, read_image=seeds.read_image) for row in rows]


def ingested(folder: Path, source: dict[str, Any], **mapping: Any) -> list[Ingested]:
    """The seeds, in order; no row may have been rejected."""
    found = outcomes(folder, source, **mapping)
    assert [one for one in found if isinstance(one, Reject)] == []
    return [one for one in found if isinstance(one, Ingested)]


def answers(folder: Path, source: dict[str, Any], **mapping: Any) -> list[tuple[str, ...]]:
    return [one.seed.answers for one in ingested(folder, source, **mapping)]


@pytest.mark.parametrize("name", EXPECTED)
def test_files_of_rows(gog: Gog, tmp_path: Path, name: str) -> None:
    kind = next(part for part in name.split(".") if part in ("csv", "tsv", "jsonl"))
    assert ingest(gog, tmp_path, {"kind": kind, "path": str(FILES / name)}).code == 0
    lake = Lake(tmp_path / "lake", create=False)
    seeds = list(lake.read_table("r", "seeds", Seed, "ingest", 0))
    rejects = list(lake.read_table("r", "rejects", Reject, "ingest", 0))
    expected = EXPECTED[name]
    if "seeds" in expected:
        assert sorted(seed.question for seed in seeds) == sorted(expected["seeds"])
    if "answers" in expected:
        assert [list(seed.answers) for seed in seeds] == expected["answers"]
    if name == "picture_forms.jsonl":
        assert {reject.reason for reject in rejects} <= {"ingest.near_duplicate"}
        assert (len(seeds) + len(rejects), len({seed.image_sha256 for seed in seeds})) == (6, 1)
    else:
        assert len(rejects) == expected.get("rejected_rows", 0)
        assert all("line 2" in reject.detail for reject in rejects)


def row(number: int, **changes: Any) -> dict[str, Any]:
    return {"question": f"What is {number}?", "answer": f"thing {number}", "image": f"{number}.jpg"} | changes


def pictures(folder: Path, count: int = 3) -> None:
    for number in range(count):
        (folder / f"{number}.jpg").write_bytes(published.picture(number))


def lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in rows)


def zstd(data: bytes) -> bytes:
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as packed:
        packed.write(data)
    packed_data: bytes = out.getvalue().to_pybytes()
    return packed_data


def parquet(rows: list[dict[str, Any]], **more: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, **more), out)
    return out.getvalue()


def tar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return out.getvalue()


ROWS = [row(0), row(1), row(2)]
THREE = [("thing 0",), ("thing 1",), ("thing 2",)]
CSV = "question,answer,image\n" + "".join(f"{','.join(each.values())}\n" for each in ROWS)
SHARD = {
    name: data
    for n in range(3)
    for name, data in {
        f"{n}.mask.png": b"no picture",
        f"._{n}.png": b"of a Mac",
        f"{n}.jpg": published.picture(n),
        f"{n}.json": "\ufeff".encode() + json.dumps(row(n)).encode(),
    }.items()
}
KINDS = {
    "jsonl": lines(ROWS),
    "json": json.dumps(ROWS).encode(),
    "csv": CSV.encode(),
    "tsv": CSV.replace(",", "\t").encode(),
    "parquet": parquet(ROWS),
    "webdataset": tar(SHARD),
}
IN_TAR = {"question": "json.question", "answers": ["json.answer"], "image": "image"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("suffix", "pack"),
    [("", bytes), (".gz", gzip.compress), (".zst", zstd), (".bz2", bz2.compress), (".xz", lzma.compress)],
)
def test_every_kind_compressed(tmp_path: Path, kind: str, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    pictures(tmp_path)
    path = tmp_path / f"rows.{kind}{suffix}"
    path.write_bytes(pack(KINDS[kind]))
    mapping = IN_TAR if kind == "webdataset" else {}
    assert answers(tmp_path, {"kind": kind, "path": str(path)}, **mapping) == THREE


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"PK\x03\x04 and so on", "zip"),
        (gzip.compress(bytes(99), mtime=0)[:-9], "cannot be read"),
        (zstd(bytes(99))[:-5], "read"),
    ],
    ids=["zip", "cut gzip", "cut zstd"],
)
def test_an_archive_or_a_damaged_file_is_named(gog: Gog, tmp_path: Path, data: bytes, word: str) -> None:
    (tmp_path / "rows.jsonl").write_bytes(data)
    error = refused(gog, tmp_path, {"kind": "jsonl", "path": str(tmp_path / "rows.jsonl")})
    assert str(tmp_path / "rows.jsonl") in error
    assert word in error
    assert not list((tmp_path / "lake").rglob("rows.jsonl"))


@pytest.mark.parametrize("pattern", ["r-{000..002}.jsonl", "r-{000,001,002}.jsonl", "{r,s}-*.jsonl"])
def test_braces_in_names(gog: Gog, tmp_path: Path, pattern: str) -> None:
    pictures(tmp_path)
    for number, each in enumerate(ROWS):
        (tmp_path / f"{'s' if '*' in pattern and number == 2 else 'r'}-{number:03d}.jsonl").write_bytes(lines([each]))
    assert answers(tmp_path, {"kind": "jsonl", "path": str(tmp_path / pattern)}) == THREE
    if ".." in pattern:
        (tmp_path / "r-001.jsonl").unlink()
        assert "r-001.jsonl: no such file" in refused(gog, tmp_path, {"kind": "jsonl", "path": str(tmp_path / pattern)})


@pytest.mark.parametrize(
    ("text", "source"),
    [
        (CSV.replace(",", ";"), {"delimiter": ";"}),
        (CSV.replace(",", "|"), {}),
        (CSV.replace(",", "\t"), {"delimiter": "tab"}),
        (CSV.replace(",", "\t"), {"delimiter": "\\t"}),
        (CSV.replace("thing 1", "'thing 1'"), {"quote": "'"}),
        (CSV.replace("thing 1", '"thing 1"').replace("\n", "\r\n"), {}),
        ("\ufeff" + CSV, {}),
        ("".join(f"{'' if n == 0 else n},{line}\n" for n, line in enumerate(CSV.splitlines())), {}),
        ("".join(f"{line},\n" for line in CSV.splitlines()), {}),
    ],
)
def test_forms_of_csv(tmp_path: Path, text: str, source: dict[str, str]) -> None:
    pictures(tmp_path)
    (tmp_path / "rows.csv").write_bytes(text.encode())
    assert answers(tmp_path, {"kind": "csv", "path": str(tmp_path / "rows.csv"), **source}) == THREE


def test_a_header_that_is_parted_otherwise_says_which_setting(gog: Gog, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("question;answer;image, or file\nWhat?;it;1.png,\n")
    assert "source.delimiter" in refused(gog, tmp_path, {"kind": "csv", "path": str(tmp_path / "rows.csv")})
    for wrong in ({"delimiter": ";;"}, {"delimiter": '"'}):
        assert "source" in refused(gog, tmp_path, {"kind": "csv", "path": str(tmp_path / "rows.csv"), **wrong})
    assert "csv and tsv" in refused(gog, tmp_path, {"kind": "jsonl", "path": "x", "delimiter": ";"})


@pytest.mark.parametrize(
    ("cell", "expected", "mapping"),
    [
        ('["Oslo", "Christiania"]', ("Oslo", "Christiania"), {}),
        ("['Oslo', 'Christiania']", ("Oslo", "Christiania"), {}),
        ("('Oslo', 'Christiania')", ("Oslo", "Christiania"), {}),
        ("['Oslo' 'Christiania']", ("Oslo", "Christiania"), {}),
        ("['Oslo'\n 'Christiania']", ("Oslo", "Christiania"), {}),
        ("array(['Oslo', 'Christiania'], dtype=object)", ("Oslo", "Christiania"), {}),
        ("[np.str_('Oslo'), np.str_('Christiania')]", ("Oslo", "Christiania"), {}),
        ("""["Ada's", 'caf\\xe9', None]""", ("Ada's", "café"), {}),
        ("[1 2]", ("1", "2"), {}),
        ("Oslo | Christiania", ("Oslo", "Christiania"), {"answer_separator": "|"}),
        ("Oslo;;Christiania;", ("Oslo", "Christiania"), {"answer_separator": ";"}),
        ("Oslo | Christiania", ("Oslo | Christiania",), {}),
        ("['Ada's', 'Bob']", ("['Ada's', 'Bob']",), {}),
        ("[__import__('os').getcwd()]", ("[__import__('os').getcwd()]",), {}),
        ("(1, 2)", ("(1, 2)",), {}),
        ("Oslo, Norway", ("Oslo, Norway",), {}),
    ],
)
def test_several_answers_in_a_cell(
    tmp_path: Path, cell: str, expected: tuple[str, ...], mapping: dict[str, str]
) -> None:
    pictures(tmp_path)
    (tmp_path / "rows.jsonl").write_bytes(lines([row(0, answer=cell)]))
    assert answers(tmp_path, {"kind": "jsonl", "path": str(tmp_path / "rows.jsonl")}, **mapping) == [expected]


def test_a_list_that_is_cut_short_is_no_answer(tmp_path: Path) -> None:
    pictures(tmp_path)
    (tmp_path / "rows.jsonl").write_bytes(lines([row(0, answer="['a' 'b' ... 'z']"), row(1)]))
    cut, whole = outcomes(tmp_path, {"kind": "jsonl", "path": str(tmp_path / "rows.jsonl")})
    assert isinstance(cut, Reject)
    assert "cut" in cut.detail
    assert isinstance(whole, Ingested)


def test_a_map_of_parquet_is_no_list(tmp_path: Path) -> None:
    pictures(tmp_path)
    names = pa.array(
        [[("en", "Cologne"), ("de", "Köln")], [("en", "a"), ("en", "b")]], pa.map_(pa.string(), pa.string())
    )
    table = pa.table({"question": ["Which town?", "And here?"], "answer": names, "image": ["0.jpg", "1.jpg"]})
    pq.write_table(table, tmp_path / "rows.parquet")
    source = {"kind": "parquet", "path": str(tmp_path / "rows.parquet")}
    assert [one.reason for one in outcomes(tmp_path, source) if isinstance(one, Reject)] == ["ingest.bad_row"] * 2
    named, twice = outcomes(tmp_path, source, answers=["answer.en", "answer.de"])
    assert isinstance(named, Ingested)
    assert named.seed.answers == ("Cologne", "Köln")
    assert isinstance(twice, Reject)


def text_of(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


URL = f"data:image/jpeg;base64,{text_of(PICTURE)}"
FORMS: dict[str, Any] = {
    "data URL": URL,
    "upper case": "DATA:IMAGE/JPEG;BASE64," + text_of(PICTURE),
    "no type": "data:;base64," + text_of(PICTURE),
    "parameters": "data:image/jpeg;name=a.jpg;base64," + text_of(PICTURE),
    "escaped": "data:image/jpeg;base64," + quote(text_of(PICTURE), safe=""),
    "spaces": f"  {URL[:60]}\n{URL[60:]}\n",
    "without padding": URL.rstrip("="),
    "url-safe": URL.partition(",")[0] + "," + base64.urlsafe_b64encode(PICTURE).decode().rstrip("="),
    "base64": text_of(PICTURE),
    "base64 in lines": base64.encodebytes(PICTURE).decode(),
    "base64 url-safe": base64.urlsafe_b64encode(PICTURE).decode(),
    "url of an object": {"url": URL},
    "a message's part": {"type": "image_url", "image_url": {"url": URL, "detail": "low"}},
    "struct of text": {"bytes": text_of(PICTURE), "path": None},
    "struct of numbers": {"bytes": list(PICTURE), "path": "gone.jpg"},
    "nested": {"image": {"bytes": text_of(PICTURE), "path": "gone.jpg"}},
    "list of one": [{"bytes": None, "path": "1.jpg"}],
    "list in a list": [[URL]],
    "struct as JSON": json.dumps({"bytes": text_of(PICTURE)}),
    "list as JSON": json.dumps(["1.jpg"]),
    "a path": "1.jpg",
    "a path with a dot": "./1.jpg",
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_pictures(tmp_path: Path, form: str) -> None:
    pictures(tmp_path)
    (tmp_path / "rows.jsonl").write_bytes(lines([row(1, image=FORMS[form])]))
    assert [
        kept.data
        for one in ingested(tmp_path, {"kind": "jsonl", "path": str(tmp_path / "rows.jsonl")})
        for kept in one.pictures
    ] == [PICTURE]


@pytest.mark.parametrize(
    "value",
    [
        PICTURE,
        text_of(PICTURE).encode(),
        text_of(PICTURE).rstrip("=").encode(),
        URL.encode(),
        {"bytes": text_of(PICTURE).encode(), "path": None},
        {"image": [{"bytes": PICTURE, "path": "a/b.jpg"}]},
    ],
)
def test_pictures_as_bytes(tmp_path: Path, value: Any) -> None:
    (tmp_path / "rows.parquet").write_bytes(parquet([row(1, image=value)]))
    source = {"kind": "parquet", "path": str(tmp_path / "rows.parquet")}
    assert [kept.data for one in ingested(tmp_path, source) for kept in one.pictures] == [PICTURE]


def test_paths_of_pictures(tmp_path: Path) -> None:
    photos, elsewhere = tmp_path / "photos é", tmp_path / "elsewhere"
    for folder in (photos / "in", elsewhere):
        folder.mkdir(parents=True)
    pictures(photos, 1)
    pictures(elsewhere, 1)
    composed, apart = (unicodedata.normalize(form, "café.jpg") for form in ("NFC", "NFD"))
    (photos / "in" / apart).write_bytes(published.picture(1))
    (photos / composed).write_bytes(published.picture(2))
    named = [
        str(photos / "0.jpg"),
        (photos / "0.jpg").as_uri(),
        f"file://localhost{quote(str(photos / '0.jpg'))}",
        f"in/{composed}",
        f"{photos}/{unicodedata.normalize('NFD', 'in/café.jpg')}",
        apart,
    ]
    wrong = [str(elsewhere / "0.jpg"), (elsewhere / "0.jpg").as_uri(), "file://host/0.jpg", "../elsewhere/0.jpg"]
    rows = [row(0, image=name) for name in [*named, *wrong]]
    (tmp_path / "rows.jsonl").write_bytes(lines(rows))
    source = {"kind": "jsonl", "path": str(tmp_path / "rows.jsonl"), "image_root": str(photos)}
    found = outcomes(tmp_path, source)
    assert all(isinstance(one, Ingested) for one in found[: len(named)]), found
    rejects = [one for one in found[len(named) :] if isinstance(one, Reject)]
    assert [reject.reason for reject in rejects] == ["ingest.image_unreadable"] * len(wrong)


@pytest.mark.parametrize("split", ["", "train", "other"])
def test_what_save_to_disk_wrote(gog: Gog, tmp_path: Path, split: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    columns = [row(n, image={"bytes": published.picture(n), "path": None}) for n in range(4)]
    made = datasets.Dataset.from_list(columns).cast_column("image", datasets.Image()).select([0, 1, 2])
    folder = tmp_path / "saved"
    (datasets.DatasetDict({split: made}) if split else made).save_to_disk(str(folder))
    source = {"kind": "hf", "name": str(folder)}
    if split == "other":
        assert "no split 'train'; it has 'other'" in refused(gog, tmp_path, source)
        source["split"] = split
    assert answers(tmp_path, source) == THREE
    wrong = {"kind": "parquet", "path": str(folder)}
    assert "kind: hf" in refused(gog, tmp_path, wrong)


def test_cells_that_are_no_text(tmp_path: Path) -> None:
    pictures(tmp_path)
    day = datetime.date(2024, 5, 6)
    (tmp_path / "rows.parquet").write_bytes(parquet([row(0, answer=day), row(1, answer=day)]))
    found_answers = answers(tmp_path, {"kind": "parquet", "path": str(tmp_path / "rows.parquet")})
    assert found_answers == [("2024-05-06",), ("2024-05-06",)]


def test_show_says_how_rows_are_understood(gog: Gog, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    pictures(tmp_path / "photos")
    rows = [
        row(0, answer="a|b", kind="number", note="n"),
        row(1, image="gone.jpg"),
        row(2, answer="['x', 'y']"),
        row(1),
    ]
    (tmp_path / "rows.jsonl").write_bytes(lines(rows))
    source = {"kind": "jsonl", "path": str(tmp_path / "rows.jsonl"), "image_root": str(tmp_path / "photos")}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config(tmp_path, source, columns={"answer_type": "kind"})))
    done = gog("ingest", "-c", path, "--show", "3")
    assert done.code == 0, done.err
    assert "rows.jsonl#1" in done.out
    assert f"{tmp_path / 'photos' / '0.jpg'} (JPEG, " in done.out
    assert "What is 0?" in done.out
    assert "'x', 'y'" in done.out
    assert "number" in done.out
    assert "ignored: note" in done.out
    assert "'a|b'" in done.out.partition("look like several")[2]
    assert "gone.jpg" in done.out.partition("Left out")[2]
    assert not (tmp_path / "lake" / "runs").exists()
    path.write_text(yaml.safe_dump(config(tmp_path, source | {"image_root": str(tmp_path)})))
    done = gog("ingest", "-c", path, "--show", "3")
    assert (done.code, f"set source.image_root: {tmp_path / 'photos'}" in done.out) == (1, True)


def test_show_tells_pictures_in_two_folders_from_broken_ones(gog: Gog, tmp_path: Path) -> None:
    photos, others = tmp_path / "photos", tmp_path / "others"
    for folder in (photos, others / "a", others / "b"):
        folder.mkdir(parents=True)
        pictures(folder)
    (photos / "broken.jpg").write_bytes(published.picture(0)[:60])
    source = {"kind": "jsonl", "path": str(tmp_path / "rows.jsonl"), "image_root": str(photos)}
    path = tmp_path / "config.yaml"

    def shown(*images: str) -> str:
        (tmp_path / "rows.jsonl").write_bytes(lines([row(0, image=image) for image in images]))
        path.write_text(yaml.safe_dump(config(tmp_path, source)))
        return gog("ingest", "-c", path, "--show", "3").out

    assert "Pictures are missing" not in shown("0.jpg", "broken.jpg")
    elsewhere = [str(others / "a" / "0.jpg"), (others / "b" / "0.jpg").as_uri()]
    assert f"set source.image_root: {others}\n" in shown(*elsewhere)
    told = shown("0.jpg", *elsewhere).partition("Pictures are missing: ")[2]
    assert f"'{elsewhere[0]}' lies below {others}, those of other rows are below source.image_root" in told
    assert "set source.image_root" not in told
    assert "'gone.jpg' was not found near the rows" in shown("0.jpg", "gone.jpg")


def test_show_has_all_pictures_of_a_question(gog: Gog, tmp_path: Path) -> None:
    pictures(tmp_path)
    source = {"kind": "jsonl", "path": str(tmp_path / "rows.jsonl"), "image_root": str(tmp_path)}
    path = tmp_path / "config.yaml"

    def shown(*images: str) -> str:
        (tmp_path / "rows.jsonl").write_bytes(lines([row(0, image=list(images)), row(1)]))
        path.write_text(yaml.safe_dump(config(tmp_path, source) | {"episode": {"question_images": 3}}))
        return gog("ingest", "-c", path, "--show", "3").out

    told = shown("0.jpg", "1.jpg")
    assert f"  picture 0 {tmp_path / '0.jpg'} (JPEG, 64 x 64)\n" in told
    assert f"  picture 1 {tmp_path / '1.jpg'} (JPEG, 64 x 64)\n" in told
    assert f"  picture   {tmp_path / '1.jpg'} (JPEG, 64 x 64)\n" in told, "that of the row with one"
    assert "'gone.jpg' was not found near the rows" in shown("0.jpg", "gone.jpg")


@pytest.mark.parametrize("text", ["a | b", "a; b", "a¦b", "猫、犬", "a<br/>b", "a / b", "a,b", "a\tb"])
def test_answers_that_look_like_several_are_named(gog: Gog, tmp_path: Path, text: str) -> None:
    pictures(tmp_path)
    (tmp_path / "rows.jsonl").write_bytes(lines([row(0, answer=text), row(1, answer="12,5 m, AC/DC, Paris, France")]))
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config(tmp_path, {"kind": "jsonl", "path": str(tmp_path / "rows.jsonl")})))
    told = gog("ingest", "-c", path, "--show", "2").out.partition("look like several")[2]
    assert repr(text) in told
    assert "12,5 m" not in told
