"""Prints template.yaml after the SAM transform. Runs in SAM's environment, offline and without an AWS account."""

import json
import logging
import sys
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from boto3 import Session
from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator import translator
from samtranslator.translator.translator import Translator

# The transform expects code in S3, where `sam deploy` puts it. The address does not matter here.
UPLOADED = "s3://bucket/code.zip"
# Both are the same for each translation, and making them took as long as half of one.
translator.make_policy_template_for_function_plugin = cache(translator.make_policy_template_for_function_plugin)
SESSION = Session()
# It warns after each translation that its metrics go nowhere, and pytest shows that with every failure.
logging.getLogger("samtranslator.metrics").setLevel(logging.ERROR)


def translated(untouched: dict[str, Any], changed: dict[str, str]) -> dict[str, Any]:
    """The template after the SAM transform.

    `changed` has values of parameters, and the code of functions or layers by logical id.
    """
    # A copy, because the transform changes it.
    template = deepcopy(untouched)
    for logical_id, resource in template["Resources"].items():
        for name in ("CodeUri", "ContentUri"):
            if name in resource.get("Properties", {}):
                resource["Properties"][name] = changed.get(logical_id, UPLOADED)
    values = {
        name: changed.get(name, parameter.get("Default", "")) for name, parameter in template["Parameters"].items()
    }
    # AWS's managed policies are not needed, because the template names none.
    return dict(Translator({}, Parser(), boto_session=SESSION).translate(template, values))


if __name__ == "__main__":
    # Arguments: the template, and optionally a JSON list of changes, for each of which a translation is printed.
    written = yaml_parse(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if len(sys.argv) > 2:
        sys.stdout.write(json.dumps([translated(written, changed) for changed in json.loads(sys.argv[2])]))
    else:
        json.dump(translated(written, {}), sys.stdout, indent=1)
