"""The template's parameters, checked by the rules of template and functions before any call to AWS.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
"""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from stripe_to_segment.errors import ConfigurationError
from stripe_to_segment.settings import settings_from
from stripe_to_segment_tools.commands.deploy.errors import DeployError

try:
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # Built without libyaml: the same in ten times the time.
    from yaml import SafeLoader  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["SCHEDULED", "Parameter", "as_sam_reads", "check", "check_together", "read_parameters", "toml_text"]

RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
# Minutes, hours, day of the month, month, day of the week, year.
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
CRON = re.compile(r"cron\(\S+ \S+ (\S+) (\S+) (\S+) \S+\)")
EVERY = frozenset({"*", "?", "1/1", "*/1"})
# At least so many hours lie between the runs around a day that is left out.
DAY_LEFT_OUT = 48
# The functions with a schedule, and an alarm that rings where they have not run for the hours of their parameter.
SCHEDULED = ("Reconcile", "Audit")
STRIPE = "https://api.stripe.com"
# The parameters that name something by its ARN, in which the fourth part is the region.
REGIONAL = ("SigningSecretArn", "KeysSecretArn", "KmsKeyArn")
HOURS = {"minute": 1 / 60, "hour": 1, "day": 24}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the template. `least` and `most` limit a number, `values` lists the allowed values."""

    name: str
    default: str
    constraint: str = ""
    pattern: str | None = None
    values: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None

    def flaw(self, value: str) -> str:
        """The reason why a text is not a value of this parameter; empty if it is one."""
        if self.values and value not in self.values:
            return f"must be one of {', '.join(self.values)}"
        if self.pattern is not None and not re.fullmatch(self.pattern, value):
            return self.constraint
        if self.least is not None and self.most is not None and not self._is_within(value):
            return self.constraint
        return ""

    def _is_within(self, value: str) -> bool:
        return value.isascii() and value.isdecimal() and (self.least or 0) <= int(value) <= (self.most or 0)


class _Loader(SafeLoader):
    """A YAML loader that ignores CloudFormation's tags, which no parameter has."""


_Loader.add_multi_constructor("!", lambda *_: None)


def read_parameters(template: Path) -> dict[str, Parameter]:
    """The parameters of a template, by name."""
    body: Any = yaml.load(template.read_text("utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    return {name: _parameter(name, stated) for name, stated in body["Parameters"].items()}


def _parameter(name: str, stated: dict[str, Any]) -> Parameter:
    return Parameter(
        name=name,
        default=str(stated["Default"]),
        constraint=stated.get("ConstraintDescription", ""),
        pattern=stated.get("AllowedPattern"),
        values=tuple(map(str, stated.get("AllowedValues", ()))),
        least=stated.get("MinValue"),
        most=stated.get("MaxValue"),
    )


def check(given: Mapping[str, str], parameters: Mapping[str, Parameter], region: str) -> None:
    """Raise DeployError if template or functions do not accept these values, with all problems in one line."""
    if flaws := [*_flaws(given, parameters)] or [*_elsewhere(given, region), *_refusals(given)]:
        raise DeployError("; ".join(flaws))


def check_together(given: Mapping[str, str], parameters: Mapping[str, Parameter]) -> None:
    """Raise DeployError if some of these values, with those that stay in the stack, contradict each other."""
    if flaws := [*_contradictions(given, parameters)]:
        raise DeployError("; ".join(flaws))


def _flaws(given: Mapping[str, str], parameters: Mapping[str, Parameter]) -> Iterator[str]:
    for name, value in given.items():
        if name not in parameters:
            near = difflib.get_close_matches(name, parameters, 1)
            yield f"the template has no parameter {name}" + (f": is it {near[0]}?" if near else "")
        elif flaw := parameters[name].flaw(value):
            yield f"{name} {flaw}, not {value!r}"


def _contradictions(given: Mapping[str, str], parameters: Mapping[str, Parameter]) -> Iterator[str]:
    """Contradictions between values: those of the template's Rules, and what these cannot express."""

    def number(name: str) -> int:
        return int(given.get(name) or parameters[name].default)

    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
    most = number("MaximumConcurrency") + number("ImportConcurrency")
    if 0 < number("DeliverReservedConcurrency") < most:
        each = "MaximumConcurrency and ImportConcurrency together"
        yield f"DeliverReservedConcurrency must be 0 or at least {most}, {each}, or batches are refused"
    if given.get("SigningSecretArn") and given["SigningSecretArn"] == given.get("KeysSecretArn"):
        yield "SigningSecretArn and KeysSecretArn name one secret: the function on the internet could read the keys"
    if given.get("StripeApiBase", "").rstrip("/") not in {"", STRIPE} and given.get("TrustStripeApiBase") != "true":
        yield f"StripeApiBase is not {STRIPE}: set TrustStripeApiBase to true if the API key may go there"
    for name in SCHEDULED:
        schedule, quiet = given.get(f"{name}Schedule", ""), number(f"{name}QuietHours")
        if rate := RATE.fullmatch(schedule):
            hours = int(rate[1]) * HOURS[rate[2]]
            if hours >= quiet:
                yield f"{name}QuietHours must be more than the {hours:g} hours of {name}Schedule, or its alarm rings"
        elif (cron := CRON.fullmatch(schedule)) and {*cron.groups()} - EVERY and quiet <= DAY_LEFT_OUT:
            yield f"{name}QuietHours must be more than the longest pause of {name}Schedule, which leaves out days"


def _elsewhere(given: Mapping[str, str], region: str) -> Iterator[str]:
    """What is in another region than the stack, whose functions would look for it in their own."""
    for name in REGIONAL:
        if (arn := given.get(name)) and (there := arn.split(":")[3]) != region:
            yield f"{name} is in {there}, and the stack in {region}"


def _refusals(given: Mapping[str, str]) -> Iterator[str]:
    """Why the functions could not start with these values, of which the template's patterns know only the form."""
    try:
        settings_from(given)
    except ConfigurationError as error:
        yield str(error)


def toml_text(text: str) -> str:
    """A TOML text: JSON's, but with DEL escaped and no pairs of surrogates. https://toml.io/en/v1.0.0#string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def as_sam_reads(parameters: Mapping[str, str]) -> str:
    """The TOML file from which sam takes these values as they are.

    sam strips quotes around a value, and the backslash before a space or a quote in it, once for the file and once more
    for what it is named in. https://github.com/aws/aws-sam-cli/blob/develop/samcli/cli/types.py
    """
    return "".join(f"{name} = {toml_text(_guarded(_guarded(value)))}\n" for name, value in parameters.items())


def _guarded(value: str) -> str:
    return '"' + re.sub(r"\\(?=[ \"'])", r"\\\\", value) + '"'
