"""The OpenAPI documents of the two faces, made from the routes, the handlers and the contract."""
