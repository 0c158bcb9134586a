"""What the service takes: of processors (`make bench`, `make load`), and of money (`make cost`).

`python -m benchmarks.payloads` and `python -m benchmarks.request_units` print tables of
docs/storage.md. The peers of `make bench` are in `benchmarks/peers`.
"""
