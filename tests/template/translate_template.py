"""Prints what CloudFormation makes of template.yaml. Runs in sam's environment, offline, and needs no account."""

import json
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

# SAM's transform takes code from S3, where `sam deploy` puts it; where that would be does not matter here.
UPLOADED = "s3://bucket/code.zip"


def translated(untouched: dict[str, Any], changed: dict[str, str]) -> dict[str, Any]:
    """A template as CloudFormation sees it after the SAM transform.

    `changed` gives parameters another value than their default, and functions or layers (by logical id) other code.
    """
    # The transform writes into it.
    template = deepcopy(untouched)
    for logical_id, resource in template["Resources"].items():
        for name in ("CodeUri", "ContentUri"):
            if name in resource.get("Properties", {}):
                resource["Properties"][name] = changed.get(logical_id, UPLOADED)
    values = {
        name: changed.get(name, parameter.get("Default", "")) for name, parameter in template["Parameters"].items()
    }
    # AWS's managed policies are looked up only where a template names some.
    return dict(Translator({}, Parser()).translate(template, values))


if __name__ == "__main__":
    # A template, and maybe a JSON list of what to change: then a list with a translation for each is printed.
    written = yaml_parse(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if len(sys.argv) > 2:
        sys.stdout.write(json.dumps([translated(written, changed) for changed in json.loads(sys.argv[2])]))
    else:
        json.dump(translated(written, {}), sys.stdout, indent=1)
