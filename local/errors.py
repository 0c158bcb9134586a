"""What stops the local stack from starting or going on, as sentences for the one who runs it."""


class LocalStackError(Exception):
    """The message is all that is shown; never raised directly."""


class TemplateError(LocalStackError):
    """The template says something this gateway cannot read."""


class UnusableAddressError(LocalStackError):
    """The address is not a loopback one, or something else listens there."""


class FolderInUseError(LocalStackError):
    """Another stack uses the data folder."""


class EngineError(LocalStackError):
    """What stands in for DynamoDB and S3 is not installed, or did not start, or ended."""


class UnusableKeyError(LocalStackError):
    """`API_KEY` cannot be a bearer key."""
