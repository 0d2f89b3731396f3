"""Small copies of the published schemas of the six sets, with pictures drawn here."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


def picture(number: int = 0, side: int = 64, form: str = "JPEG") -> bytes:
    """A picture that differs from those of other numbers."""
    image = Image.new("RGB", (side, side), (37 * number % 256, 91 * number % 256, 160))
    image.paste((250, 240, 10), (number % 7 * 8, 8, number % 7 * 8 + 12, 40))
    buffer = io.BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


def table(path: Path, rows: list[dict[str, Any]], schema: pa.Schema | None = None) -> Path:
    """Rows as Parquet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    return path


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Rows as JSONL."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def fvqa_row(number: int, **changed: Any) -> dict[str, Any]:
    return {
        "prompt": [{"content": f"<image>Which tower is number {number}?", "role": "user"}],
        "images": [{"bytes": picture(number), "path": None}],
        "reward_model": {
            "candidate_answers": json.dumps([f"Tower {number}", f"T{number}"]),
            "ground_truth": f"The tower {number}",
            "style": "rule",
        },
        "data_source": "mmsearch_r1/fvqa_test",
        "image_urls": None,
        "data_id": f"fvqa_test_{number}",
    } | changed


def infoseek_rows() -> list[dict[str, Any]]:
    """A string, a numerical and a time question of val, and one of train."""
    return [
        {
            "data_id": "infoseek_val_00000000",
            "image_id": "oven_01963180",
            "question": "Which country is it in?",
            "answer": ["Spain"],
            "answer_eval": ["Spain", "Kingdom of Spain"],
            "data_split": "val_unseen_question",
        },
        {
            "data_id": "infoseek_val_00000001",
            "image_id": "oven_01963181",
            "question": "How high is it in metres?",
            "answer": ["100"],
            "answer_eval": [{"wikidata": 100.0, "range": [90.0, 110.0]}],
            "data_split": "val_unseen_entity",
        },
        {
            "data_id": "infoseek_val_00000002",
            "image_id": "oven_01963182",
            "question": "When was it built?",
            "answer": ["1901"],
            "answer_eval": ["1901", "1900", "1902"],
            "data_split": "val_unseen_entity",
        },
        {
            "data_id": "infoseek_train_00000000",
            "image_id": "oven_01963183",
            "question": "Who owns it?",
            "answer": ["Ann"],
            "answer_eval": ["Ann"],
            "data_split": "train",
        },
    ]


def infoseek(folder: Path) -> Path:
    """Val with types, entities and the pictures of all but the last."""
    rows = infoseek_rows()
    kinds = ("String", "Numerical", "Time", "String")
    lines(
        folder / "infoseek_val_qtype.jsonl",
        [{"data_id": r["data_id"], "question_type": k} for r, k in zip(rows, kinds, strict=True)],
    )
    lines(
        folder / "infoseek_val_withkb.jsonl",
        [
            {"data_id": row["data_id"], "image_id": row["image_id"], "entity_id": f"Q{n}", "entity_text": f"Entity {n}"}
            for n, row in enumerate(rows)
        ],
    )
    images = folder / "oven_images"
    (images / "01").mkdir(parents=True)
    (images / "oven_01963180.jpg").write_bytes(picture(0))
    (images / "01" / "oven_01963181.JPEG").write_bytes(picture(1))
    (images / "oven_01963182.png").write_bytes(picture(2, form="PNG"))
    return lines(folder / "infoseek_val.jsonl", rows)


def simplevqa_row(number: int, language: str = "EN", **changed: Any) -> dict[str, Any]:
    return {
        "data_id": number,
        "image": base64.b64encode(picture(number)).decode(),
        "image_description": "a tower",
        "language": language,
        "question": f"What is number {number}?",
        "answer": f"Tower {number}",
        "original_category": "sight",
        "source": "MMbench",
        "atomic_question": "What is this?",
        "atomic_fact": f"Tower {number}",
        "vqa_category": "ORS-Object",
    } | changed


def mmsearch_row(number: int, *, pictured: bool = True, **changed: Any) -> dict[str, Any]:
    return {
        "sample_id": f"{number}_news",
        "query": f"When does number {number} open?",
        "query_image": {"bytes": picture(number), "path": None} if pictured else None,
        "image_search_result": None,
        "area": "news",
        "subfield": "sports",
        "timestamp": "2024-07-30",
        "gt_requery": f"opening date of {number}",
        "gt_answer": "July 30",
        "alternative_gt_answers": ["30 July", "30th of July"],
    } | changed


def mmsearch(path: Path, rows: list[dict[str, Any]]) -> Path:
    image = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    schema = pa.schema(
        [
            (name, image if "image" in name else pa.list_(pa.string()) if name.startswith("alt") else pa.string())
            for name in rows[0]
        ]
    )
    return table(path, rows, schema)


def livevqa_row(number: int, subset: str) -> dict[str, Any]:
    path = f"2505.0049{number}/x1.png" if subset == "Paper" else f"cnn_{number}.jpg"
    kind = {"News": "location", "Paper": "generated_hard_v2_openrouter_gemini", "Video": "object"}[subset]
    asked = {
        "question_type": kind,
        "options": ["A. Camp Nou", "B. Signal Iduna Park"],
        "Ground_Truth": "B",
        "Ground_Truth_List": ["Signal Iduna Park", "Westfalenstadion"],
        "img_path": path,
    }
    row = {
        "id": f"0_{number}",
        "img_path": path,
        "level1_qa": {"question": f"Where is {subset} {number}?", **asked},
        "level2_qa": {"question": f"How many goals fell at {subset} {number}?", **asked},
        "source": "CNN Sport",
    }
    return row if subset == "Video" else row | {"time": "2025-04-16T10:08:10.635Z"}


def livevqa(folder: Path, rows: int = 2) -> Path:
    """News, Paper and Video, as published."""
    for number, (subset, images) in enumerate(
        (("News", "News_imgs"), ("Paper", "Paper_images"), ("Video", "Video_images"))
    ):
        made = [livevqa_row(n, subset) for n in range(rows)]
        for n, row in enumerate(made):
            place = folder / subset / images / row["img_path"]
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(picture(10 * number + n, form="PNG" if place.suffix == ".png" else "JPEG"))
        (folder / subset / "benchmark.json").write_text(json.dumps(made), "utf-8")
    return folder


def dynvqa_rows(query: str = "gloden_query") -> list[dict[str, Any]]:
    address = "https://pictures.example.org/mm_data/image_{}.jpeg"
    answers: list[Any] = [["莱昂纳多没有孩子。", "He has no child."], [["未知", "不确定"]], ["1901"]]
    return [
        {
            "image_url": address.format(number),
            "question": f"What is the name of child {number}?",
            "question_id": f"en{number}",
            "answer": answer,
            query: f"name of child {number}",
        }
        for number, answer in enumerate(answers)
    ]
