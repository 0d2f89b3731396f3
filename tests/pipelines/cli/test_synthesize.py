"""`gog synthesize` takes the shards that are ingested."""

from calling import Gog, Place, contents

from gog.pipelines.lake.lake import Lake


def test_synthesize_leaves_shards_that_are_not_ingested(gog: Gog, copied: Place, finished: Place) -> None:
    lake = Lake(copied.lake)
    for table in ("seeds", "rejects", "funnel"):
        lake.part_path("tiny", table, "ingest", 1).unlink()
    for path in copied.run.glob("*/part-synthesize-00001.parquet"):
        path.unlink()
    assert gog("synthesize", "-c", copied.config).code == 0
    assert not lake.part_path("tiny", "trajectories", "synthesize", 1).exists()
    assert gog("run", "-c", copied.config).code == 0
    assert contents(copied.run) == contents(finished.run)
