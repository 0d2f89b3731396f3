"""Takes what is to be forgotten out of a lake, file by file, each whole before and after.

The receipt is written first, with all that leaves: whoever is killed is gone on with by the next `gog forget`, and
every step can be done twice.
"""

from collections import Counter
from collections.abc import Callable, Sequence, Set
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

from gog.pipelines.connect.stores import make_store
from gog.pipelines.lake.disk import disk_errors, write_atomic
from gog.pipelines.lake.forgotten import Receipt, RunPlan, receipts, write_receipt
from gog.pipelines.lake.lake import Lake, part_rows
from gog.pipelines.lake.review_files import AuditBook, ReviewBook
from gog.pipelines.tools.forget_plan import Asked, concerns, configs_of, plan, sha256_of_address, shard_of
from gog.pipelines.tools.galleries import is_index
from gog.schemas import TABLES, Reject, Unit
from gog.schemas.rows import to_row
from gog.transforms.part_file import encode_part
from gog.transforms.place import files_below, name_below, place, remove_folder
from gog.transforms.services.search.corpus_change import forget_pages
from gog.transforms.services.search.gallery_change import remove_pictures
from gog.transforms.services.store.records import Mode

Row = dict[str, Any]


def forget(lake: Lake, asked: Asked) -> tuple[Receipt, Path]:
    """Forget it, under the locks of all runs; returns the receipt and its file.

    What an earlier, killed call had begun is finished first; where that was all, its receipt is returned. Raises
    `NothingToForgetError`, `LakeError` (also where a run is at work) and `StoreError`.
    """
    with ExitStack() as locks:
        for run in lake.runs():
            locks.enter_context(lake.lock(run))
        finished = [_carry_out(lake, receipt) for receipt in receipts(lake) if receipt.state == "begun"]
        for receipt, path in finished:
            if _same(receipt, asked):
                return receipt, path
        receipt = plan(lake, asked)
        write_receipt(lake, receipt)
        return _carry_out(lake, receipt)


def _same(receipt: Receipt, asked: Asked) -> bool:
    if asked.pages and {*map(sha256_of_address, asked.pages)} - {*receipt.pages_sha256}:
        return False
    return not asked.sources and set(asked.images) <= {*receipt.images_named} and set(asked.seeds) <= {*receipt.seeds}


def _carry_out(lake: Lake, receipt: Receipt) -> tuple[Receipt, Path]:
    for run, leaves in receipt.runs.items():
        _drop_exports(lake.run_folder(run), leaves)
        remove_folder(lake.root / "previews" / run)
        _rewrite_tables(lake, run, leaves)
    configs = configs_of(lake)
    for run, keys in receipt.store_keys.items():
        with closing(make_store(configs[run], Mode.RECORD)) as store:
            store.drop(keys)
    for folder in map(place, receipt.galleries):
        if is_index(folder):
            remove_pictures(folder, {*receipt.images, *receipt.images_named})
    for folder in map(place, receipt.corpora):
        if is_index(folder):
            forget_pages(folder, {*receipt.pages_sha256})
    for sha256 in receipt.images:
        lake.images.remove(sha256)
    done = receipt.model_copy(update={"state": "done"})
    return done, write_receipt(lake, done)


def _drop_exports(folder: Path, leaves: RunPlan) -> None:
    """Exports that hold any of it go as a whole, so that their card, counts and hashes are true again when made anew;
    and so do the report and the previews, which show pictures.
    """
    for name in leaves.exports:
        export = folder / "exports" / name
        with disk_errors(export, "remove"):
            (folder / "exports" / f".{name}.json").unlink(missing_ok=True)
            remove_folder(export)
        if name in ("sft", "rl"):
            (folder / "rejects" / f"part-export_{name}-00000.parquet").unlink(missing_ok=True)
    for path in files_below(folder / "exports"):  # of one that was killed on its way, with or without it
        if ".new/" in name_below(path, folder):
            path.unlink(missing_ok=True)
    for name in ("report.html", "lake.duckdb"):
        (folder / name).unlink(missing_ok=True)
    remove_folder(folder / "pictures")


def _rewrite_tables(lake: Lake, run: str, leaves: RunPlan) -> None:
    seeds, trajectories, evidence = set(leaves.seeds), set(leaves.trajectories), set(leaves.evidence)
    ReviewBook(lake, run).compact()
    AuditBook(lake, run).compact()
    for name, rows in leaves.funnel.items():
        path = lake.table_folder(run, "funnel") / name
        if rows:
            write_atomic(path, encode_part("funnel", rows))
        else:
            path.unlink(missing_ok=True)

    def keep(row: Row) -> bool:
        return not concerns(row, seeds, trajectories) and row.get("evidence_id") not in evidence

    # Seeds come last: where they are gone, all is.
    for table in sorted(TABLES.keys() - {"funnel", "events"}, key=lambda table: table == "seeds"):
        for path in lake.parts(run, table):
            step = path.stem.removeprefix("part-").rsplit("-", 1)[0]
            if table == "rejects" and step == "ingest":
                here = [seed for seed, shard in leaves.seeds.items() if shard == shard_of(path)]
                _rewrite(path, table, partial(_ingest_rejects, here=here, seeds=seeds))
            else:
                _rewrite(path, table, lambda rows: [row for row in rows if keep(row)])
    _count_again(lake, run)


def _ingest_rejects(rows: list[Row], here: Sequence[str], seeds: Set[str]) -> list[Row]:
    """Seeds that are forgotten left at ingest; what left there before keeps its reason, and loses its content."""
    emptied = [row | {"payload": "", "detail": ""} if row["seed_id"] in seeds else row for row in rows]
    there = {(row["reason"], row["seed_id"]) for row in rows}
    gone = [seed for seed in here if ("ingest.forgotten", seed) not in there]
    detail = "forgotten on request"
    fresh = [Reject.of("ingest", Unit.ROW, seed, "ingest.forgotten", detail=detail, seed_id=seed) for seed in gone]
    return [*emptied, *map(to_row, fresh)]


def _rewrite(path: Path, table: str, change: Callable[[list[Row]], list[Row]]) -> None:
    rows: list[Row] = [*part_rows(path)]
    changed = change(rows)
    if changed != rows:
        write_atomic(path, encode_part(table, changed))


def _count_again(lake: Lake, run: str) -> None:
    """The manifest's counts, from the funnel."""
    manifest = lake.read_manifest(run)
    if manifest is None:
        return
    passed: Counter[str] = Counter()
    for row in lake.read_rows(run, "funnel"):
        passed[f"{row['stage']}.{row['unit']}"] += row["passed"]
    lake.write_manifest(manifest.model_copy(update={"counts": dict(sorted(passed.items()))}))
