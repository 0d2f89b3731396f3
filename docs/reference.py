"""The reference pages of the documentation, made from the code: commands, config, tables, reasons.

MkDocs puts them into the site. Nothing of it is written by hand, so nothing of it can be out of date. `SECURITY.md`,
which stands at the top of the repository for those who look there, is a page too.
"""

import html
import tempfile
import types
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import duckdb
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from gog.pipelines.cli.main import COMMANDS, command_of
from gog.pipelines.config.config import Config
from gog.pipelines.config.field_docs import field_docs
from gog.pipelines.config.problems import models_in
from gog.pipelines.views.database import open_lake
from gog.pipelines.views.macros import TABLE_MACROS, VALUE_MACROS
from gog.pipelines.views.queries import QUERIES
from gog.schemas import TABLES
from gog.schemas.reasons import REASONS, FailureClass

MADE: Final = "This page is made from the code."


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    policy = Path(config.docs_dir).parent / "SECURITY.md"
    if policy.is_file():
        files.append(File.generated(config, "security.md", content=policy.read_text("utf-8").replace("](docs/", "](")))
    return files


def pages() -> dict[str, str]:
    """Markdown by the page's path in the site."""
    return {
        "reference/commands.md": commands_page(),
        "reference/config.md": config_page(),
        "reference/tables.md": tables_page(),
        "reference/reasons.md": reasons_page(),
    }


def commands_page() -> str:
    """Each command's `--help`, in the order of `gog --help`."""
    parts = [f"# Commands\n\n{MADE} Each command says the same with `--help`."]
    settings: dict[str, Any] = {"terminal_width": 80, "max_content_width": 80, "help_option_names": ["--help", "-h"]}
    for path, command in [c for name in COMMANDS for c in _commands(command_of(name), ("gog", name))]:
        with command.make_context(path[-1], [], resilient_parsing=True, **settings) as context:
            context.info_name = " ".join(path)
            parts.append(f"## {' '.join(path)}\n\n```text\n{command.get_help(context).strip()}\n```")
    return "\n\n".join(parts) + "\n"


def _commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The commands, and the groups that are commands themselves."""
    below = getattr(command, "commands", {})
    if not below or command.invoke_without_command:
        yield path, command
    for name, inner in below.items():
        yield from _commands(inner, (*path, name))


def config_page() -> str:
    """Every key of the config, with its type, its default and what it means."""
    from gog.pipelines.config.sources import SourceSettings
    from gog.transforms.evaluate.benchmark import BENCHMARKS

    lines = [
        "# Config",
        f"{MADE} `gog init` writes a commented file; unknown keys are errors.",
        *_section(Config, "", "The whole file", leave=("source",)),
        "## source",
        "Where rows come from: `kind` names one of these. [Sources and benchmarks](../sources.md) shows them at work.",
    ]
    for settings in models_in(SourceSettings):
        kinds = get_args(settings.model_fields["kind"].annotation)
        kinds = kinds or tuple(name for name in BENCHMARKS if not BENCHMARKS[name].bundled)
        lines.append(f"### kind: {', '.join(kinds)}")
        lines += _table(settings, "", ("kind",))
    below = {
        model: key
        for s in models_in(SourceSettings)
        for key, f in s.model_fields.items()
        for model in models_in(f.annotation)
    }
    for model, key in below.items():
        lines += _section(model, key, key)
    return "\n\n".join(lines) + "\n"


def _section(model: type[BaseModel], name: str, title: str, leave: tuple[str, ...] = ()) -> list[str]:
    """A model's own keys as a table, then a section for each key that is a section of its own."""
    lines = [f"## {title}", " ".join((model.__doc__ or "").split())]
    lines += _table(model, name, leave)
    for key, field in model.model_fields.items():
        if key in leave:
            continue
        for below in models_in(field.annotation):
            path = _path(name, key, field)
            lines += _section(below, path, path)
    return lines


def _path(name: str, key: str, field: FieldInfo) -> str:
    """A section's keys from the top, as its heading has them."""
    return f"{name}.{key}".lstrip(".") + (".NAME" if get_origin(field.annotation) is dict else "")


