"""Pages of the web: fetched from public addresses only, read as text, cut to what a query asks for."""
