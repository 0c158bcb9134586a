"""The operator's command line: `conversations`."""
