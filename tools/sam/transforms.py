"""Apply CloudFormation's transforms to templates, for tests of the resulting stack.

The script runs in the environment of the SAM CLI, which has both transforms:
`AWS::LanguageExtensions` and `AWS::Serverless`. Standard input is a JSON list of
`{"template": ..., "parameters": ...}`, standard output the list of transformed templates.
"""

import json
import logging
import sys

import yaml
from samcli.lib.cfn_language_extensions import api
from samcli.lib.cfn_language_extensions.resolvers.fn_sub import FnSubResolver
from samcli.lib.translate.sam_template_validator import SamTemplateValidator


class SubstitutionResolver(FnSubResolver):
    """Resolver of `Fn::Sub` that keeps the function if a placeholder remains.

    SAM CLI's own resolver returns text, in which the placeholder would never be replaced.
    """

    def resolve(self, value: dict[str, object]) -> object:
        """Return the text, or the function if its text names a resource."""
        text = super().resolve(value)
        return {"Fn::Sub": text} if "${" in text else text


class NoPolicies:
    """Replacement for the list of AWS's managed policies, of which the template uses none."""

    @staticmethod
    def load() -> dict[str, str]:
        """Return an empty map of names to ARNs."""
        return {}


def transform(template: dict[str, object], parameters: dict[str, str]) -> object:
    """Return the transformed template, with these parameters."""
    validator = SamTemplateValidator(
        template,
        NoPolicies(),
        region="us-east-1",
        parameter_overrides=parameters,
        language_extensions_enabled=True,
    )
    return yaml.safe_load(validator.get_translated_template_if_valid())


def main() -> None:
    """Transform each template."""
    logging.disable()
    api.FnSubResolver = SubstitutionResolver
    json.dump([transform(**wanted) for wanted in json.load(sys.stdin)], sys.stdout)


if __name__ == "__main__":
    main()
