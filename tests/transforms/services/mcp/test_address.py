import pytest

from gog.transforms.services.mcp.address import McpAddressError, parse_address


def test_addresses_of_the_web_and_of_commands() -> None:
    web = parse_address("mcp:https://search.example.org/mcp#find,text.search=web_search")
    assert (web.server, web.url) == ("mcp:https://search.example.org/mcp", "https://search.example.org/mcp")
    assert web.tools == {"find": "find", "text.search": "web_search"}
    assert (web.place, web.token_variable) == ("search.example.org", "GOG_MCP_TOKEN_SEARCH_EXAMPLE_ORG")
    started = parse_address("mcp:stdio:/usr/bin/python 'my server.py' --n 3")
    assert started.command == ("/usr/bin/python", "my server.py", "--n", "3")
    assert (started.place, started.tools) == ("python", {})


@pytest.mark.parametrize(
    "text",
    ["mcp:", "mcp:stdio:", "mcp:stdio:'", "mcp:ftp://x", "mcp:https://", "mcp:https://[", "mcp:https://u:p@host/"],
)
def test_what_is_no_address_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(McpAddressError) as error:
        parse_address(text)
    assert "\n" not in str(error.value)
