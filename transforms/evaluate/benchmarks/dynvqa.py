"""DynVQA, all versions: pictures by URL alone; `gloden_query` until 202412, `golden_query` in 202502.

Many English rows have only Chinese answers (462 of 715 in 202410, 85 of 706 in 202502): they are flagged, since no
English answer can match them. The version stands in the file's name, and belongs in every result.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from gog.transforms.evaluate.benchmarks.questions import (
    PublishedSet,
    Question,
    first_text,
    flat_texts,
    parsed_list,
    present,
)

_NAME: Final = re.compile(r"(?:^|[_./-])(?P<language>en|zh)(?=$|[_./-])", re.IGNORECASE)
_VERSION: Final = re.compile(r"(?<!\d)(20\d{4})(?!\d)")
_CHINESE: Final = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")


def adapt(file: str, row: Mapping[str, Any]) -> Sequence[Question]:
    """One question; language and version are those of the file's name, or of the question's id (`en1`)."""
    name = file.rpartition("/")[2]
    answers = parsed_list(present(row, "answer"))
    found = _NAME.search(name)
    identity = first_text(row, "question_id")
    language = found["language"].lower() if found else ("zh" if identity.startswith("zh") else "en")
    texts = flat_texts(answers)
    chinese = language == "en" and bool(texts) and all(_CHINESE.search(text) for text in texts)
    version = _VERSION.search(name)
    return [
        Question(
            question=present(row, "question"),
            answers=answers,
            image=present(row, "image_url"),
            id=identity,
            language=language,
            version=version[1] if version else "",
            gold_query=first_text(row, "golden_query", "gloden_query"),
            flags=("chinese_answers_only",) if chinese else (),
        )
    ]


SET: Final = PublishedSet(
    name="dynvqa",
    adapt=adapt,
    needs=(("image_url",), ("question",), ("question_id",), ("answer",), ("golden_query", "gloden_query")),
    source="github.com/Alibaba-NLP/OmniSearch",
    image_text="url",
)
