"""Generator of the OpenAPI documents of both dialects, from routes, handlers and contract."""
