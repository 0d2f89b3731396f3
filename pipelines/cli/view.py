"""Look at trajectories in the browser, and review them.

A list to filter and sort; a page for each trajectory with image, boxes, crops, turns, evidence and verdict; two
attempts side by side. Accept, reject, correct a box, comment: `gog export --reviewed` honours it. Ctrl-C ends it.
"""

import asyncio
import getpass
import signal
import sys
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gog.pipelines.cli.errors import UseError, listening
from gog.pipelines.cli.options import LakeOption, OfConfig, command_app, example
from gog.pipelines.cli.targets import runs_of

if TYPE_CHECKING:
    from gog.pipelines.show.web.server import Viewer

PORT: Final = 8322
MORE: Final = (
    "It listens on this machine alone. From another one: ssh -L 8322:127.0.0.1:8322 HOST, then the same address. "
    "Press ? in the browser for the keys. Reviews are kept in LAKE/runs/RUN/reviews as they are made."
)

app = command_app()


@app.command(
    help=__doc__, epilog=example("gog view", "gog view --lake /data/lake --run fvqa --reviewer ana", more=MORE)
)
def view(
    config: OfConfig = None,
    lake: LakeOption = None,
    name: Annotated[
        str | None, typer.Option("--run", metavar="NAME", help="The run to open first; all of the lake can be seen.")
    ] = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, metavar="NUMBER", help="Port to listen on; 0 takes a free one.")
    ] = PORT,
    reviewer: Annotated[
        str | None, typer.Option("--reviewer", metavar="NAME", help="Who reviews; your login unless given.")
    ] = None,
) -> None:
    from gog.pipelines.lake.lake import Lake
    from gog.pipelines.lake.review_files import reviewer_name
    from gog.pipelines.show.web.server import Viewer

    places = runs_of(config, lake, name)
    try:
        who = reviewer_name(reviewer if reviewer is not None else _login())
    except ValueError as error:
        raise UseError(f"--reviewer: {error}") from None
    opened = Lake(Path(places[0].lake), create=False)
    first = places[0].run if len(places) == 1 else None
    asyncio.run(_serve(Viewer(opened, who, first), port))


def _login() -> str:
    with suppress(KeyError, OSError, ImportError):
        return getpass.getuser()
    return "me"


async def _serve(viewer: "Viewer", port: int) -> None:
    """Serve until the process is interrupted or told to end."""
    from gog.pipelines.show.web.server import ADDRESS, serving

    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, ended.set)
    try:
        async with AsyncExitStack() as stack:
            with listening(ADDRESS, port):
                address = await stack.enter_async_context(serving(viewer, port))
            print(f"Open {address} in a browser; Ctrl-C ends it")
            sys.stdout.flush()
            await ended.wait()
    finally:
        for signum in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(signum)
