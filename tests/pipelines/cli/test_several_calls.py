"""A run whose teacher writes several calls at once: every step takes it, and a replay makes the same of it."""

import json
from pathlib import Path
from typing import Any

from aiohttp import web
from calling import Gog, contents, place
from misbehaving import Answer, misbehaving

from gog.pipelines.lake.lake import Lake
from gog.schemas import Trajectory
from gog.transforms.episode.steps import by_turn

CALLS = [
    {"name": "image_search", "arguments": "{}"},
    {"name": "gaze", "arguments": json.dumps({"bbox_2d": [0, 0, 500, 500], "label": "a flag", "image": 0})},
    {"name": "gaze", "arguments": json.dumps({"bbox_2d": [0, 0, 900, 900], "label": "its corner", "image": 1})},
    {"name": "gaze", "arguments": json.dumps({"bbox_2d": [500, 500, 1000, 1000], "label": "another", "image": 0})},
]


def at_once(request: web.Request, body: dict[str, Any]) -> Answer:
    """An episode begins with all of the calls; the planner goes on."""
    if not body.get("tools") or any(message["role"] == "assistant" for message in body["messages"]):
        return None
    calls = [{"id": f"c{number}", "type": "function", "function": call} for number, call in enumerate(CALLS)]
    message = {"role": "assistant", "content": "I look at everything.", "tool_calls": calls}
    return {
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 16},
    }


def test_a_run_of_turns_with_several_calls(gog: Gog, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"synthesize": {"rollouts": 2, "composed": 0}, "episode": {"calls_per_turn": 4}}
    with misbehaving(at_once) as server:
        made = place(tmp_path, 2, 2, teacher=server.address(), **changes)
        done = gog("run", "-c", made.config)
        assert done.code == 0, done.err
        trajectories = list(Lake(made.lake).read_table("tiny", "trajectories", Trajectory))
        first = [by_turn(trajectory.steps)[0] for trajectory in trajectories if trajectory.origin == "rollout"]
        assert first
        assert all([step.action for step in turn] == [call["name"] for call in CALLS] for turn in first)
        assert all(len({step.evidence_ids for step in turn}) == 4 for turn in first)
        assert all(turn[2].box.x2 <= turn[1].box.x2 for turn in first if turn[1].box and turn[2].box)
    plain = made.config.read_text()
    assert "mode: record" in plain
    made.config.write_text(plain.replace("mode: record", "mode: replay"))
    again = gog("run", "-c", made.config, "--run", "again")
    assert again.code == 0, again.err
    one, other = (contents(made.lake / "runs" / run) for run in ("tiny", "again"))
    tables = [name for name in one if name.startswith(("trajectories/", "evidence/", "verdicts/", "curated/"))]
    assert tables
    assert {name: one[name] for name in tables} == {name: other[name] for name in tables}
    assert gog("report", "--run", "tiny", "--lake", made.lake).code == 0
