"""API keys: their format, table and usage plans."""
