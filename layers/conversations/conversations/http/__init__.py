"""HTTP: parsing of requests, rendering of responses, routes and CORS."""
