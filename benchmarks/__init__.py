"""Measurements of the service: CPU (`make bench`), load (`make load`) and cost (`make cost`).

`python -m benchmarks.payloads` and `python -m benchmarks.request_units` print tables of
docs/storage.md. The peers of `make bench` are in `benchmarks/peers`.
"""
