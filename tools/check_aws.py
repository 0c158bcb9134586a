"""Check region and credentials before `make deploy` builds, with the SAM CLI's own boto3.

Region and profile are those of `sam deploy`: its options, else samconfig.toml, else the shell.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

CONFIG = Path(__file__).parents[1] / "samconfig.toml"


def main() -> str | None:
    """Return the reason why AWS cannot be called, as a sentence, or None."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for option in ("--config-env", "--region", "--profile"):
        parser.add_argument(option)
    given, _ = parser.parse_known_args()
    configured = tomllib.loads(CONFIG.read_text(encoding="utf-8")).get(given.config_env, {})
    options = {
        name: value
        for command in ("global", "deploy")
        for name, value in configured.get(command, {}).get("parameters", {}).items()
    }
    profile, region = given.profile or options.get("profile"), given.region or options.get("region")
    try:
        session = boto3.Session(profile_name=profile, region_name=region)
        if session.region_name is None:
            return "There is no AWS region: set AWS_DEFAULT_REGION, or give ARGS='--region REGION'."
        if session.get_credentials() is None:
            return "There are no AWS credentials: log in, and set AWS_PROFILE to your profile."
        once = Config(retries={"total_max_attempts": 2}, connect_timeout=5)
        session.client("sts", config=once).get_caller_identity()
    except ClientError as error:
        return f"AWS rejects the credentials: {error.response['Error']['Message']} Log in again."
    except BotoCoreError as error:
        return f"AWS cannot be called: {error}"
    return None


if __name__ == "__main__":
    if (trouble := main()) is not None:
        sys.exit(f"error: {' '.join(trouble.split())}")
