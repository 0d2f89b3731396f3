"""Look at trajectories in the browser, and review them.

A list to filter and sort; a page for each trajectory with image, boxes, crops, turns, evidence and verdict; two
attempts side by side. Accept, reject, correct a box, comment: `gog export --reviewed` honours it. Ctrl-C ends it.
"""

import asyncio
from typing import Annotated, Final

from gog.pipelines.cli.options import LakeOption, OfConfig, example, option
from gog.pipelines.cli.serving import serve
from gog.pipelines.cli.targets import reviewer_of, runs_of

PORT: Final = 8322
MORE: Final = (
    "It listens on this machine alone. From another one: ssh -L 8322:127.0.0.1:8322 HOST, then the same address. "
    "Press ? in the browser for the keys. Reviews are kept in LAKE/runs/RUN/reviews as they are made."
)
EXAMPLES = example("gog view", "gog view --lake /data/lake --run fvqa --reviewer ana", more=MORE)


def view(
    config: OfConfig = None,
    lake: LakeOption = None,
    name: Annotated[str | None, option("--run", "NAME", "The run to open first; all of the lake can be seen.")] = None,
    port: Annotated[int, option("--port", "NUMBER", "Port to listen on; 0 takes a free one.", min=0, max=65535)] = PORT,
    reviewer: Annotated[str | None, option("--reviewer", "NAME", "Who reviews; your login unless given.")] = None,
) -> None:
    from gog.pipelines.show.web.server import ADDRESS, Viewer, serving

    runs = runs_of(config, lake, name)
    who = reviewer_of(reviewer)
    first = runs[0].name if len(runs) == 1 else None
    viewing = serving(Viewer(runs[0].lake, who, first), port)
    asyncio.run(serve(viewing, ADDRESS, port, lambda url: print(f"Open {url} in a browser; Ctrl-C ends it")))
