"""One strict renderer for the prompt files beside it.

`render` fails on a variable that is missing or not used, and returns the text with the content hash of the file,
which everything made from the text keeps.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template, meta

_ENVIRONMENT = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False)  # noqa: S701 - plain text


class PromptError(ValueError):
    """A prompt was rendered with missing or unknown variables."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered prompt. `hash` is 16 hex digits of the sha256 of the template file."""

    name: str
    text: str
    hash: str


@cache
def _load(name: str) -> tuple[Template, frozenset[str], str]:
    source = files("gog.prompts").joinpath(f"{name}.md.j2").read_text("utf-8")
    wanted = meta.find_undeclared_variables(_ENVIRONMENT.parse(source))
    digest = hashlib.sha256(source.encode()).hexdigest()[:16]
    return _ENVIRONMENT.from_string(source), frozenset(wanted), digest


def render(name: str, **variables: object) -> Prompt:
    """Render `prompts/<name>.md.j2`. Raises `PromptError` unless the variables are exactly those it uses."""
    template, wanted, digest = _load(name)
    if wanted != variables.keys():
        missing, unknown = sorted(wanted - variables.keys()), sorted(variables.keys() - wanted)
        raise PromptError(f"prompt {name}: missing {missing}, unknown {unknown}")
    return Prompt(name, template.render(**variables).strip(), digest)


def prompt_hash(name: str) -> str:
    """Content hash of a prompt file."""
    return _load(name)[2]
