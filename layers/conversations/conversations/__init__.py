"""The item contract, the store and the API keys: what every function shares, as a layer."""
