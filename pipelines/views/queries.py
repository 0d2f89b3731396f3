"""What people ask of a run, each a query over its tables and over the queries before it: views of `lake.duckdb`."""

from typing import Final, NamedTuple

from gog.transforms.services.store.rows import ASKED

STAGES: Final = ("ingest", "screen", "propose", "synthesize", "verify", "curate", "export_sft", "label", "export_rl")
"""Stages in the order of the pipelines."""


class Query(NamedTuple):
    """A query, what it holds, and what those of its columns mean that mean something else elsewhere."""

    comment: str
    query: str
    columns: dict[str, str]


_ORDER: Final = f"list_position({list(STAGES)!r}, stage) NULLS LAST, stage, unit"
_BOX: Final = "['DOUBLE']"

QUERIES: Final[dict[str, Query]] = {
    "funnel": Query(
        "What entered each stage and what left it, in the order of the pipelines.",
        f"""
        SELECT stage, unit,
            coalesce(entered, 0)::BIGINT AS entered,
            coalesce(passed, 0)::BIGINT AS passed,
            coalesce(rejected, 0)::BIGINT AS rejected,
            coalesce(entered, 0) = coalesce(passed, 0) + coalesce(rejected, 0) AS balanced
        FROM (SELECT stage, unit, sum(entered) AS entered, sum(passed) AS passed FROM stage_counts GROUP BY ALL)
        FULL JOIN (SELECT stage, unit, count(*) AS rejected FROM rejects GROUP BY ALL) USING (stage, unit)
        ORDER BY {_ORDER}
        """,
        {
            "rejected": "counted from the rejects themselves",
            "balanced": "entered = passed + rejected; anything else is a row that was lost or counted twice",
        },
    ),
    "reasons": Query(
        "Why things left, by stage.",
        f"""
        SELECT stage, unit, reason, count(*) AS rejects, count(*) / any_value(entered) AS share
        FROM rejects LEFT JOIN (SELECT stage, unit, entered FROM funnel) USING (stage, unit)
        GROUP BY stage, unit, reason
        ORDER BY {_ORDER}, rejects DESC, reason
        """,
        {"rejects": "how many left for it", "share": "of what entered the stage"},
    ),
    "over_quota": Query(
        "What balance left out, why, and what to change.",
        """
        SELECT coalesce(detail, '') AS detail, count(*) AS rejects FROM rejects WHERE reason = 'curate.over_quota'
        GROUP BY ALL ORDER BY rejects DESC, detail
        """,
        {"detail": "why, and what to change", "rejects": "trajectories that were left out"},
    ),
    "spend": Query(
        "Calls to the outside world, by provider and purpose.",
        f"""
        SELECT provider, kind, purpose,
            count(*) AS calls,
            count(*) FILTER (from_store) AS from_store,
            count(*) FILTER (failure IS NOT NULL) AS failed,
            coalesce(sum(prompt_tokens) FILTER (NOT from_store), 0)::BIGINT AS prompt_tokens,
            coalesce(sum(completion_tokens) FILTER (NOT from_store), 0)::BIGINT AS completion_tokens,
            coalesce(sum(cost), 0)::DOUBLE AS cost,
            median(latency_s) FILTER (NOT from_store) AS median_s
        FROM events WHERE {ASKED} GROUP BY provider, kind, purpose
        ORDER BY cost DESC, calls DESC, provider, kind, purpose
        """,
        {
            "from_store": "calls that the store answered",
            "prompt_tokens": "of calls that were made, not of what the store answered",
            "completion_tokens": "of calls that were made, not of what the store answered",
        },
    ),
    "providers": Query(
        "How fast and how sound each provider is.",
        f"""
        SELECT provider, kind,
            count(*) AS calls,
            count(*) FILTER (from_store) AS from_store,
            count(*) FILTER (failure IS NOT NULL) AS failed,
            count(*) FILTER (failure IS NULL) / count(*) AS answered,
            quantile_cont(latency_s, 0.5) FILTER (NOT from_store) AS median_s,
            quantile_cont(latency_s, 0.95) FILTER (NOT from_store) AS p95_s,
            coalesce(sum(greatest(attempts - 1, 0)), 0)::BIGINT AS retries
        FROM events WHERE {ASKED} GROUP BY provider, kind ORDER BY kind, provider
        """,
        {"from_store": "calls that the store answered", "answered": "share of the calls that did not fail"},
    ),
    "overview": Query(
        "A line for each trajectory: its seed, its verdict, and whether it was kept.",
        """
        SELECT t.trajectory_id, t.seed_id, s.dataset, s.category, s.question, s.answers, s.entity,
            t.origin, t.sample_index, t.behaviour, t.reflective, t.plan, t.plan_used_gold, t.teacher,
            t.stop, coalesce((t.steps->'$[#-1].turn')::BIGINT + 1, 0) AS turns, t.prompt_tokens, t.completion_tokens,
            t.answer,
            v.outcome, v.method, v.grounded, v.literal, v.leaked, v.gaze_useful, v.reasons, v.judge,
            c.trajectory_id IS NOT NULL AS kept, c.split
        FROM trajectories t
        LEFT JOIN seeds s ON s.seed_id = t.seed_id
        LEFT JOIN verdicts v ON v.trajectory_id = t.trajectory_id
        LEFT JOIN curated c ON c.trajectory_id = t.trajectory_id
        """,
        {"split": "side of the export, where it was kept", "reasons": "codes for which it leaves, as a JSON list"},
    ),
    "turns": Query(
        "A line for each turn of a model, or for each of its calls: what it did, and what it thought.",
        f"""
        SELECT trajectory_id, seed_id, step.turn, place - list_position(turns, step.turn) AS call, step.action,
            coalesce(step.arguments->>'query', step.arguments->>'label', step.arguments->>'text') AS said,
            step.box[1] AS x1, step.box[2] AS y1, step.box[3] AS x2, step.box[4] AS y2,
            CASE WHEN step.box IS NOT NULL
                OR (step.action = 'image_search' AND coalesce(step.arguments->>'query', '') = '')
                THEN coalesce(step.on_image, 0) END AS on_image,
            step.reflection, step.train, nullif(step.error, '') AS error, step.evidence_ids,
            coalesce(nullif(spoken[step.turn + 1].reasoning_content, ''), spoken[step.turn + 1].content) AS thought
        FROM (
            SELECT trajectory_id, seed_id, spoken, unnest(done) AS step, generate_subscripts(done, 1) AS place,
                list_transform(done, lambda s: s.turn) AS turns
            FROM (
                SELECT trajectory_id, seed_id,
                    list_filter(
                        from_json(
                            messages, '[{{"role": "VARCHAR", "reasoning_content": "VARCHAR", "content": "VARCHAR"}}]'
                        ), lambda m: m.role = 'assistant'
                    ) AS spoken,
                    from_json(steps, '[{{
                        "turn": "BIGINT", "action": "VARCHAR", "arguments": "JSON", "box": {_BOX.replace("'", '"')},
                        "on_image": "BIGINT", "reflection": "VARCHAR", "train": "BOOLEAN", "error": "VARCHAR",
                        "evidence_ids": ["VARCHAR"]
                    }}]') AS done
                FROM trajectories
            )
        )
        """,
        {
            "turn": "counted from 0",
            "call": "which of the turn's calls, counted from 0",
            "on_image": "number of the question's picture that is looked at; null where none is",
            "reflection": "of the turn: the line of its first call has it",
            "evidence_ids": "of what its call returned",
            "thought": "the model's reasoning, or what it wrote where it gave none",
        },
    ),
    "tool_calls": Query(
        "A line for each answered call of a tool: what was asked, what came back, and what the next turn made of it.",
        """
        SELECT t.trajectory_id, t.seed_id, t.turn, t.call, e.tool, e.provider,
            t.said, t.x1, t.y1, t.x2, t.y2, t.on_image, (t.x2 - t.x1) * (t.y2 - t.y1) AS area,
            e.evidence_id, e.hits, e.best_title, e.best_score, e.failure, t.judged
        FROM (
            SELECT *, unnest(evidence_ids) AS evidence_id,
                max(reflection) OVER (
                    PARTITION BY trajectory_id ORDER BY turn RANGE BETWEEN 1 FOLLOWING AND 1 FOLLOWING
                ) AS judged
            FROM (SELECT * EXCLUDE (thought) FROM turns)
        ) t
        JOIN (
            SELECT evidence_id, any_value(tool) AS tool, any_value(provider) AS provider,
                any_value(failure) AS failure, any_value(json_array_length(hits))::BIGINT AS hits,
                any_value(hits->'$[0]'->>'title') AS best_title,
                any_value(hits->'$[0]'->>'score')::DOUBLE AS best_score
            FROM evidence GROUP BY evidence_id
        ) e ON e.evidence_id = t.evidence_id
        """,
        {
            "turn": "the turn that called, counted from 0",
            "call": "which of its calls, counted from 0",
            "on_image": "number of the question's picture that was looked at; null where none was",
            "hits": "how many results came back",
            "provider": "who answered",
        },
    ),
    "searches": Query(
        "How the searches of trajectories did, by provider and tool.",
        """
        SELECT provider, tool, count(*) AS calls,
            count(*) FILTER (failure IS NOT NULL) AS failed,
            count(*) FILTER (failure IS NULL AND hits = 0) AS empty,
            count(*) FILTER (judged = 'useful') AS useful,
            count(*) FILTER (judged = 'off_target') AS off_target,
            count(*) FILTER (judged = 'ambiguous') AS ambiguous
        FROM tool_calls GROUP BY provider, tool ORDER BY provider, tool
        """,
        {},
    ),
    "behaviours": Query(
        "Mix of behaviours, by how the trajectories were made.",
        """
        SELECT origin, behaviour, reflective, count(*) AS attempts,
            count(*) FILTER (outcome = 'correct') AS correct,
            count(*) FILTER (kept) AS kept
        FROM overview GROUP BY origin, behaviour, reflective ORDER BY origin, behaviour, reflective
        """,
        {"attempts": "trajectories; attempts that ended without an answer are rejects and not here"},
    ),
    "categories": Query(
        "Share of right answers by kind of question.",
        """
        SELECT dataset, category, origin, count(*) AS attempts,
            count(*) FILTER (outcome = 'correct') AS correct,
            count(*) FILTER (outcome = 'correct') / count(*) AS share,
            count(*) FILTER (kept) AS kept
        FROM overview GROUP BY dataset, category, origin ORDER BY dataset, category, origin
        """,
        {
            "attempts": "trajectories; attempts that ended without an answer are rejects and not here",
            "share": "correct of attempts",
        },
    ),
    "levels": Query(
        "How hard the seeds are for a policy.",
        """
        SELECT policy, level, count(*) AS seeds, avg(pass_rate) AS pass_rate, min(pass_rate) AS least,
            max(pass_rate) AS most, avg(high - low) AS interval_width, sum(unknown)::BIGINT AS unknown
        FROM complexity GROUP BY policy, level ORDER BY policy, level
        """,
        {"pass_rate": "mean over the seeds", "unknown": "tries that nobody could judge"},
    ),
    "region_sources": Query(
        "Regions by who proposed them, and how many of them somebody looked at.",
        """
        SELECT r.source, count(*) AS regions, count(DISTINCT r.seed_id) AS seeds,
            median(r.score) AS median_score, median((r.x2 - r.x1) * (r.y2 - r.y1)) AS median_area,
            count(*) FILTER (r.best >= 0.5) AS looked_at, count(r.best) AS could_be
        FROM (
            SELECT p.region_id, any_value(p.source) AS source, any_value(p.seed_id) AS seed_id,
                any_value(p.score) AS score, any_value(p.x1) AS x1, any_value(p.y1) AS y1,
                any_value(p.x2) AS x2, any_value(p.y2) AS y2,
                max(box_iou(p.x1, p.y1, p.x2, p.y2, g.x1, g.y1, g.x2, g.y2)) AS best
            FROM (
                SELECT region_id, seed_id, on_image, source, score, corner[1] AS x1, corner[2] AS y1, corner[3] AS x2,
                    corner[4] AS y2
                FROM (SELECT *, from_json(box, '["DOUBLE"]') AS corner FROM regions)
            ) p
            LEFT JOIN (SELECT DISTINCT seed_id, on_image, x1, y1, x2, y2 FROM tool_calls WHERE x1 IS NOT NULL) g
                ON g.seed_id = p.seed_id AND g.on_image = p.on_image
            GROUP BY p.region_id
        ) r
        GROUP BY r.source ORDER BY r.source
        """,
        {
            "seeds": "seeds that have regions of this source",
            "median_area": "median share of the image that a region covers",
        },
    ),
    "benchmark_warnings": Query(
        "Seeds whose entity or answer a benchmark has too; they stay.",
        """
        SELECT dataset, kind, count(*) AS seeds, min(found) AS example
        FROM (
            SELECT dataset, unnest(['answer', 'entity']) AS kind,
                unnest([
                    json_extract_string(extra, '$.benchmark_warnings.answer'),
                    json_extract_string(extra, '$.benchmark_warnings.entity')
                ]) AS found
            FROM seeds
        )
        WHERE found IS NOT NULL GROUP BY ALL ORDER BY ALL
        """,
        {"kind": "answer or entity"},
    ),
    "votes": Query(
        "A line for each thing that a judge of a panel said.",
        """
        SELECT trajectory_id, seed_id, outcome, vote.about, vote.judge, vote.says,
            CASE WHEN 2 * yes > yes + no THEN 'yes' WHEN 2 * no > yes + no THEN 'no' ELSE 'unknown' END AS panel,
            vote.reply
        FROM (
            SELECT *, count(*) FILTER (vote.says = 'yes') OVER question AS yes,
                count(*) FILTER (vote.says = 'no') OVER question AS no
            FROM (
                SELECT trajectory_id, seed_id, outcome, unnest(from_json(votes, '[{
                    "judge": "VARCHAR", "about": "VARCHAR", "says": "VARCHAR", "reply": "VARCHAR"
                }]')) AS vote
                FROM verdicts
            ) WINDOW question AS (PARTITION BY trajectory_id, vote.about)
        )
        """,
        {
            "about": "answer, grounding or leak",
            "judge": "member of the panel",
            "says": "yes, no, or unknown: it abstained",
            "panel": "what most of those say who did not abstain",
            "reply": "what it said, as it came",
        },
    ),
    "panel": Query(
        "How the judges of a panel voted.",
        """
        SELECT judge, about, count(*) AS asked,
            count(*) FILTER (says = 'yes') AS yes, count(*) FILTER (says = 'no') AS no,
            count(*) FILTER (says = 'unknown') AS abstained,
            count(*) FILTER (says <> 'unknown' AND panel <> 'unknown' AND says <> panel) AS outvoted
        FROM votes GROUP BY judge, about ORDER BY about, judge
        """,
        {
            "about": "answer, grounding or leak",
            "judge": "member of the panel",
            "asked": "questions",
            "yes": "replies",
            "no": "replies",
            "abstained": "replies that could not be read, and failures",
            "outvoted": "replies that most of the panel did not share",
        },
    ),
    "pairs": Query(
        "Right and wrong trajectories of the same seed.",
        """
        SELECT r.seed_id, r.question, r.trajectory_id AS right_id, w.trajectory_id AS wrong_id,
            r.answer AS right_answer, w.answer AS wrong_answer,
            r.behaviour AS right_behaviour, w.behaviour AS wrong_behaviour
        FROM overview r JOIN overview w ON r.seed_id = w.seed_id
        WHERE r.outcome = 'correct' AND w.outcome = 'wrong'
        ORDER BY right_id, wrong_id
        """,
        {},
    ),
}
"""The queries by name; each may ask those before it."""
