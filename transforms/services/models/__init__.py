"""Chat models: endpoints that speak OpenAI's protocol, and servers that are started as children."""
