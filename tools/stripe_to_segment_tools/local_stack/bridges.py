"""Corrections after the deployment for differences between the emulator and AWS, so that the template needs none.

Each function is for one difference. Delete it when the emulator behaves like AWS.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stripe_to_segment_tools.lambda_runtime.built_function import BuiltFunction
from stripe_to_segment_tools.lambda_runtime.environment import lambda_environment
from stripe_to_segment_tools.local_stack.errors import DeployFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from stripe_to_segment_tools.local_stack.deployment import Clients, Deployment

__all__ = ["BRIDGES"]

# SAM writes the target of a route as a path that names the function's alias by its logical id.
_INTEGRATION_TARGET = re.compile(r"functions/\$\{(\w+)(?:\.Arn)?\}/invocations")
VERSION_STAGE = "secretsmanager:VersionStage"
ALIAS = "live"
TASK_ROOT = "/var/task"
# The variables that the emulator sets itself, with its own values: credentials, names, folders and, with `Tracing`, a
# trace header.
OF_THE_EMULATOR = frozenset(
    {
        *("AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
        *("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION"),
        *("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_LOG_STREAM_NAME", "LAMBDA_TASK_ROOT", "_X_AMZN_TRACE_ID"),
        *("PATH", "LD_LIBRARY_PATH", "PYTHONPATH"),
        # The emulator has no address for these.
        *("AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_METADATA_API", "AWS_LAMBDA_METADATA_TOKEN"),
    }
)
BATCHED = frozenset({"sqs:SendMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"})


def add_routes(clients: Clients, deployment: Deployment) -> list[str]:
    """Add the routes that are in the template's HTTP APIs, and return their keys.

    SAM writes the routes of an HttpApi as an OpenAPI body. CloudFormation imports it, the emulator does not, so they
    are read from the translated template and added through API Gateway's own interface.
    """
    added = []
    for logical_id, resource in _resources(clients, deployment, "AWS::ApiGatewayV2::Api"):
        api_id = deployment.resource(logical_id)
        for route_key, target in _routes(resource["Properties"].get("Body", {})):
            integration = clients.apigatewayv2.create_integration(
                ApiId=api_id,
                IntegrationType="AWS_PROXY",
                IntegrationUri=deployment.resource(target),
                PayloadFormatVersion="2.0",
            )
            clients.apigatewayv2.create_route(
                ApiId=api_id, RouteKey=route_key, Target=f"integrations/{integration['IntegrationId']}"
            )
            added.append(route_key)
    if not added:
        raise DeployFailedError("the template has no route: see the HttpApi event of the receive function")
    return added


def name_secrets_by_arn(clients: Clients, deployment: Deployment) -> None:
    """Let policies that name a secret by Ref grant the same access as on AWS.

    The Ref of a secret is its ARN; the emulator returns the secret's name. Policies match ARNs, so such a statement
    would grant nothing.
    """
    arns = {}
    for logical_id, _ in _resources(clients, deployment, "AWS::SecretsManager::Secret"):
        name = deployment.resource(logical_id)
        arns[name] = clients.secretsmanager.describe_secret(SecretId=name)["ARN"]
    _rewrite_role_policies(clients, deployment, lambda document: _replaced(document, arns))


def grant_batches(clients: Clients, deployment: Deployment) -> None:
    """Let the permission for a queue operation include its batch form.

    On AWS `sqs:ChangeMessageVisibility` also permits ChangeMessageVisibilityBatch, which is not an action of its own;
    the emulator requires one. The same holds for SendMessage and DeleteMessage.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
    """

    def with_batches(document: Any) -> Any:
        statements = [
            statement | {"Action": [*actions, *(f"{each}Batch" for each in actions if each in BATCHED)]}
            for statement in document["Statement"]
            for actions in [_listed(statement.get("Action", []))]
        ]
        return document | {"Statement": statements}

    _rewrite_role_policies(clients, deployment, with_batches)


def allow_any_version(clients: Clients, deployment: Deployment) -> None:
    """Remove the condition on a secret's version from the roles' policies: the emulator would refuse every read.

    It does not know `secretsmanager:VersionStage`. tests/template check the condition.
    """

    def without(document: Any) -> Any:
        statements = [
            {name: part for name, part in statement.items() if name != "Condition" or VERSION_STAGE not in str(part)}
            for statement in document["Statement"]
        ]
        return document | {"Statement": statements}

    _rewrite_role_policies(clients, deployment, without)


def allow_plain_http(clients: Clients, deployment: Deployment) -> None:
    """Remove the statements that refuse plain HTTP from the queues' policies: the emulator has only plain HTTP."""
    for logical_id, _ in _resources(clients, deployment, "AWS::SQS::Queue"):
        url = deployment.resource(logical_id)
        attributes = clients.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"]).get("Attributes", {})
        policy = json.loads(attributes.get("Policy") or "{}")
        statements = policy.get("Statement", [])
        kept = [each for each in statements if not _refuses_plain_http(each)]
        if kept != statements:
            text = json.dumps(policy | {"Statement": kept}) if kept else ""
            clients.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": text})


