from __future__ import annotations

import copy
from typing import Any

import pytest

from chaos.guard import RULES, Draft, check
from chaos.istio.workloads import Workload
from chaos.model.settings import Settings
from tests.support.drafts import broken, draft, with_spec
from tests.support.situations import namespace, service, situation, virtual_service


def test_a_staging_namespace_is_allowed() -> None:
    assert broken(draft()) == set()


STAGING = {"staging": namespace("staging", env="staging")}


@pytest.mark.parametrize(
    ("drafted", "rules"),
    [
        (draft(settings=Settings()), {"namespace-not-allowed"}),
        (draft(namespace="production"), {"namespace-not-allowed", "namespace-not-labelled", "service-not-found", "no-callers"}),
        (draft(situation(namespaces={"staging": namespace("staging", env="production")})), {"namespace-not-labelled"}),
        (draft(situation(namespaces={})), {"namespace-not-found"}),
        (draft(settings=Settings(namespaces=("staging",), clusters=("other",))), {"cluster-not-configured"}),
        (draft(settings=Settings(namespaces=("staging",), root_namespace="staging")), {"root-namespace"}),
        (draft(service="nothing-svc"), {"service-not-found"}),
        (draft(situation(services=[service("inventory-svc", port="tcp-db"), service("order-svc")])), {"port-not-http"}),
        (draft(situation(services=[service("inventory-svc")])), {"observed-not-found"}),
        (draft(situation(workloads=[])), {"no-callers"}),
        (draft(situation(workloads=[Workload("order-svc", "staging", {"app": "order-svc"}, bare=("o-1",))])), {"callers-without-proxy"}),
        (with_spec(exportTo=["*"]), {"export-outside"}),
        (with_spec(exportTo=["production"]), {"export-outside", "hidden-from-callers"}),
        (with_spec(exportTo=[]), {"export-outside"}),
        (with_spec(hosts=["inventory-svc.production.svc.cluster.local"]), {"host-outside", "host-not-target", "hidden-from-callers"}),
        (with_spec(hosts=["inventory-svc.production"]), {"host-outside", "host-not-target", "hidden-from-callers"}),
        (with_spec(hosts=["*.svc.cluster.local"]), {"host-outside", "host-not-target"}),
        (with_spec(hosts=["example.com"]), {"host-outside", "host-not-target", "hidden-from-callers"}),
        (with_spec(hosts=["order-svc"]), {"host-not-target"}),
        (with_spec(gateways=["shared/gw"]), {"gateway-bound", "hidden-from-callers"}),
        (with_spec(http=[{"match": [{"gateways": ["gw"]}], "route": [{"destination": {"host": "inventory-svc"}}]}]), {"gateway-bound", "hidden-from-callers"}),
        (with_spec(http=[{"route": [{"destination": {"host": "x.production.svc.cluster.local"}}]}]), {"destination-outside", "hidden-from-callers"}),
        (with_spec(http=[{"route": [{"destination": {"host": "inventory-svc"}}], "mirror": {"host": "x.prod.svc.cluster.local"}}]), {"destination-outside", "hidden-from-callers"}),
    ],
)  # fmt: skip
def test_each_rule_says_no(drafted: Draft, rules: set[str]) -> None:
    assert broken(drafted) == rules


def test_callers_whose_labels_have_other_keys_are_named() -> None:
    labelled = Workload("order-svc", "staging", {"app.kubernetes.io/name": "order-svc"}, proxied=("order-1",))
    (refusal,) = check(draft(situation(workloads=[labelled])))
    assert refusal.rule == "no-callers"
    assert refusal.hint.startswith(
        "the pods of order-svc have other keys: write {app.kubernetes.io/name: order-svc} as"
    )


def test_an_object_of_another_namespace_is_refused() -> None:
    """There, ``exportTo: ["."]`` would hit the callers of that namespace."""
    theirs = virtual_service("theirs", "production", hosts=["inventory-svc.staging.svc.cluster.local"], exportTo=["."])
    made = draft(situation(theirs))
    assert made.injection is not None
    after = copy.deepcopy(dict(made.injection.after))
    after["metadata"] = {**theirs["metadata"]}
    changed = {"after": after, "before": theirs, "namespace": "production", "name": "theirs"}
    found = check(
        Draft(
            experiment=made.experiment,
            situation=made.situation,
            settings=made.settings,
            injection=made.injection.model_copy(update=changed),
        )
    )
    assert "object-elsewhere" in {one.rule for one in found}


def test_a_frozen_namespace_is_refused() -> None:
    frozen = namespace("staging", env="staging")
    frozen["metadata"]["annotations"] = {"chaos-harness.dev/frozen": "release day"}
    found = check(draft(situation(namespaces={"staging": frozen})))
    assert [refusal.rule for refusal in found] == ["frozen"]
    assert "release day" in found[0].message


def test_a_route_out_of_staging_in_the_users_own_object_is_refused() -> None:
    leak = virtual_service(http=[{"route": [{"destination": {"host": "inventory-svc.production.svc.cluster.local"}}]}])
    assert broken(draft(situation(leak))) == {"destination-outside"}


def test_every_refusal_says_what_would_make_it_right() -> None:
    refusals = [*check(draft(settings=Settings(), namespace="production")), *check(with_spec(exportTo=["*"]))]
    assert all((refusal.hint and refusal.value in refusal.message) or refusal.value for refusal in refusals)


def test_every_rule_is_documented() -> None:
    assert all(rule.__doc__ for rule in RULES)


def test_a_patch_that_changes_more_than_it_inserts_is_refused() -> None:
    made = draft(situation(virtual_service(exportTo=["."])))
    assert made.injection is not None
    assert broken(made) == set()
    changes: list[dict[str, Any]] = [{"exportTo": ["*"]}, {"hosts": ["order-svc"]}, {"tcp": []}]
    for change in changes:
        after = copy.deepcopy(dict(made.injection.after))
        after["spec"].update(change)
        tampered = made.injection.model_copy(update={"after": after})
        found = Draft(experiment=made.experiment, situation=made.situation, settings=made.settings, injection=tampered)
        assert "patch-changes-more" in broken(found)
