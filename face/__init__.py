"""Glance-or-Gaze in Python: what a notebook or an orchestrator needs, by one import.

    import gog

    config = gog.load_config("gog.yaml", lake="lake")
    gog.run(config)
    run = gog.open_run(config.lake, config.run)
    kept = [trajectory for trajectory in run.records(gog.Trajectory) if trajectory.answer]

A name is loaded when it is first used: `import gog` alone loads none of what the engine needs. All but the records
needs the extra `pipelines`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gog.pipelines.api import Run, evaluate, export, open_lake, open_run
    from gog.pipelines.config.config import Config, ConfigError, load_config, parse_config
    from gog.pipelines.lake.lake import Lake, LakeError, Manifest
    from gog.pipelines.rehearse.doctor import doctor
    from gog.pipelines.rehearse.plan import plan
    from gog.pipelines.show.report.page import write_report
    from gog.pipelines.steps.run import STEPS, FunnelError, RunResult, run
    from gog.schemas import Reject, Seed, Trajectory, Verdict
    from gog.schemas.rows import SchemaError
    from gog.transforms.evaluate.items import BenchmarkError
    from gog.transforms.open_set import UnknownMemberError
    from gog.transforms.services.protocols import ServiceError
    from gog.transforms.services.store.schema import StoreError
    from gog.transforms.sources.formats import SourceError

    __version__: str

__all__ = [
    "STEPS",
    "BenchmarkError",
    "Config",
    "ConfigError",
    "FunnelError",
    "Lake",
    "LakeError",
    "Manifest",
    "Reject",
    "Run",
    "RunResult",
    "SchemaError",
    "Seed",
    "ServiceError",
    "SourceError",
    "StoreError",
    "Trajectory",
    "UnknownMemberError",
    "Verdict",
    "__version__",
    "doctor",
    "evaluate",
    "export",
    "load_config",
    "open_lake",
    "open_run",
    "parse_config",
    "plan",
    "run",
    "write_report",
]

_PLACES = {
    "gog.pipelines.api": ("Run", "evaluate", "export", "open_lake", "open_run"),
    "gog.pipelines.config.config": ("Config", "ConfigError", "load_config", "parse_config"),
    "gog.pipelines.lake.lake": ("Lake", "LakeError", "Manifest"),
    "gog.pipelines.rehearse.doctor": ("doctor",),
    "gog.pipelines.rehearse.plan": ("plan",),
    "gog.pipelines.show.report.page": ("write_report",),
    "gog.pipelines.steps.run": ("STEPS", "FunnelError", "RunResult", "run"),
    "gog.schemas": ("Reject", "Seed", "Trajectory", "Verdict"),
    "gog.schemas.rows": ("SchemaError",),
    "gog.transforms.evaluate.items": ("BenchmarkError",),
    "gog.transforms.open_set": ("UnknownMemberError",),
    "gog.transforms.services.protocols": ("ServiceError",),
    "gog.transforms.services.store.schema": ("StoreError",),
    "gog.transforms.sources.formats": ("SourceError",),
}
_PLACE_OF = {name: module for module, names in _PLACES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("glance-or-gaze")
    elif name in _PLACE_OF:
        value = getattr(import_module(_PLACE_OF[name]), name)
    else:
        raise AttributeError(f"module 'gog' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
