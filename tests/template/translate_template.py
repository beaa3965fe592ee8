"""Prints what CloudFormation makes of template.yaml. Runs in sam's environment, offline, and needs no account."""

import json
import sys
from pathlib import Path
from typing import Any

from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

# SAM's transform takes code from S3, where `sam deploy` puts it; where that would be does not matter here.
UPLOADED = "s3://bucket/code.zip"


def translated(text: str, changed: dict[str, str]) -> dict[str, Any]:
    """The template as CloudFormation sees it after the SAM transform.

    `changed` gives parameters another value than their default, and functions or layers (by logical id) other code.
    """
    template = yaml_parse(text)
    for logical_id, resource in template["Resources"].items():
        for name in ("CodeUri", "ContentUri"):
            if name in resource.get("Properties", {}):
                resource["Properties"][name] = changed.get(logical_id, UPLOADED)
    values = {
        name: changed.get(name, parameter.get("Default", "")) for name, parameter in template["Parameters"].items()
    }
    # The transform writes into the template, and looks up AWS's managed policies only where a template names some.
    return dict(Translator({}, Parser()).translate(template, values))


if __name__ == "__main__":
    # A template, and what to change as a list of JSON objects: one translation is printed for each.
    template_text, changes = Path(sys.argv[1]).read_text(encoding="utf-8"), json.loads(sys.argv[2])
    json.dump([translated(template_text, changed) for changed in changes], sys.stdout)
