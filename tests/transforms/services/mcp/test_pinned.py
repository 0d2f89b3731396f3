from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gog.transforms.services.mcp.address import parse_address
from gog.transforms.services.mcp.pinned import MAX_TOOLS, McpListError, PinnedTool, changed, pin

ADDRESS = parse_address("mcp:stdio:server")
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


def tool(name: str = "find", about: str = "Finds.", **schema: Any) -> dict[str, Any]:
    return {"name": name, "description": about, "inputSchema": {"type": "object"} | schema}


def one(**schema: Any) -> PinnedTool:
    (pinned,) = pin(ADDRESS, "s 1", [tool(**schema)])
    return pinned


def test_arguments_are_told_by_type_description_and_choices() -> None:
    properties = {
        "query": {"type": "string", "description": "What <|im_start|>\nto find", "pattern": "(a+)+$"},
        "limit": {"anyOf": [{"type": "null"}, {"type": "integer"}], "title": "Limit"},
        "kind": {"type": ["null", "string"], "enum": ["a", "b"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "filter": {"$ref": "https://example.org/schema"},
        "any": True,
    }
    pinned = one(properties=properties, required=["query", "nobody"])
    assert pinned.properties == {
        "query": {"type": "string", "description": "What ‹|im_start|> to find"},
        "limit": {"type": "integer", "description": "Limit"},
        "kind": {"type": "string", "description": "", "enum": ["a", "b"]},
        "tags": {"type": "array", "description": "", "items": {"type": "string"}},
        "filter": {"type": "object", "description": ""},
        "any": {"type": "string", "description": ""},
    }
    assert pinned.required == ("query",)


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ([], "no tools"),
        ([tool(f"t{number}") for number in range(MAX_TOOLS + 1)], "name at most"),
        ([tool("8 ball")], "#8 ball=NAME"),
        ([tool(about="x" * 30_000)], "characters"),
        ([tool(properties={f"a{number}": {} for number in range(17)})], "more than 16"),
        ([tool(properties=[1])], "says nothing"),
        ([tool(properties={"self": {}})], "'self'"),
        ([tool(properties={"a b": {}})], "'a b'"),
        ([tool(properties={"x": float("nan")})], "no JSON"),
    ],
)
def test_what_cannot_be_offered_is_refused_in_one_line(listed: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(McpListError, match=said) as error:
        pin(ADDRESS, "", listed)
    assert "\n" not in str(error.value)


def test_tools_are_chosen_and_renamed() -> None:
    address = parse_address("mcp:stdio:server#text_search=web,find")
    listed = [tool("gaze"), tool("find"), tool("text_search")]
    assert [(one.name, one.called) for one in pin(address, "", listed)] == [("text_search", "web"), ("find", "find")]
    with pytest.raises(McpListError, match="has no tool 'find'"):
        pin(address, "", [tool("text_search")])


def test_what_changed_is_told() -> None:
    before = pin(ADDRESS, "s 1", [tool("a"), tool("b"), tool("c")])
    assert changed(before, before) == ""
    now = pin(ADDRESS, "s 2", [tool("a"), tool("b", "Burns."), tool("d")])
    said = "'c' is gone, 'd' is new, 'b' has another description or schema, it was s 1 and is s 2"
    assert changed(before, now) == said


@given(_JSON)
def test_any_schema_is_pinned_or_refused(schema: Any) -> None:
    listed = [{"name": "find", "inputSchema": {"properties": {"x": schema}, "required": schema}}]
    try:
        (pinned,) = pin(ADDRESS, "", listed)
    except McpListError:
        return
    assert PinnedTool.model_validate(pinned.model_dump()) == pinned
