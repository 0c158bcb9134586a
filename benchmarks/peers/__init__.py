"""Alternatives to the service, as its users would write them."""
