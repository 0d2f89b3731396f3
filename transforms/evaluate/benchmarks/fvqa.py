"""FVQA of MMSearch-R1: train, test, and other sets in its Parquet schema, such as the InfoSeek samples beside it.

Train has a category (`search_free`, `search_required`), test has none; `data_id` is missing in some samples. Not the
fact-based FVQA of 2017.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gog.transforms.evaluate.benchmark import Benchmark
from gog.transforms.evaluate.protocols.peers import JUDGE
from gog.transforms.evaluate.questions import PublishedSet, Question, first_text, parsed_list, present
from gog.transforms.sources.cells import MISSING, lookup

REVISION: Final = "bb4a4ff4c9c3fd0382d11f5d7fccd66d0b8428b5"


def adapt(file: str, row: Mapping[str, Any]) -> Sequence[Question]:
    """One question: `candidate_answers` is a list as JSON text; the user's message is the question."""
    candidates = parsed_list(present(row, "reward_model.candidate_answers"))
    return [
        Question(
            question=_asked(lookup(row, "prompt")),
            answers=[present(row, "reward_model.ground_truth"), candidates],
            image=present(row, "images"),
            id=first_text(row, "data_id"),
            category=first_text(row, "category"),
            subset=first_text(row, "data_source"),
        )
    ]


def _asked(prompt: Any) -> Any:
    """Content of the first message of the user: a system message may come before it."""
    if not isinstance(prompt, list | tuple):
        return None if prompt is MISSING else prompt
    asked = [m.get("content") for m in prompt if isinstance(m, Mapping) and m.get("role", "user") == "user"]
    return asked[0] if asked else None


SET: Final = PublishedSet(
    name="fvqa",
    adapt=adapt,
    needs=(("prompt",), ("images",), ("reward_model.ground_truth",), ("reward_model.candidate_answers",)),
    source=f"lmms-lab/FVQA@{REVISION}",
    licence="apache-2.0",
)
BENCHMARK: Final = Benchmark(
    name="fvqa",
    splits=("test",),
    version=REVISION,
    where="fvqa_test.parquet",
    official=JUDGE,
    published=SET,
    reported=(25.33, 24.56, 42.00, 24.50, 51.33, 61.06, 57.33, 42.39, 53.72, 62.17, 66.78, 68.44),
)
