"""Which tables each step of a run writes."""

from typing import Final

STEP_TABLES: Final[dict[str, tuple[str, ...]]] = {
    "ingest": ("seeds", "rejects", "funnel"),
    "synthesize": ("screenings", "regions", "evidence", "trajectories", "verdicts", "rejects", "funnel"),
    "curate": ("groups", "curated", "rejects", "funnel"),
    "export_sft": ("rejects", "funnel"),
    "label": ("complexity", "rejects", "funnel"),
    "export_rl": ("rejects", "funnel"),
}
"""Tables that each step writes. A step has done a shard when all its parts of the shard are there."""
