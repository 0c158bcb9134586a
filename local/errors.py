"""Errors that stop the local stack, with messages for the person who runs it."""


class LocalStackError(Exception):
    """Base class; the command line prints only the message."""


class TemplateError(LocalStackError):
    """Template that the local stack does not support."""


class UnusableAddressError(LocalStackError):
    """Address that is not a loopback one, or is in use."""


class FolderInUseError(LocalStackError):
    """Data folder that another stack uses."""


class EngineError(LocalStackError):
    """Emulator that is not installed, did not start, or exited."""


class UnusableKeyError(LocalStackError):
    """Value of `API_KEY` that cannot be a bearer key."""
