"""YAML of settings, read strictly: what is odd is a `YamlError` of one line, never another error."""

from collections.abc import Hashable
from typing import Any, Final

import yaml

LONGEST: Final = 100_000
"""Characters of a file of settings."""
DEEPEST: Final = 50
"""Lists and mappings within each other."""
MOST: Final = 10_000
"""Values, those of aliases counted wherever they stand."""
_BITS: Final = 1024


class YamlError(ValueError):
    """The text is no YAML that settings can be; the message is one line, with the place where there is one."""


def load_yaml(text: str) -> Any:
    """What the text holds, None where it is empty. Raises `YamlError`: also for a key that is given twice."""
    if len(text) > LONGEST:
        raise YamlError(f"longer than {LONGEST:,} characters")
    try:
        _check_shape(text)
        return yaml.load(text, _Strict)  # noqa: S506 - a SafeLoader that takes less
    except yaml.YAMLError as error:
        raise YamlError(_line(error)) from None


class _Strict(yaml.SafeLoader):
    def get_single_node(self) -> yaml.Node | None:
        node: yaml.Node | None = super().get_single_node()
        if node is not None:
            _size(node, {})
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, int) and value.bit_length() > _BITS:  # 59:59:59:... is a number of any length
                raise OverflowError
            return value
        except (ValueError, OverflowError, KeyError, AttributeError):  # a date that is none, thousands of digits, ...
            shown = f"{node.value[:40]!r} " if isinstance(node, yaml.ScalarNode) else ""
            raise _wrong(f"{shown}cannot be read as a value; quote it if it is a text", node) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if (key.tag, key.value) in seen:
                    raise _wrong(f"the key {key.value[:40]!r} is given twice", key)
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


def _check_shape(text: str) -> None:
    """Without recursion and values, so that neither depth nor numbers of them cost anything."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, yaml.SafeLoader)):
        if number > 2 * MOST:
            raise _wrong(f"more than {MOST:,} values", event)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise _wrong(f"lists or mappings more than {DEEPEST} deep", event)


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Values in a node. Raises on one that holds itself, and on aliases of aliases that come to more than `MOST`."""
    if known.get(id(node)) == 0:
        raise _wrong("an alias of what it stands in", node)
    if id(node) not in known:
        known[id(node)] = 0
        parts = node.value if isinstance(node, yaml.CollectionNode) else []
        flat = [part for pair in parts for part in pair] if isinstance(node, yaml.MappingNode) else parts
        known[id(node)] = 1 + sum(_size(part, known) for part in flat)
    if known[id(node)] > MOST:
        raise _wrong(f"more than {MOST:,} values", node)
    return known[id(node)]


def _wrong(problem: str, at: yaml.Node | yaml.Event) -> yaml.MarkedYAMLError:
    mark: Any = at.start_mark
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "characters that YAML does not take"
    where = f"line {mark.line + 1}: " if mark else ""
    return where + " ".join(str(problem).split())[:200]
