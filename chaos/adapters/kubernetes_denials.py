"""Why an API server does not let something happen, and who can change that: it denies for reasons that have different cures."""

from __future__ import annotations

import re
from typing import Final

_RIGHT: Final = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]+)")?'
)
"""RBAC's answer (``apiserver/pkg/endpoints/handlers/responsewriters/errors.go``, ``forbiddenMessage``)."""
_POLICY: Final = re.compile(
    r"ValidatingAdmissionPolicy '(?P<policy>[^']+)' with binding '(?P<binding>[^']+)' denied request: (?P<told>.*)",
    re.DOTALL,
)
_RULE: Final = re.compile(r"([a-z]+(?:-[a-z]+)+): ")
_WEBHOOK: Final = re.compile(r'admission webhook "(?P<webhook>[^"]+)" denied the request')
_NOBODY: Final = "system:anonymous"
_OURS: Final = "chaos-staging-only"
_MARKS: Final = "mark-of-the-harness"
_ACCOUNT: Final = re.compile(r"system:serviceaccount:(?P<namespace>[^:\s]+):(?P<name>\S+)")


def cure(status: int, said: str, context: str) -> str | None:
    """What to do about a refusal by an API server, in one sentence; ``None`` where only the message can tell.

    Args:
        status: The HTTP status.
        said: The server's message.
        context: The context whose identity was denied.
    """
    if status == 401:
        return f"the credentials of the context {context!r} are not accepted: log in again"
    if (policy := _POLICY.search(said)) is not None:
        return _of_policy(policy["policy"], policy["binding"], policy["told"])
    if (webhook := _WEBHOOK.search(said)) is not None:
        return (
            f"the admission webhook {webhook['webhook']} denies it, and no Role helps against that: ask whoever runs it"
        )
    if status != 403:
        return None
    if (right := _RIGHT.search(said)) is not None:
        return _of_right(right)
    return f"the identity of the context {context!r} is denied it for the reason that the message gives"


def _of_right(right: re.Match[str]) -> str:
    if right["user"] == _NOBODY:
        return "no credentials reached the API server: check the user that the context names in the kubeconfig"
    namespace = right["namespace"]
    rule = f'apiGroups: ["{right["group"]}"], resources: ["{right["resource"]}"], verbs: ["{right["verb"]}"]'
    where = f"a Role in the namespace {namespace}" if namespace else "a ClusterRole"
    printed = f"chaosctl manifests rbac -n {namespace or 'NAMESPACE'}"
    return f"{where} has to give {right['user']} the rule {{{rule}}}; `{printed}` prints all that the harness needs"


def _of_policy(policy: str, binding: str, told: str) -> str:
    rule = _RULE.match(told)
    which = f"the rule {rule[1]} of the" if rule else "the"
    text = f"{which} ValidatingAdmissionPolicy {policy} (binding {binding}) denies it, and no Role helps against that: "
    account = _ACCOUNT.search(told)
    if policy == _OURS and rule is not None and rule[1] == _MARKS and account is not None:
        own = f"--home {account['namespace']} --account {account['name']}"
        return f"{text}if this is the harness's account, print the policy with `chaosctl manifests admission {own}`"
    if policy == _OURS:
        return f"{text}change the experiment as the message says; `chaosctl manifests admission` prints the policy"
    return f"{text}change what the message says, or ask whoever wrote the policy"
