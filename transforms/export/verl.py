"""verl's rows: a prompt with `<image>`, the image's bytes, and what an episode begins with and is paid by.

Checked with verl 0.9.1 (`verl.utils.dataset.rl_dataset`).
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from gog.transforms.export.rows import RlRow
from gog.transforms.export.text import in_json, with_placeholders

AGENT: Final = "gog_episode"
"""Name of the agent loop, as the export's `agent.yaml` has it."""
DATA_SOURCE: Final = "glance-or-gaze"


def rl(row: RlRow, index: int, originals: Sequence[str]) -> dict[str, Any]:
    """A row without its images. `originals` are the names of the question's pictures in the export.

    The gold answers are in `ground_truth` alone, as JSON text.
    """
    gold = {
        "question": row.question,
        "answers": list(row.answers),
        "answer_type": row.answer_type,
        "answer_unit": row.answer_unit,
        "answer_low": row.answer_low,
        "answer_high": row.answer_high,
    }
    return {
        "data_source": DATA_SOURCE,
        "prompt": [
            {"role": message["role"], "content": with_placeholders(message["content"])}
            for message in json.loads(row.prompt)
        ],
        "ability": row.category or "visual-search",
        "reward_model": {"style": "rule", "ground_truth": in_json(gold)},
        "agent_name": AGENT,
        "extra_info": {
            "index": index,
            "split": row.split.value,
            "seed_id": row.seed_id,
            "source_id": row.source_id,
            "level": row.level,
            "pass_rate": row.pass_rate,
            "images": list(originals),
        },
    }
