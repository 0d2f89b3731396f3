"""The tools of MCP servers that a config names: asked for when a run begins, pinned from then on."""

from pydantic import ValidationError

from gog.pipelines.config.config import Config, ConfigError
from gog.pipelines.lake.lake import Lake, is_lake
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.episode.tools import servers_among
from gog.transforms.services.loop import run_on_loop
from gog.transforms.services.mcp.address import parse_address
from gog.transforms.services.mcp.pinned import McpListError, PinnedTool, changed
from gog.transforms.services.mcp.server import check_there, server_at
from gog.transforms.services.protocols import ServiceError


def with_pinned(config: Config, *, ask: bool = True) -> Config:
    """The config with the tools of its MCP servers: those that its run pinned, or else those that they offer now.

    Unless `ask`, or in a replay, the servers are not asked. Raises `ConfigError` where they do not answer, have
    changed since the run began, or offer what cannot be offered.
    """
    servers = servers_among(config.episode.tools)
    if not servers:
        return config
    pinned = _pinned_before(config)
    if ask and config.store.mode != "replay":
        now = tuple(tool for server in servers for tool in _tools_of(server))
        said = changed(pinned, now) if pinned else ""
        if said:
            places = ", ".join(dict.fromkeys(tool.server for tool in (*pinned, *now)))
            raise ConfigError(
                f"{places}: not as it was when {config.run!r} began: {said}; bring the old server back, or give this "
                "run another name with --run"
            )
        pinned = pinned or now
    if not pinned and ask:
        raise ConfigError(
            f"{servers[0]}: a replay asks no server: copy episode.pinned from the manifest of the run that is replayed"
        )
    try:
        episode = EpisodeSettings.model_validate(
            config.episode.model_dump() | {"pinned": [tool.model_dump() for tool in pinned]}
        )
    except ValidationError as error:
        raise ConfigError(str(error.errors()[0]["msg"]).removeprefix("Value error, ")) from None
    return config.model_copy(update={"episode": episode})


def _pinned_before(config: Config) -> tuple[PinnedTool, ...]:
    """What the run pinned that is there already, or what the config has."""
    manifest = Lake(config.lake, create=False).read_manifest(config.run) if is_lake(config.lake) else None
    kept = manifest.config.get("episode") if manifest is not None else None
    pinned = kept.get("pinned") if isinstance(kept, dict) else None
    if isinstance(pinned, list) and pinned:
        return tuple(PinnedTool.model_validate(tool) for tool in pinned)
    return config.episode.pinned


def _tools_of(address: str) -> tuple[PinnedTool, ...]:
    parsed = parse_address(address)
    try:
        check_there(parsed)
        return run_on_loop(server_at(parsed.server).tools(parsed))
    except McpListError as error:
        raise ConfigError(str(error)) from None
    except ServiceError as error:
        raise ConfigError(f"{parsed.server}: the MCP server does not answer ({error}): is it there?") from None
