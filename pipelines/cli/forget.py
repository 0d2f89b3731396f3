"""Take pictures, seeds, rows or pages out of a lake for good.

Out of pictures, crops and thumbnails that nothing else uses, the tables of all runs, reviews, the store and the search
indexes that runs name. Exports that hold any of it are removed: `gog export` makes them anew. A later ingest
leaves it out as ingest.forgotten. Stopped half-way, the same command goes on; a receipt stays.
"""

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gog.pipelines.cli.errors import UseError
from gog.pipelines.cli.options import JsonOption, LakeOption, example, option, print_json
from gog.pipelines.cli.targets import lake_of

if TYPE_CHECKING:
    from gog.pipelines.lake.forgotten import Receipt

EXAMPLES = example("gog forget --source row-17 --dry-run", "gog forget --source row-17", "gog forget --seed seed-0123")

Images = Annotated[list[str] | None, option("--image", "SHA256", "A picture, by its sha256; may be repeated.")]
Seeds = Annotated[list[str] | None, option("--seed", "ID", "A seed, by its seed_id; may be repeated.")]
Sources = Annotated[list[str] | None, option("--source", "ID", "A row, by the id that the source gave it.")]
Pages = Annotated[list[str] | None, option("--page", "ADDRESS", "A page that searches found; may be repeated.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would go; nothing is changed.")]


def forget(
    image: Images = None,
    seed: Seeds = None,
    source: Sources = None,
    page: Pages = None,
    dry_run: DryRun = False,
    lake: LakeOption = None,
    as_json: JsonOption = False,
) -> None:
    from gog.pipelines.lake.lake import Lake
    from gog.pipelines.tools.forget import forget as carry_out
    from gog.pipelines.tools.forget_plan import Asked, plan

    asked = Asked(tuple(seed or ()), tuple(image or ()), tuple(source or ()), tuple(page or ()))
    if asked == Asked():
        raise UseError("say what: --image SHA256, --seed ID, --source ID or --page ADDRESS")
    for name in asked.images:
        if not re.fullmatch(r"[0-9a-f]{64}", name):
            raise UseError(f"{name[:100]!r} is no sha256: 64 signs of 0 to 9 and a to f, as image_sha256 of seeds")
    root = lake_of(lake)
    opened = Lake(root, create=False)
    if dry_run:
        receipt, path = plan(opened, asked), None
    else:
        receipt, path = carry_out(opened, asked)
    if as_json:
        print_json(receipt.model_dump(mode="json") | {"receipt": str(path) if path else None})
    else:
        _tell(root, receipt, path)


def _tell(root: str, receipt: "Receipt", path: Path | None) -> None:
    counts = ", ".join(f"{number:,} {what}" for what, number in receipt.counts.items())
    print(f"{'gone' if path else 'would go'}: {counts}")
    for run, leaves in receipt.runs.items():
        for name, arguments in leaves.exports.items():
            again = f"; `gog export {arguments} --lake {shlex.quote(root)} --run {run}` makes it anew" if path else ""
            print(f"{run}/exports/{name}: {'removed' if path else 'would be removed'}{again}")
    for folder, pictures in receipt.galleries.items():
        print(f"{folder}: {pictures:,} of its pictures {'gone' if path else 'would go'}")
    for folder, pages in receipt.corpora.items():
        print(f"{folder}: {pages:,} of its pages {'gone' if path else 'would go'}")
    if receipt.galleries:
        print("Small copies of it that came back to searches for other seeds stay: they are evidence of those.")
    print(f"Not looked at: the source and its copies in {root}/sources and {root}/fetched, exports elsewhere,")
    print("other lakes, cassettes, sealed worlds, evaluations.")
    print(f"receipt: {path}" if path else "nothing is changed: the same without --dry-run does it")
