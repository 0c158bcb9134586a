"""Do what CloudFormation's transform for SAM does, for tests of the stack that comes out.

Run by the SAM CLI's own environment, which holds the transform. Standard input is a JSON list of
templates, standard output the list of what becomes of them.
"""

import json
import logging
import sys

import yaml
from samcli.lib.translate.sam_template_validator import SamTemplateValidator


class NoPolicies:
    """Instead of a look-up of AWS's managed policies by name: the template names none."""

    @staticmethod
    def load() -> dict[str, str]:
        """No names, so no ARNs."""
        return {}


def transform(template: dict[str, object]) -> object:
    """The template as the stack gets it."""
    validator = SamTemplateValidator(template, NoPolicies(), region="us-east-1")
    return yaml.safe_load(validator.get_translated_template_if_valid())


def main() -> None:
    """Transform each template."""
    logging.disable()
    json.dump([transform(template) for template in json.load(sys.stdin)], sys.stdout)


if __name__ == "__main__":
    main()