def state_concurrency_as_number(clients: Clients, deployment: Deployment) -> None:
    """Give mappings their concurrency as a number: a parameter makes it text, and the emulator then polls nothing."""
    for logical_id, _ in _resources(clients, deployment, "AWS::Lambda::EventSourceMapping"):
        mapping = clients.functions.get_event_source_mapping(UUID=deployment.resource(logical_id))
        if concurrency := mapping.get("ScalingConfig", {}).get("MaximumConcurrency"):
            clients.functions.update_event_source_mapping(
                UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": int(concurrency)}
            )


def give_lambdas_variables(clients: Clients, deployment: Deployment) -> None:
    """Set the variables that Lambda sets and the emulator does not, for example those for logging.

    They become variables of the function itself, in a new version that the alias then names. AWS would refuse most of
    their names, which are reserved.
    """
    for logical_id, _ in _resources(clients, deployment, "AWS::Lambda::Function"):
        name = deployment.resource(logical_id)
        variables = lambda_environment(
            _deployed(logical_id, clients.functions.get_function_configuration(FunctionName=name))
        )
        given = {key: value for key, value in variables.items() if key not in OF_THE_EMULATOR}
        clients.functions.update_function_configuration(FunctionName=name, Environment={"Variables": given})
        version = clients.functions.publish_version(FunctionName=name)["Version"]
        clients.functions.update_alias(FunctionName=name, Name=ALIAS, FunctionVersion=version)


def _deployed(name: str, configuration: Mapping[str, Any]) -> BuiltFunction:
    """A deployed function, from its configuration."""
    logging = configuration["LoggingConfig"]
    return BuiltFunction(
        name=name,
        handler=configuration["Handler"],
        runtime=configuration["Runtime"],
        code=Path(TASK_ROOT),
        layers=(),
        environment=dict(configuration["Environment"]["Variables"]),
        timeout=configuration["Timeout"],
        memory=configuration["MemorySize"],
        log_format=logging["LogFormat"],
        log_level=logging["ApplicationLogLevel"],
        log_group=logging["LogGroup"],
        traced=configuration["TracingConfig"]["Mode"] == "Active",
    )


def _routes(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the key of each route and the logical id of the alias it invokes."""
    for path, methods in body.get("paths", {}).items():
        for method, operation in methods.items():
            uri = operation.get("x-amazon-apigateway-integration", {}).get("uri", {})
            if target := _INTEGRATION_TARGET.search(str(uri)):
                key = "ANY" if method == "x-amazon-apigateway-any-method" else method.upper()
                yield f"{key} {path}", target[1]


def _rewrite_role_policies(clients: Clients, deployment: Deployment, rewrite: Callable[[Any], Any]) -> None:
    for logical_id, _ in _resources(clients, deployment, "AWS::IAM::Role"):
        role = deployment.resource(logical_id)
        for name in clients.iam.list_role_policies(RoleName=role)["PolicyNames"]:
            document = clients.iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            text = json.dumps(rewrite(document))
            clients.iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=text)


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _resources(clients: Clients, deployment: Deployment, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the deployed resources of a type, as in the template that SAM translated."""
    answer = clients.cloudformation.get_template(StackName=deployment.name, TemplateStage="Processed")
    body: Any = answer["TemplateBody"]
    template = json.loads(body) if isinstance(body, str) else body
    for name, resource in template["Resources"].items():
        left_out = "Condition" in resource and name not in deployment.resources
        if resource["Type"] == kind and not left_out:
            yield name, resource


def _replaced(value: Any, texts: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _replaced(inner, texts) for name, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, texts) for inner in value]
    return texts.get(value, value) if isinstance(value, str) else value


def _refuses_plain_http(statement: Mapping[str, Any]) -> bool:
    condition = statement.get("Condition", {}).get("Bool", {})
    return statement.get("Effect") == "Deny" and str(condition.get("aws:SecureTransport")).lower() == "false"


BRIDGES: tuple[Callable[[Clients, Deployment], object], ...] = (
    add_routes,
    name_secrets_by_arn,
    grant_batches,
    allow_any_version,
    allow_plain_http,
    state_concurrency_as_number,
    give_lambdas_variables,
)
