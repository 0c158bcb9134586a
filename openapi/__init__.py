"""The OpenAPI documents of the two dialects, made from routes, handlers and contract."""
