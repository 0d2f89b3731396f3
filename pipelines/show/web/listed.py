"""The table that the lists of a run are made of, in SQL over the run's views: a row for each trajectory."""

from typing import Final

from gog.pipelines.lake.lake import Lake
from gog.pipelines.lake.signature import signature_of
from gog.pipelines.views.database import pattern_of, quoted

MADE_OF: Final = ("trajectories", "seeds", "verdicts", "complexity", "curated", "rejects", "evidence")
"""Tables whose parts the list is made of."""

_EVIDENCE_IDS: Final = "CASE WHEN json_valid(steps) THEN json_extract_string(steps, '$[*].evidence_ids[*]') ELSE [] END"

LISTED: Final = f"""
CREATE TABLE listed AS
WITH found AS (
    SELECT trajectory_id, list(DISTINCT provider ORDER BY provider) AS providers
    FROM (SELECT trajectory_id, unnest({_EVIDENCE_IDS}) AS evidence_id FROM parts)
    JOIN (SELECT evidence_id, any_value(provider) AS provider FROM evidence GROUP BY ALL) USING (evidence_id)
    GROUP BY ALL
), left_for AS (
    SELECT id AS trajectory_id, list(DISTINCT reason ORDER BY reason) AS reasons
    FROM rejects WHERE unit = 'trajectory' GROUP BY ALL
), panel AS (
    SELECT DISTINCT trajectory_id FROM (
        SELECT trajectory_id, unnest(from_json(votes, '[{{"about": "VARCHAR", "says": "VARCHAR"}}]')) AS vote
        FROM verdicts WHERE json_valid(votes)
    ) WHERE vote.says <> 'unknown' GROUP BY trajectory_id, vote.about HAVING count(DISTINCT vote.says) > 1
), mixed AS (
    SELECT t.seed_id, avg((v.outcome = 'correct')::INTEGER) AS right_share
    FROM parts t JOIN verdicts v ON v.trajectory_id = t.trajectory_id
    WHERE v.outcome IN ('correct', 'wrong') GROUP BY ALL
), hard AS (
    SELECT seed_id, list(DISTINCT level::VARCHAR ORDER BY level::VARCHAR) AS levels, avg(pass_rate) AS pass_rate
    FROM complexity GROUP BY ALL
)
SELECT row_number() OVER (ORDER BY t.seed_id, t.sample_index, t.trajectory_id) AS place,
    t.trajectory_id, t.seed_id, t.sample_index, t.filename,
    coalesce(s.dataset, '') AS dataset, coalesce(s.category, '') AS category, coalesce(s.question, '') AS question,
    s.image_sha256, coalesce(s.width, 1) AS width, coalesce(s.height, 1) AS height,
    coalesce(s.further_images, '[]') AS further_images,
    t.origin, t.behaviour, CASE WHEN t.reflective THEN 'yes' ELSE 'no' END AS reflective, t.teacher,
    t.answer, t.stop,
    CASE WHEN json_valid(t.steps) THEN coalesce((t.steps->'$[#-1].turn')::BIGINT + 1, 0) ELSE 0 END AS turns,
    CASE WHEN json_valid(t.steps)
        THEN len(json_extract(t.steps, '$[*].box[0]')) ELSE 0 END AS gazes,
    CASE WHEN json_valid(t.steps) THEN json_extract(t.steps, '$[*].box')::VARCHAR[] ELSE [] END AS boxes,
    CASE WHEN json_valid(t.steps) AND s.further_images <> '[]'
        THEN json_extract(t.steps, '$[*].on_image')::VARCHAR[] ELSE [] END AS on_images,
    t.prompt_tokens + t.completion_tokens AS tokens,
    coalesce(v.outcome, '') AS outcome, coalesce(v.method, '') AS method,
    CASE WHEN c.trajectory_id IS NULL THEN 'no' ELSE 'yes' END AS kept,
    coalesce(x.levels, []) AS levels, x.pass_rate, coalesce(f.providers, []) AS providers,
    coalesce(l.reasons, []) AS reasons, coalesce(s.answers, '[]') AS accepted,
    list_filter([
        CASE WHEN p.trajectory_id IS NOT NULL THEN 'panel' END,
        CASE WHEN v.outcome = 'correct' AND v.method NOT IN ('judge', 'none') AND NOT v.grounded THEN 'grounding' END,
        CASE WHEN m.right_share > 0 AND m.right_share < 1 THEN 'attempts' END,
        CASE WHEN coalesce(v.outcome, 'unknown') = 'unknown' THEN 'unsettled' END,
        CASE WHEN v.method = 'judge' THEN 'judge' END
    ], lambda doubt: doubt IS NOT NULL) AS doubts,
    3.0 * list_contains(doubts, 'panel')::INTEGER + 3.0 * list_contains(doubts, 'grounding')::INTEGER
        + 8.0 * coalesce(m.right_share * (1 - m.right_share), 0)
        + 2.0 * list_contains(doubts, 'unsettled')::INTEGER + list_contains(doubts, 'judge')::INTEGER AS doubt,
    CASE WHEN v.outcome = 'correct' AND v.method NOT IN ('judge', 'none') AND p.trajectory_id IS NULL
        AND coalesce(v.grounded, true) AND NOT coalesce(v.leaked, true) AND v.reasons = '[]'
        THEN 'yes' ELSE 'no' END AS agreed,
    md5(t.trajectory_id) AS dice,
    lower(concat_ws(chr(10), s.question, t.answer, s.answers, s.entity)) AS words
FROM parts t
LEFT JOIN seeds s ON s.seed_id = t.seed_id
LEFT JOIN verdicts v ON v.trajectory_id = t.trajectory_id
LEFT JOIN curated c ON c.trajectory_id = t.trajectory_id
LEFT JOIN hard x ON x.seed_id = t.seed_id
LEFT JOIN found f ON f.trajectory_id = t.trajectory_id
LEFT JOIN left_for l ON l.trajectory_id = t.trajectory_id
LEFT JOIN panel p ON p.trajectory_id = t.trajectory_id
LEFT JOIN mixed m ON m.seed_id = t.seed_id
ORDER BY place
"""

DOUBTS: Final = {
    "panel": "the judges disagree",
    "grounding": "the rule says right, the judge says not grounded",
    "attempts": "attempts at this question disagree",
    "unsettled": "nobody could tell",
    "judge": "settled by the judge alone",
}
"""Why a trajectory is worth a look before others, the worst first."""


def signature(lake: Lake, run: str) -> int:
    """A number that changes when a part of the list's tables is written."""
    return signature_of(path for table in MADE_OF for path in lake.parts(run, table))


def parts_of(lake: Lake, run: str) -> str:
    """The query of all trajectories, each with the name of its part."""
    paths = lake.parts(run, "trajectories")
    if not paths:
        return "SELECT *, NULL::VARCHAR AS filename FROM trajectories"
    pattern = quoted(pattern_of(paths[0].parent) + "/part-*.parquet")
    return f"SELECT * FROM read_parquet({pattern}, filename = true)"
