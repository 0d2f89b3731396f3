"""LiveVQA as published on GitHub (folders News, Paper, Video, two questions a row), and as a flat table.

Each folder has `benchmark.json` and its pictures; a second, older `benchmark.json` lies among the pictures of News
and is not read. In Paper and Video `question_type` may be the name of the program that wrote the question. The
columns of the flat tables on the Hub vary: those here are taken, and a table without them is refused.

LiveVQA's own protocol: a judge that says A, B or C, and two accuracies a level.

Source: Fu et al. 2025, arXiv 2504.05288, and the authors' script (github.com/fumingyang2004/LIVEVQA,
`liveVQA_benchmarks/unified_benchmark.py` and `Evaluation/`, commit f62cbf5): the grader of SimpleQA (Wei et al. 2024,
arXiv 2411.04368), all accepted answers joined by OR, A/(A+B) and A/(A+B+C) for each level. An empty answer is C without
asking; a reply that is no letter is an error, counted apart, as here.

Different here: the grader's rules are in our words (`prompts/judge/livevqa.md.j2`), and a letter is also read out of
`A: CORRECT`, JSON and the like. Question types of the Paper part are names of the program that made them: no group.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

from gog.transforms.evaluate.benchmark import Benchmark
from gog.transforms.evaluate.items import BenchItem
from gog.transforms.evaluate.protocols.judging import left_to_judge, request
from gog.transforms.evaluate.protocols.measures import Cell, Measure, attempted, correct, ratio
from gog.transforms.evaluate.questions import (
    PublishedSet,
    Question,
    first_text,
    flat_texts,
    parsed_list,
    present,
    text_of,
)
from gog.transforms.services.protocols import ChatRequest

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


NAME: Final = "livevqa"
PROMPT: Final = "judge/livevqa"


def groups(item: BenchItem) -> tuple[str, ...]:
    """The level and the part (News, Paper, Video)."""
    level = (f"level{item.level}",) if item.level is not None else ()
    return (*level, item.subset) if item.subset else level


def ask(item: BenchItem, prediction: str) -> ChatRequest:
    """What the judge is asked of an answer."""
    quoted = [f'"{answer}"' for answer in item.answers]
    return request(PROMPT, item.question, quoted, prediction, joiner=" OR ")


def _measures(cells: Sequence[Cell]) -> Mapping[str, Measure]:
    measures: dict[str, Measure] = {}
    present = {group for each in cells for group in each.groups}
    for group in ("", *sorted(present)):
        inside = [not group or group in each.groups for each in cells]
        right = [one and here for one, here in zip(correct(cells), inside, strict=True)]
        tried = [one and here for one, here in zip(attempted(cells), inside, strict=True)]
        prefix = f"{group}_" if group else ""
        measures[f"{prefix}accuracy_overall"] = ratio(right, inside)
        measures[f"{prefix}accuracy_attempted"] = ratio(right, tried)
    return measures


def _left_out(split: str, question: Question) -> str:
    if split.startswith("level"):
        return "" if f"level{question.level}" == split else f"it is of level {question.level}"
    return "" if split in ("all", question.subset) else f"it is of {question.subset or 'no part'}"


def _as_it_lies(path: str, split: str) -> tuple[PublishedSet, str]:
    """As folders, or as a flat table."""
    if Path(path).is_dir():
        return _SET, f"{path.rstrip('/')}/*/benchmark.json"
    return (_SET if path.endswith("benchmark.json") else _FLAT), path


_SET: Final = PublishedSet(
    name="livevqa",
    adapt=adapt,
    needs=(("img_path",), ("level1_qa",), ("level2_qa",)),
    source=f"github.com/fumingyang2004/LIVEVQA@{REVISION[:7]}",
    licence="MIT",
    per_row=len(LEVELS),
)
_FLAT: Final = PublishedSet(
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
BENCHMARK: Final = Benchmark(
    name=NAME,
    splits=("all", "News", "Paper", "Video", "level1", "level2"),
    version=REVISION,
    where="the folder with News, Paper and Video, or a flat Parquet table",
    official=left_to_judge(NAME, groups, _measures, ask, PROMPT),
    published=_SET,
    as_it_lies=_as_it_lies,
    left_out=_left_out,
    reported=(10.30, 15.15, 14.80, 10.40, 25.95, 31.05, 23.55, 23.85, 24.55, 32.40, 37.70, 43.85),
)
