"""A request as the routes read it, and a response as they render it."""
