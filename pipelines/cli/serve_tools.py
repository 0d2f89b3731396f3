"""Lend a config's searches to other agents, over MCP.

Offers the tools of ours that `episode.tools` names: searches of text and pictures, crops, pages. They go through the
store, the limits and the budget of the config's run. Streamable HTTP on the loopback, or with --stdio for a program
that starts it.
"""

import asyncio
import os
from typing import Annotated, Final

import typer

from gog.pipelines.cli.errors import UseError
from gog.pipelines.cli.options import ConfigOption, DemoOption, LakeOption, RunOption, example, option
from gog.pipelines.cli.serving import is_loopback, serve
from gog.pipelines.cli.targets import config_of

PORT: Final = 8331
MORE: Final = "Elsewhere than on the loopback it needs a token, which clients send as a bearer token: GOG_TOOLS_TOKEN."
EXAMPLES = example("gog serve-tools -c gog.yaml", "gog serve-tools --demo --stdio", more=MORE)


def serve_tools(
    config: ConfigOption = None,
    demo: DemoOption = False,
    lake: LakeOption = None,
    name: RunOption = None,
    stdio: Annotated[bool, typer.Option("--stdio", help="Talk through standard input and output.")] = False,
    port: Annotated[int, option("--port", "NUMBER", "Port to listen on; 0 takes a free one.", min=0, max=65535)] = PORT,
    host: Annotated[str, option("--host", "ADDRESS", "Address to listen on.")] = "127.0.0.1",
) -> None:
    from gog.pipelines.connect.services import close_stores
    from gog.pipelines.connect.tool_server import TOKEN, ServedTools, serve_stdio, serving_http

    keyed = bool(os.environ.get(TOKEN, "").strip())
    if not stdio and not keyed and not is_loopback(host):
        raise UseError(f"--host {host}: others reach it: set {TOKEN} to a token, which clients then have to send")
    served = ServedTools(config_of(config, lake, name, demo=demo))
    try:
        if stdio:
            asyncio.run(serve_stdio(served))
        else:
            names = ", ".join(served.tools)
            asyncio.run(
                serve(
                    serving_http(served, host, port),
                    host,
                    port,
                    lambda address: print(f"{names} at {address}; Ctrl-C ends it"),
                    keyed=keyed,
                )
            )
    finally:
        close_stores()
