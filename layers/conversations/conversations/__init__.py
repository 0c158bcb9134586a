"""The Lambda layer that all functions share: item contract, HTTP, storage and API keys."""
