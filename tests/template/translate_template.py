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


def translated(template: dict[str, Any]) -> dict[str, Any]:
    """The template as CloudFormation sees it after the SAM transform, with each parameter at its default."""
    for resource in template["Resources"].values():
        for name in ("CodeUri", "ContentUri"):
            if name in resource.get("Properties", {}):
                resource["Properties"][name] = UPLOADED
    defaults = {name: parameter.get("Default", "") for name, parameter in template["Parameters"].items()}
    # The transform writes into the template, and looks up AWS's managed policies only where a template names some.
    return dict(Translator({}, Parser()).translate(template, defaults))


if __name__ == "__main__":
    json.dump(translated(yaml_parse(Path(sys.argv[1]).read_text(encoding="utf-8"))), sys.stdout)
