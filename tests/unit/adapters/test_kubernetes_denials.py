"""What is said of a refusal: each kind has its own cure, told by the API server's own words."""

from __future__ import annotations

import pytest

from chaos.adapters.kubernetes_denials import cure

RBAC = 'is forbidden: User "system:serviceaccount:tools:chaos-harness" cannot'
POLICY = 'virtualservices.networking.istio.io "x" is forbidden: ValidatingAdmissionPolicy'


@pytest.mark.parametrize(
    ("status", "said", "cured"),
    [
        (
            403,
            f'virtualservices.networking.istio.io "x" {RBAC} delete resource "virtualservices" in API group '
            '"networking.istio.io" in the namespace "staging"',
            "a Role in the namespace staging has to give system:serviceaccount:tools:chaos-harness the rule "
            '{apiGroups: ["networking.istio.io"], resources: ["virtualservices"], verbs: ["delete"]}; '
            "`chaosctl manifests rbac -n staging` prints all that the harness needs",
        ),
        (
            403,
            f'sidecars.networking.istio.io {RBAC} list resource "sidecars" in API group "networking.istio.io" at the cluster scope',
            "a ClusterRole has to give",
        ),
        (
            403,
            'namespaces is forbidden: User "system:anonymous" cannot list resource "namespaces" in API group "" at the cluster scope',
            "no credentials reached the API server",
        ),
        (
            422,
            f"{POLICY} 'chaos-staging-only' with binding 'chaos-staging-only' denied request: delay-capped: VirtualService staging/x delays",
            "the rule delay-capped of the ValidatingAdmissionPolicy chaos-staging-only (binding chaos-staging-only) denies it, and no "
            "Role helps against that: change the experiment",
        ),
        (
            403,
            f"{POLICY} 'theirs' with binding 'all' denied request: not on Fridays",
            "the ValidatingAdmissionPolicy theirs (binding all) denies it, and no Role helps against that: change what the message says",
        ),
        (
            400,
            'admission webhook "v.example" denied the request: no owner',
            "the admission webhook v.example denies it",
        ),
        (
            403,
            'leases.coordination.k8s.io "x" is forbidden: exceeded quota: few',
            "the identity of the context 'mine' is denied",
        ),
        (401, "Unauthorized", "the credentials of the context 'mine' are not accepted"),
    ],
)
def test_each_kind_has_its_cure(status: int, said: str, cured: str) -> None:
    assert (cure(status, said, "mine") or "").startswith(cured)


def test_what_is_no_denial_has_none() -> None:
    assert cure(409, "the object has been modified", "mine") is None
