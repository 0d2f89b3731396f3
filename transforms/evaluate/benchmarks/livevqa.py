"""LiveVQA as published on GitHub (folders News, Paper, Video, two questions a row), and as a flat table.

Each folder has `benchmark.json` and its pictures; a second, older `benchmark.json` lies among the pictures of News
and is not read. In Paper and Video `question_type` may be the name of the program that wrote the question. The
columns of the flat tables on the Hub vary: those here are taken, and a table without them is refused.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from gog.transforms.evaluate.benchmarks.questions import (
    PublishedSet,
    Question,
    first_text,
    flat_texts,
    parsed_list,
    present,
    text_of,
)

REVISION: Final = "a7c88d18560cd01ed1709962743f6c0e5244d145"
SUBSETS: Final[Mapping[str, str]] = {"News": "News_imgs", "Paper": "Paper_images", "Video": "Video_images"}
"""Folders, and where the pictures of each lie."""
LEVELS: Final = (1, 2)
_GENERATOR: Final = re.compile(r"generated_|_v\d|openrouter", re.IGNORECASE)


def adapt(file: str, row: Mapping[str, Any]) -> Sequence[Question]:
    """Two questions: level 1 (what is seen) and level 2 (what must be known); `file` begins with the folder."""
    subset = next((part for part in PurePosixPath(file).parts if part in SUBSETS), "")
    return [_question(subset, row, level) for level in LEVELS]


def _question(subset: str, row: Mapping[str, Any], level: int) -> Question:
    asked = present(row, f"level{level}_qa")
    asked = asked if isinstance(asked, Mapping) else {}
    path = first_text(asked, "img_path") or first_text(row, "img_path")
    # A paper's id is no question's: a paper may have several figures.
    name = str(PurePosixPath(path).with_suffix("")) if subset == "Paper" and path else first_text(row, "id")
    return Question(
        question=asked.get("question"),
        answers=_answers(asked),
        image=f"{subset}/{SUBSETS[subset]}/{path}" if subset and path else path,
        id=f"{subset}/{name}/level{level}",
        subset=subset,
        level=level,
        **_asked_about(asked),
    )


def adapt_flat(file: str, row: Mapping[str, Any]) -> Sequence[Question]:
    """One question of a flat table: a row is a question."""
    level = first_text(row, "level", "Level")
    return [
        Question(
            question=present(row, "question", "Question"),
            answers=_answers(row),
            image=present(row, "image", "images", "img_path"),
            id=first_text(row, "qa_id", "id", "data_id", "index"),
            subset=first_text(row, "subset", "source_type", "source"),
            level=int(level[-1]) if level[-1:] in {"1", "2"} else None,
            **_asked_about(row),
        )
    ]


def _answers(asked: Mapping[str, Any]) -> Any:
    """The accepted texts; the option with the right letter where the list is missing."""
    accepted = parsed_list(present(asked, "Ground_Truth_List", "ground_truth_list", "answers", "answer"))
    if flat_texts(accepted):
        return accepted
    letter = first_text(asked, "Ground_Truth", "ground_truth")
    options = flat_texts(parsed_list(present(asked, "options")))
    chosen = [option.partition(".")[2].strip() for option in options if option.startswith(f"{letter}.")]
    return chosen or ([] if options else letter)


def _asked_about(asked: Mapping[str, Any]) -> dict[str, Any]:
    choices = tuple(flat_texts(parsed_list(present(asked, "options"))))
    letter = first_text(asked, "Ground_Truth", "ground_truth")
    kind = text_of(asked.get("question_type"))
    generated = bool(_GENERATOR.search(kind))
    flags = []
    if choices and not any(choice.startswith(f"{letter}.") for choice in choices if letter):
        flags.append("answer_not_in_choices")
    if generated:
        flags.append("generator_question_type")
    return {"choices": choices, "choice": letter if choices else "", "category": "" if generated else kind} | {
        "flags": tuple(flags)
    }


SET: Final = PublishedSet(
    name="livevqa",
    adapt=adapt,
    needs=(("img_path",), ("level1_qa",), ("level2_qa",)),
    source=f"github.com/fumingyang2004/LIVEVQA@{REVISION[:7]}",
    licence="MIT",
    per_row=len(LEVELS),
)
FLAT: Final = PublishedSet(
    name="livevqa",
    adapt=adapt_flat,
    needs=(
        ("question", "Question"),
        ("Ground_Truth_List", "ground_truth_list", "answers", "answer", "Ground_Truth", "ground_truth"),
        ("image", "images", "img_path"),
    ),
    source="ONE-Lab/LiveVQA-new@5d7d845",
    licence="cc-by-nc-4.0",
)