def _table(model: type[BaseModel], name: str, leave: tuple[str, ...] = ()) -> list[str]:
    """The keys of the section `name`; None for a section without headings below it."""
    docs = field_docs(model)
    rows = []
    for key, field in model.model_fields.items():
        if key in leave:
            continue
        kind, below = _type(field.annotation), models_in(field.annotation)
        if below and len(below) == 1:
            anchor = _path(name, key, field).replace(".", "").lower()
            kind = kind.replace("section", f"[section](#{anchor})")
        said = html.escape(docs.get(key, ""), quote=False).replace("|", "\\|")
        rows.append(f"| `{key}` | {kind} | {_default(field)} | {said} |")
    return ["\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *rows])] if rows else []


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin in (Union, types.UnionType):
        return " or ".join(_type(argument) for argument in arguments)
    if origin is Literal:
        return " or ".join(f"`{argument}`" for argument in arguments)
    if origin in (tuple, list, set, frozenset):
        return "list of " + _type(arguments[0]) if arguments else "list"
    if origin is dict:
        return f"{_type(arguments[0])} to {_type(arguments[1])}"
    if annotation is type(None):
        return "null"
    if isinstance(annotation, type):
        if issubclass(annotation, BaseModel):
            return "section"
        if issubclass(annotation, Enum):
            return " or ".join(f"`{member.value}`" for member in annotation)
        return {"str": "text", "int": "integer", "float": "number", "bool": "true or false"}.get(
            annotation.__name__, annotation.__name__
        )
    return "any"


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined and field.default_factory is None:
        return "needed"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, BaseModel):
        return "as there"
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, dict):
        value = {str(name): part for name, part in value.items()}
    shown = {None: "null", True: "true", False: "false"}.get(value) if isinstance(value, bool | None) else str(value)
    if isinstance(value, tuple | dict | frozenset) and not value:
        shown = "none"
    return f"`{shown}`" if shown else "empty"


def tables_page() -> str:
    """Tables, answers and macros, with every column."""
    with tempfile.TemporaryDirectory() as nowhere, open_lake(Path(nowhere)) as connection:
        lines = [
            "# Tables, answers and macros",
            f"{MADE} `gog inspect` asks them; so does any DuckDB over `lake.duckdb`, where `.schema NAME` and "
            "`duckdb_columns()` say the same. Boxes are fractions of the EXIF-corrected original image.",
            "## Answers",
            *[part for name in QUERIES for part in _described(connection, name)],
            "## Macros",
            "\n".join(
                ["| macro | meaning |", "|---|---|"]
                + [f"| `{name}({macro.parameters})` | {macro.comment} |" for name, macro in TABLE_MACROS.items()]
                + [
                    f"| `{name}({macro.parameters})`, a value | {macro.comment} |"
                    for name, macro in VALUE_MACROS.items()
                ]
            ),
            "## Tables of a run",
            "Parquet under `LAKE/runs/RUN/TABLE/part-*.parquet`; JSON Schema files are in `schemas/json`.",
            *[
                part
                for table in TABLES
                for part in _described(connection, "stage_counts" if table == "funnel" else table)
            ],
        ]
    return "\n\n".join(lines) + "\n"


def _described(connection: duckdb.DuckDBPyConnection, name: str) -> list[str]:
    ((comment,),) = connection.execute("SELECT comment FROM duckdb_views() WHERE view_name = ?", [name]).fetchall()
    columns = connection.execute(
        "SELECT column_name, data_type, comment FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index",
        [name],
    ).fetchall()
    rows = [f"| `{column}` | {kind} | {html.escape(said, quote=False)} |" for column, kind, said in columns]
    return [f"### {name}", comment, "\n".join(["| column | type | meaning |", "|---|---|---|", *rows])]


def reasons_page() -> str:
    """Why rows leave, and why calls fail."""
    rows = [f"| `{code}` | {said} |" for code, said in REASONS.items()]
    reasons = "\n".join(["| reason | meaning |", "|---|---|", *rows])
    meanings = field_docs(FailureClass)
    kinds = [
        f"| `{failure.value}` | {meanings[failure.name]} | {_what_comes_of(failure)} |" for failure in FailureClass
    ]
    return (
        "\n\n".join(
            [
                "# Reasons",
                f"{MADE} Whatever leaves the engine has a row in `rejects` with one of these codes.",
                reasons,
                "## Failures of calls",
                "\n".join(["| class | what it is | what comes of it |", "|---|---|---|", *kinds]),
            ]
        )
        + "\n"
    )


def _what_comes_of(failure: FailureClass) -> str:
    if failure.permanent:
        return "kept: asked again it would answer the same"
    if failure.passing:
        return "passing: tried again"
    return "the run stops for it, and a later run goes on" if failure.unasked else "not kept, not tried again"
