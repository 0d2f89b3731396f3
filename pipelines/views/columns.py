"""What each column means: the docstring of the record's field where it has one, else what the name means everywhere."""

from typing import Final

from gog.pipelines.config.field_docs import field_docs
from gog.pipelines.views.queries import QUERIES
from gog.schemas import TABLES

NAMES: Final = {
    "action": "what the model did: the name of a tool (text_search, image_search, gaze, ...), answer or none",
    "ambiguous": "calls that the next turn judged ambiguous",
    "answer": "the answer that the model gave; null where it gave none",
    "answers": "all accepted forms of the answer, as a JSON list",
    "answer_type": "how an answer is compared: string, number, date or yes_no",
    "answer_unit": "unit of a number",
    "answer_high": "greatest accepted number, where the source gives a range",
    "area": "share of the image that the box covers",
    "behaviour": "which kinds of search were used: direct, text, glance, gaze or mixed",
    "best_score": "score of the first result",
    "best_title": "title of the first result",
    "box": "x1, y1, x2, y2 as a JSON list: fractions of the picture of the question that it lies on, origin top left",
    "boxes": "boxes that the reviewer corrected, as a JSON list of turn, call, box and number of its picture",
    "calls": "how many calls",
    "category": "kind of question, where the source names it",
    "comment": "what the reviewer wrote",
    "completion_tokens": "tokens that the model wrote",
    "correct": "trajectories whose answer is right",
    "cost": "US dollars",
    "could_be": "regions of seeds at which at least one gaze looked",
    "dataset": "where the seed comes from",
    "dataset_version": "version of the dataset",
    "detail": "more about the reason",
    "empty": "calls that found nothing",
    "entered": "how many entered the stage",
    "error": "code of the model's mistake in this turn; null where there is none",
    "evidence_id": "hash of what a call of a tool returned",
    "example": "a row of a benchmark",
    "extra": "other columns of the source, as a JSON object",
    "failed": "calls that ended in a failure",
    "failure": "class of the failure; null where there was none",
    "folds": "where the model saw what was before shortened, as a JSON list of turn and messages",
    "from_store": "whether the store answered",
    "further_images": "pictures behind the first, where the question is about several, as JSON",
    "gold_page": "page that holds the answer, where the source names it",
    "group": "seeds of a group are on the same side of every split",
    "height": "pixels",
    "high": "upper end of the 95% Wilson interval of the pass rate",
    "hits": "results, as a JSON list of rank, title, url, snippet, score and thumbnail",
    "id": "id of what left",
    "image_phash": "perceptual hash of the image",
    "image_like": "earlier images that it copies, shows a part of or holds as a part, as JSON",
    "image_sha256": "hash of the image, which is its name in the lake",
    "images": "the numbered images of the episode, as a JSON list: the question's, 0 the original, then each crop",
    "interval_width": "mean width of the 95% Wilson intervals",
    "judge": "model that judged; of a panel all, with commas",
    "judge_reply": "what it said",
    "judged": "what the next turn made of the result: useful, off_target or ambiguous",
    "kept": "curation kept it; as a count, how many it kept",
    "kind": "kind of call: chat, detect, text_search, image_search or page",
    "label": "what is expected in the region",
    "language": "language of the question",
    "latency_s": "seconds that the call took",
    "leaked": "the reasoning names a hint, a plan or the gold answer before evidence did; null where nobody could say",
    "least": "least pass rate of the seeds",
    "level": "0 passes nearly always, 1 about half, 2 mostly fails yet is solvable",
    "licence": "licence of the row",
    "looked_at": "regions that a gaze covers with an intersection over union of at least one half",
    "median_s": "median seconds of the calls that were made, not of what the store answered",
    "median_score": "median of the regions' scores",
    "messages": "the chat in OpenAI's format, as a JSON list",
    "method": "what settled the outcome: exact, alias, number, date, judge or none",
    "most": "greatest pass rate of the seeds",
    "note": "more about the region",
    "off_target": "calls that the next turn judged off target",
    "on_image": "number of the question's picture that it is about",
    "origin": "how the trajectory was made: rollout, compose or screen",
    "outcome": "correct, wrong, or unknown: nobody could tell",
    "p95_s": "seconds within which 95% of the calls that were made were answered",
    "pass_rate": "passes of k",
    "passed": "how many went on",
    "passes": "tries that passed",
    "policy": "model whose tries were counted",
    "prompt_hashes": "hashes of the prompts, as a JSON object by name",
    "prompt_tokens": "tokens that the model read",
    "plan_used_gold": "the plan was drawn with the gold answer; the teacher never saw it",
    "provider": "who answered the call",
    "query": "what was asked, where it was words",
    "question": "the question",
    "reason": "why it left: a code of gog.schemas.reasons",
    "reflection": "what the turn says of the evidence before it: useful, off_target or ambiguous",
    "region_id": "hash of the region",
    "regions": "how many regions",
    "reject_id": "hash of stage, unit, id and reason",
    "retries": "requests that were made again",
    "review_id": "hash of the review",
    "reviewer": "who reviewed",
    "right_answer": "answer of the right trajectory",
    "right_behaviour": "behaviour of the right trajectory",
    "right_id": "the right trajectory",
    "said": "the query of a text search, the label of a gaze, the text of an answer",
    "sample_index": "number of the attempt at the seed",
    "schema_version": "version of the table's schema",
    "score": "how sure: 0 to 1",
    "seed_id": "hash of the seed: dataset, question, answers and image",
    "seeds": "how many seeds",
    "shard": "number of the shard",
    "side": "training stage that the group is for: sft or rl",
    "source": "who proposed it: a detector or a teacher, with its version",
    "source_url": "where the row comes from",
    "split": "train or validation",
    "split_hint": "split that the source has it in",
    "stage": "stage of the pipelines",
    "steps": "the turns, as a JSON list",
    "stop": "how the episode ended: answered, out_of_turns, strikes, or cut (by a training, before it could end)",
    "teacher": "model that acted",
    "tool": "name of the tool: text_search, image_search, gaze, ...",
    "tools": "JSON schemas of the tools that the model had, as a JSON list",
    "train": "whether the loss may see this turn",
    "trajectory_id": "hash of the trajectory",
    "turns": "turns of the model",
    "unit": "what the stage counts: row, seed, attempt or trajectory",
    "useful": "calls that the next turn judged useful",
    "wrong_answer": "answer of the wrong trajectory",
    "wrong_behaviour": "behaviour of the wrong trajectory",
    "wrong_id": "the wrong trajectory",
    **{
        name: f"{where} edge of the box, as a fraction of the picture that it lies on"
        for name, where in zip(("x1", "y1", "x2", "y2"), ("left", "upper", "right", "lower"), strict=True)
    },
}
"""What a column means wherever nothing nearer says it."""

_OF_TABLES: Final = {
    ("evidence", "provider"): "who answered the search",
    ("verdicts", "score"): "1 for right, 0 for wrong",
}


def column_comment(view: str, column: str, table: str | None = None) -> str:
    """What the column of a view means; `table` names the table whose rows it shows. `KeyError` when nobody said."""
    if view in QUERIES and column in QUERIES[view].columns:
        return QUERIES[view].columns[column]
    if table is not None:
        comment = _OF_TABLES.get((table, column)) or field_docs(TABLES[table]).get(column)
        if comment:
            return comment
        return NAMES[column]
    return NAMES.get(column) or _of_any_record(column)


def _of_any_record(column: str) -> str:
    """What a table's field of this name says: answers take columns over from tables."""
    for record in TABLES.values():
        if column in field_docs(record):
            return field_docs(record)[column]
    raise KeyError(column)
