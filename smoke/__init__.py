"""Smoke test of a deployed stack over HTTP: `make smoke URL=... KEY=...`."""
