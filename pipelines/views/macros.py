"""Macros over a run: questions that take an argument."""

from typing import Final, NamedTuple


class Macro(NamedTuple):
    """A macro: its parameters, what it is, and what it says."""

    parameters: str
    body: str
    comment: str


_Z2: Final = "3.8416"
"""The square of 1.96, as in `gog.transforms.label.complexity`."""
_CENTRE: Final = f"(passes + {_Z2} / 2) / (k + {_Z2})"
_HALF: Final = f"sqrt({_Z2} * (passes * (k - passes) / k + {_Z2} / 4)) / (k + {_Z2})"
_SHARED: Final = "greatest(0, least(a3, b3) - greatest(a1, b1)) * greatest(0, least(a4, b4) - greatest(a2, b2))"

VALUE_MACROS: Final[dict[str, Macro]] = {
    "wilson_low": Macro(
        "passes, k",
        f"CASE WHEN k > 0 THEN greatest(0, {_CENTRE} - {_HALF}) END",
        "Lower end of the 95% Wilson interval of passes in k tries.",
    ),
    "wilson_high": Macro(
        "passes, k",
        f"CASE WHEN k > 0 THEN least(1, {_CENTRE} + {_HALF}) END",
        "Upper end of the 95% Wilson interval of passes in k tries.",
    ),
    "box_iou": Macro(
        "a1, a2, a3, a4, b1, b2, b3, b4",
        f"({_SHARED}) / nullif((a3 - a1) * (a4 - a2) + (b3 - b1) * (b4 - b2) - ({_SHARED}), 0)",
        "Intersection over union of two boxes, each as x1, y1, x2, y2.",
    ),
}
"""Those that give a value, which the answers need; they ask no table."""

TABLE_MACROS: Final[dict[str, Macro]] = {
    "trajectory": Macro(
        "id",
        """
        SELECT t.turn, t.call, t.action, t.said, t.reflection, t.train, t.thought, c.provider, c.hits, c.best_title,
            c.best_score, coalesce(c.failure, t.error) AS trouble
        FROM (SELECT * FROM turns WHERE starts_with(trajectory_id, id)) t
        LEFT JOIN (SELECT * FROM tool_calls WHERE starts_with(trajectory_id, id)) c
            ON c.trajectory_id = t.trajectory_id AND c.turn = t.turn AND c.call = t.call
        ORDER BY t.trajectory_id, t.turn, t.call
        """,
        "The turns of a trajectory with what came back, by its id or the start of it.",
    ),
    "attempts_at": Macro(
        "id",
        """
        SELECT trajectory_id, origin, sample_index, behaviour, reflective, turns, answer, outcome, method, reasons,
            kept
        FROM overview WHERE starts_with(seed_id, id) ORDER BY origin, sample_index, trajectory_id
        """,
        "All attempts at a seed, by its id or the start of it.",
    ),
    "why": Macro(
        "code",
        """
        SELECT r.reason, r.stage, r.unit, r.id, r.detail, s.question
        FROM (SELECT * FROM rejects WHERE starts_with(reason, code)) r LEFT JOIN seeds s ON s.seed_id = r.seed_id
        ORDER BY r.reason, r.id
        """,
        "What left for a reason, or for those that begin so: why('verify').",
    ),
    "asked": Macro(
        "words",
        """
        SELECT trajectory_id, turn, tool, said, provider, hits, best_title, best_score, judged
        FROM tool_calls WHERE contains(lower(said), lower(words)) ORDER BY trajectory_id, turn, call
        """,
        "Calls of tools whose query or label has these words.",
    ),
    "about": Macro(
        "words",
        """
        SELECT seed_id, category, question, answers, count(*) AS attempts,
            count(*) FILTER (outcome = 'correct') AS correct, count(*) FILTER (kept) AS kept
        FROM overview WHERE contains(lower(question), lower(words)) OR contains(lower(entity), lower(words))
        GROUP BY ALL ORDER BY seed_id
        """,
        "Seeds whose question or entity has these words, and how their attempts went.",
    ),
    "hardest": Macro(
        "n",
        """
        SELECT c.seed_id, c.policy, c.level, c.passes, c.k, c.pass_rate, s.category, s.question
        FROM complexity c LEFT JOIN seeds s ON s.seed_id = c.seed_id
        ORDER BY c.pass_rate, c.k DESC, c.seed_id, c.policy LIMIT n
        """,
        "The n seeds that a policy passes least.",
    ),
    "costliest": Macro(
        "n",
        """
        SELECT u.seed_id, s.category, s.question, s.image_sha256, s.further_images, u.attempts, u.tokens,
            (u.tokens / nullif(median(u.tokens) OVER (), 0))::DOUBLE AS times_median
        FROM (
            SELECT seed_id, count(*) AS attempts, sum(prompt_tokens + completion_tokens)::BIGINT AS tokens
            FROM trajectories GROUP BY seed_id
        ) u
        LEFT JOIN (
            SELECT seed_id, any_value(category) AS category, any_value(question) AS question,
                any_value(image_sha256) AS image_sha256, any_value(further_images) AS further_images
            FROM seeds GROUP BY seed_id
        ) s ON s.seed_id = u.seed_id
        ORDER BY u.tokens DESC, u.seed_id LIMIT n
        """,
        "The n seeds whose trajectories used most tokens; attempts that left without an answer are not in it.",
    ),
    "unsolved": Macro(
        "n",
        """
        SELECT u.seed_id, s.category, s.question, s.image_sha256, s.further_images, u.wrong, u.unknown, u.unanswered,
            count(*) OVER () AS of
        FROM (
            SELECT seed_id, count(*) FILTER (outcome = 'wrong') AS wrong,
                count(*) FILTER (outcome = 'unknown') AS unknown, count(*) FILTER (outcome = '') AS unanswered
            FROM (
                SELECT seed_id, outcome FROM verdicts
                UNION ALL SELECT seed_id, '' FROM rejects WHERE unit = 'attempt' AND seed_id <> ''
            ) GROUP BY seed_id HAVING count(*) FILTER (outcome = 'correct') = 0
        ) u
        LEFT JOIN (
            SELECT seed_id, any_value(category) AS category, any_value(question) AS question,
                any_value(image_sha256) AS image_sha256, any_value(further_images) AS further_images
            FROM seeds GROUP BY seed_id
        ) s ON s.seed_id = u.seed_id
        ORDER BY u.wrong DESC, u.unknown DESC, u.unanswered DESC, u.seed_id LIMIT n
        """,
        "The n seeds of which no verified attempt is right, and how they ended; `of` is how many such seeds there are.",
    ),
    "slowest": Macro(
        "n",
        """
        SELECT kind, purpose, provider, latency_s, attempts, failure FROM events
        WHERE NOT from_store ORDER BY latency_s DESC, key LIMIT n
        """,
        "The n calls that took longest.",
    ),
    "rate_over_time": Macro(
        "seconds",
        """
        SELECT (floor((started - first) / seconds) * seconds)::DOUBLE AS from_s, kind,
            count(*) AS calls, count(*) FILTER (from_store) AS from_store,
            count(*) FILTER (failure IS NOT NULL) AS failed,
            coalesce(sum(prompt_tokens + completion_tokens) FILTER (NOT from_store), 0)::BIGINT AS tokens,
            coalesce(sum(cost), 0)::DOUBLE AS cost
        FROM events, (SELECT min(started) AS first FROM events) GROUP BY ALL ORDER BY from_s, kind
        """,
        "Calls and spend in steps of so many seconds from the first call on.",
    ),
}
"""Those that give rows, `from name(...)`; they ask the answers and the tables."""
