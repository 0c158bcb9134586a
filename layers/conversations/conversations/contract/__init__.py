"""The contract of requests: item types, bodies, and the errors of invalid ones."""
