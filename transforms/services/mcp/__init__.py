"""Tools of MCP servers: addresses, what a server offers, and its calls. The SDK is the extra `mcp`."""
