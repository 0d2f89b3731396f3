"""What `make demo` shows at its end: one trajectory as a picture, and what to type next."""

import shutil
import sys
from pathlib import Path

from gog.pipelines.config.config import Config
from gog.pipelines.lake.lake import Lake
from gog.pipelines.show.contact_sheet import contact_sheet, pick_example
from gog.pipelines.show.trajectory import Records, view_of
from gog.schemas import Curated, Evidence, Region, Seed, Trajectory, Verdict

NEXT = """\
One trajectory as a picture   {sheet}
The splits                    {exports}
All of it in the browser      {gog} view{lake}
In SQL                        {gog} inspect{lake} --sql "from funnel"
Five seeds, turn by turn      {gog} preview{lake} -n 5
Your own data                 {gog} init, edit gog.yaml, then {gog} doctor -c gog.yaml"""


def show_demo(config: Config, elsewhere: str) -> None:
    """Draw the example and print where things are; `elsewhere` leads a command to the lake."""
    lake = Lake(config.lake)
    folder = lake.run_folder(config.run)
    sheet = draw_example(lake, config.run, folder / "example.png")
    gog = "gog" if shutil.which("gog") else sys.argv[0]  # in an environment that nobody has activated
    print(NEXT.format(sheet=sheet, exports=folder / "exports", lake=elsewhere, gog=gog))


def draw_example(lake: Lake, run: str, path: Path, wanted: str = "") -> Path:
    """The contact sheet of a trajectory at `path`; of the kept one that shows most, where none is wanted.

    `wanted` is an id or the start of one. Raises `LookupError` when there is none, or several.
    """
    kept = {c.trajectory_id for c in lake.read_table(run, "curated", Curated)}
    verdicts = {v.trajectory_id: v for v in lake.read_table(run, "verdicts", Verdict)}
    if wanted:
        those = [t for t in lake.read_table(run, "trajectories", Trajectory) if t.trajectory_id.startswith(wanted)]
        if len(those) != 1:
            raise LookupError(f"{len(those) or 'no'} trajectories of the run {run!r} begin with {wanted[:80]!r}")
        example: Trajectory | None = those[0]
    else:
        trajectories = (t for t in lake.read_table(run, "trajectories", Trajectory) if t.trajectory_id in kept)
        example = pick_example(trajectories, verdicts)
    if example is None:
        raise LookupError(f"the run {run!r} has kept no trajectory")
    seed = next(s for s in lake.read_table(run, "seeds", Seed) if s.seed_id == example.seed_id)
    ids = {evidence_id for step in example.steps for evidence_id in step.evidence_ids}
    evidence = {e.evidence_id: e for e in lake.read_table(run, "evidence", Evidence) if e.evidence_id in ids}
    regions = [r for r in lake.read_table(run, "regions", Region) if r.seed_id == seed.seed_id]
    records = Records(example, seed, verdicts.get(example.trajectory_id), evidence, regions)
    contact_sheet(view_of(records), lake.images).save(path)
    return path
