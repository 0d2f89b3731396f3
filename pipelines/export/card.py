"""The dataset card of an export: front matter that the Hugging Face hub reads, and a page that people read.

Everything on it is counted or read from the rows. Names and texts come from outside and are escaped.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import yaml

from gog.pipelines.export.card_data import CardFacts
from gog.pipelines.export.formats import FORMATS, ExportFormat
from gog.pipelines.lake.one_line import one_line
from gog.pipelines.templates import templates
from gog.transforms.export.target import OWN

HUB_LICENCES: Final = frozenset(
    {
        *("apache-2.0", "mit", "bsd", "bsd-2-clause", "bsd-3-clause", "isc", "unlicense", "wtfpl", "gfdl"),
        *("cc", "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0"),
        *("cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0"),
        *("cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "odbl", "odc-by", "pddl"),
        *("cdla-sharing-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0"),
        *("gpl-2.0", "gpl-3.0", "lgpl-3.0", "agpl-3.0", "mpl-2.0"),
    }
)
"""Names of licences that the hub knows."""

_SPDX: Final = {"odbl-1.0": "odbl", "odc-by-1.0": "odc-by", "pddl-1.0": "pddl", "cc-by-sa": "cc-by-sa-4.0"}
_SIZES: Final = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


class _Done(str):
    """Markdown that is finished and not escaped again."""

    __slots__ = ()


_MARKDOWN: Final = re.compile(r"([\\`*_{}\[\]()#+!|<>~&$^=@:-])")


def escaped(text: object) -> str:
    """Text of unknown origin as Markdown that shows it, in one line: no markup, no HTML, no links."""
    if isinstance(text, _Done):
        return text
    return _MARKDOWN.sub(r"\\\1", one_line(text, 300))


def _code(text: object) -> str:
    """Text as a code span, fit for a table's cell."""
    line = one_line(text, 300).replace("`", "'").replace("|", "\\|")
    return _Done(f"`{line}`" if line else "")


def _number(value: float) -> str:
    return _Done(f"{value:,}")


def _percent(part: float, whole: float) -> str:
    return _Done(f"{part / whole:.1%}" if whole else "0.0%")


def hub_licences(licences: Mapping[str, int]) -> list[str]:
    """Names that the hub knows of the rows' licences (SPDX expressions or free text); `other` or `unknown` beside."""
    names: set[str] = set()
    for licence in licences:
        parts = re.split(r"\s+(?:AND|OR)\s+|[,;/()]", licence.strip(), flags=re.IGNORECASE)
        for part in filter(None, (p.strip().lower().replace(" ", "-") for p in parts)):
            name = _SPDX.get(part, part)
            names.add(name if name in HUB_LICENCES else "other")
        if not licence.strip():
            names.add("unknown")
    return sorted(names) or ["unknown"]


def _front_matter(facts: CardFacts, form: ExportFormat) -> str:
    licences = hub_licences(facts.licences)
    matter: dict[str, Any] = {"license": licences[0] if len(licences) == 1 else licences}
    if "other" in licences:
        matter["license_name"] = one_line(", ".join(facts.licences), 100)
    languages = sorted({code for code in facts.languages if re.fullmatch(r"[a-z]{2,3}", code)})
    if languages:
        matter["language"] = languages
    matter |= {
        "pretty_name": f"Glance-or-Gaze {facts.kind.upper()} splits",
        "size_categories": [next((name for limit, name in _SIZES if facts.rows < limit), "n>1M")],
        "task_categories": ["visual-question-answering"],
        "tags": ["glance-or-gaze", "tool-use", facts.kind] + (["synthetic"] if facts.kind == "sft" else []),
    }
    files = [{"split": split, "path": form.files.format(split)} for split in facts.filled]
    if files:
        matter["configs"] = [{"config_name": "default", "data_files": files}]
    return yaml.safe_dump(matter, sort_keys=False, allow_unicode=True)


def dataset_card(facts: CardFacts, form: ExportFormat = FORMATS[OWN]) -> str:
    """The card, README.md."""
    # Markdown: `finalize` escapes every expression.
    environment = templates(autoescape=False, finalize=escaped, keep_trailing_newline=True)
    environment.filters |= {
        "code": _code,
        "number": _number,
        "percent": _percent,
        "plain": _Done,
        "list_of": lambda names: _Done(str(list(names))),
    }
    usage = _Done(environment.from_string(form.card).render(facts=facts))
    page = environment.get_template("card.md.j2").render(facts=facts, form=form, usage=usage)
    return f"---\n{_front_matter(facts, form)}---\n\n{page}"
