"""API keys: their format, their table, their usage plans."""
