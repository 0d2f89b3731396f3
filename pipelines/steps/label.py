"""The label pipeline: complexity of the RL pool, by k tries of a policy."""

import json
from collections.abc import Iterator

import apache_beam as beam

from gog.pipelines.connect.addresses import episode_of, policy_id
from gog.pipelines.lake.lake import write_atomic
from gog.pipelines.steps.context import Context, read_seeds
from gog.pipelines.steps.curate import read_mark
from gog.schemas import Curated, Screening, Seed, Verdict
from gog.transforms.beam.label import Label


def label(context: Context) -> None:
    """Label every seed of the pool that has no label yet, shard by shard; all of them anew for another policy."""
    mark = context.lake.run_folder(context.run) / "complexity" / "inputs.json"
    config = context.config
    wanted = {"policy": policy_id(config.labeller, config), "settings": config.label.model_dump(mode="json")}
    if read_mark(mark) != wanted:
        context.forget("label")
        write_atomic(mark, json.dumps(wanted, sort_keys=True).encode())
    pool, solvable = rl_pool(context)
    episode = episode_of(config.labeller, config)
    root = str(context.lake.root)

    def build(pipeline: beam.Pipeline, batch: list[int]) -> None:
        rows, counts = (
            context.begin(pipeline, "label", batch)
            | "Pool" >> beam.FlatMap(_pool, root, context.run, pool, solvable)
            | "Label" >> Label(context.make_services, config.label, episode, config.window)
        )
        context.write("label", rows, counts, batch)

    context.each("label", context.shards_of("synthesize"), build)


def rl_pool(context: Context) -> tuple[frozenset[str], frozenset[str]]:
    """Ids of the seeds to label, and of those that a verified trajectory shows to be solvable.

    The pool is every hard screened seed that SFT does not train on: memorised seeds inflate pass rates.
    """
    lake, run = context.lake, context.run
    hard = {s.seed_id for s in lake.read_table(run, "screenings", Screening) if not s.easy}
    trained = {c.seed_id for c in lake.read_table(run, "curated", Curated)}
    solved = {v.seed_id for v in lake.read_table(run, "verdicts", Verdict) if not v.reasons}
    pool = frozenset(hard - trained)
    return pool, pool & solved


def _pool(
    shard: int, root: str, run: str, pool: frozenset[str], solvable: frozenset[str]
) -> Iterator[tuple[int, Seed, bool]]:
    for number, seed in read_seeds(shard, root, run):
        if seed.seed_id in pool:
            yield number, seed, seed.seed_id in solvable
