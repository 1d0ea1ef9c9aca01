"""Who could feel a committed fault."""

from __future__ import annotations

import pytest

from chaos.model.settings import Settings
from tests.unit.lint.rules import ABORT, SERVICES, STAGING, hits, rules, told, virtual_service

NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: staging, labels: {env: %s}}\n---\n"


def test_a_private_fault_for_a_service_of_staging_is_no_finding() -> None:
    assert told(SERVICES + virtual_service()) == []


def test_a_virtual_service_without_a_fault_may_be_anywhere() -> None:
    plain = virtual_service("route: [{destination: {host: reviews}}]", namespace="production", spec="hosts: [reviews]")
    assert told(plain, files=("overlays/production/vs.yaml",)) == []


@pytest.mark.parametrize("fault", ["null", ""])
def test_a_fault_that_is_null_is_none(fault: str) -> None:
    route = f"fault: {fault}, route: [{{destination: {{host: reviews}}}}]"
    assert told(virtual_service(route, namespace="production", spec="hosts: [reviews]")) == []


# ------------------------------------------------------------------------------------------- fault-outside-staging


@pytest.mark.parametrize("namespace", ["production", "team-a", "istio-system", "staging2", "'${ns}'"])
def test_a_fault_outside_the_listed_namespaces(namespace: str) -> None:
    assert told(virtual_service(namespace=namespace)) == [("fault-outside-staging", "spec.http[0].fault")]


def test_a_pattern_of_the_settings_lists_a_namespace() -> None:
    assert told(virtual_service(namespace="team-a-staging")) == []


def test_nothing_is_staging_without_settings() -> None:
    [(rule, hit)] = hits(virtual_service(), settings=Settings())
    assert rule == "fault-outside-staging"
    assert "'staging' is not a staging namespace of the settings (those are: none)" in hit.message
    assert "abort 503 for 50 %" in hit.message


def test_the_root_namespace_is_never_staging() -> None:
    listed = Settings(namespaces=("istio-system",))
    [(rule, hit)] = hits(virtual_service(namespace="istio-system"), settings=listed)
    assert (rule, "root namespace" in hit.message) == ("fault-outside-staging", True)


def test_an_object_without_a_namespace_may_be_applied_anywhere() -> None:
    assert rules(virtual_service(namespace=None)) == ["fault-outside-staging"]
    assert rules(virtual_service(namespace=None), namespace="production") == ["fault-outside-staging"]
    assert rules(virtual_service(namespace=None), namespace="staging") == []
    assert rules(virtual_service(namespace="production"), namespace="staging") == ["fault-outside-staging"]


def test_the_manifest_of_a_namespace_has_to_agree_that_it_is_staging() -> None:
    assert rules(NAMESPACE % "staging" + virtual_service()) == []
    [(rule, hit)] = hits(NAMESPACE % "prod" + virtual_service())
    assert (rule, "lacks the staging label env=staging" in hit.message) == ("fault-outside-staging", True)
    # The label alone lists nothing.
    assert rules(NAMESPACE % "staging" + virtual_service(), settings=Settings()) == ["fault-outside-staging"]


def test_every_route_with_a_fault_is_told() -> None:
    two = virtual_service(f"fault: {ABORT}}}, {{fault: {ABORT}", namespace="shop")
    assert told(two) == [
        ("fault-outside-staging", "spec.http[0].fault"),
        ("fault-outside-staging", "spec.http[1].fault"),
    ]


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha3"])
def test_every_version_of_istios_api_is_read_and_no_other_kind_of_that_name(version: str) -> None:
    text = virtual_service(namespace="shop").replace("istio.io/v1", f"istio.io/{version}")
    assert rules(text) == ["fault-outside-staging"]
    assert rules(text.replace("networking.istio.io", "appmesh.k8s.aws")) == []


# ---------------------------------------------------------------------------------------- fault-in-production-path


@pytest.mark.parametrize(
    "file",
    [
        "overlays/production/vs.yaml",
        "envs/prod/vs.yaml",
        "prod-eu/vs.yaml",
        "apps/vs-prd.yaml",
        "live/eu/vs.yaml",
        "PROD1/vs.yaml",
        "production/staging/vs.yaml",
        "clusters/eu1/vs.yaml",
        "clusters/eu1/test-fault.yaml",
    ],
)
def test_a_folder_that_looks_like_production(file: str) -> None:
    assert told(virtual_service(), files=(file,)) == [("fault-in-production-path", "spec.http[0].fault")]


@pytest.mark.parametrize(
    "file",
    [
        "overlays/staging/vs.yaml",
        "clusters/staging/vs.yaml",
        "live/staging/vs.yaml",
        "pre-prod/vs.yaml",
        "non_prod/vs.yaml",
        "preprod/vs.yaml",
        "products/vs.yaml",
        "productpage/vs.yaml",
        "liveness/vs.yaml",
        "vs.yaml",
    ],
)
def test_a_folder_that_does_not(file: str) -> None:
    assert told(virtual_service(), files=(file,)) == []


AGENT = {
    "Application": "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: shop}\n",
    "ApplicationSet": "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: shop}\n",
    "Kustomization": "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: shop}\n",
    "GitRepository": "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: shop}\n",
    "HelmRelease": "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: shop}\n",
}


@pytest.mark.parametrize("kind", AGENT)
def test_beside_an_agents_objects_everything_is_applied(kind: str) -> None:
    files = ("apps/shop/agent.yaml", "apps/shop/vs.yaml", "apps/shop/deeper/vs.yaml", "other/vs.yaml")
    found = hits(AGENT[kind], *[virtual_service()] * 3, files=files)
    assert [(rule, hit.manifest.stream) for rule, hit in found] == [
        ("fault-in-production-path", "apps/shop/vs.yaml"),
        ("fault-in-production-path", "apps/shop/deeper/vs.yaml"),
    ]
    assert f"{kind} shop stands there" in found[0][1].message
    staging = ("apps/staging/agent.yaml", "apps/staging/vs.yaml")
    assert rules(AGENT[kind], virtual_service(), files=staging) == []


def test_kustomizes_own_files_are_no_agents() -> None:
    own = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [vs.yaml]\n"
    assert rules(own, virtual_service(), files=("apps/kustomization.yaml", "apps/vs.yaml")) == []


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Application", "spec: {source: {path: teams/shop}}"),
        ("Application", "spec: {sources: [{path: x}, {path: teams/shop}]}"),
        ("Kustomization", "spec: {path: ./teams/shop}"),
    ],
)
@pytest.mark.parametrize("above", ["", "checkout/"])
def test_what_an_agent_points_at_is_applied(kind: str, spec: str, above: str) -> None:
    files = (f"{above}argo/agent.yaml", f"{above}teams/shop/deep/vs.yaml", f"{above}teams/other/vs.yaml")
    found = hits(AGENT[kind] + spec, virtual_service(), virtual_service(), files=files)
    assert [(rule, hit.manifest.stream) for rule, hit in found] == [("fault-in-production-path", files[1])]


# ----------------------------------------------------------------------------------------------------- fault-public


def test_without_export_to_every_proxy_of_the_mesh_gets_it() -> None:
    assert told(virtual_service(spec="hosts: [reviews]")) == [("fault-public", "spec.http[0].fault")]
    assert told(virtual_service(spec="hosts: [reviews], exportTo: []")) == [("fault-public", "spec.http[0].fault")]


@pytest.mark.parametrize("entry", ["*", "production", "${ns}"])
def test_an_export_out_of_staging(entry: str) -> None:
    spec = f"hosts: [reviews], exportTo: ['.', '{entry}']"
    assert told(virtual_service(spec=spec)) == [("fault-public", "spec.exportTo[1]")]


@pytest.mark.parametrize("entry", [".", "~", "staging", "team-b-staging"])
def test_an_export_inside_staging(entry: str) -> None:
    assert told(virtual_service(spec=f"hosts: [reviews], exportTo: ['{entry}']")) == []


# -------------------------------------------------------------------------------------------- fault-on-foreign-host


@pytest.mark.parametrize(
    "host",
    ["ratings.production.svc.cluster.local", "'*.svc.cluster.local'", "api.example.com", "'${host}'", "'*'"],
)
def test_a_host_that_is_not_stagings(host: str) -> None:
    found = told(virtual_service(spec=f"hosts: [reviews, {host}], exportTo: ['.']"))
    assert found == [("fault-on-foreign-host", "spec.hosts[1]")]


def test_another_name_of_a_service_that_is_not_stagings() -> None:
    one = virtual_service(spec="hosts: [ratings.production.svc], exportTo: ['.']")
    assert told(one) == [("fault-on-foreign-host", "spec.hosts[0]"), ("host-taken-literally", "spec.hosts[0]")]
    one = virtual_service(spec="hosts: [ratings.staging], exportTo: ['.']")
    assert told(one) == [("host-taken-literally", "spec.hosts[0]")]


def test_hosts_of_staging() -> None:
    hosts = "[reviews.staging.svc.cluster.local, x.team-a-staging.svc.cluster.local]"
    assert told(virtual_service(spec=f"hosts: {hosts}, exportTo: ['.']")) == []


def test_a_service_entry_of_staging_makes_a_host_its_own() -> None:
    entry = (
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
        "metadata: {name: x, namespace: %s}\nspec: {hosts: [api.example.com]}\n---\n"
    )
    faulty = virtual_service(spec="hosts: [api.example.com], exportTo: ['.']")
    assert rules(entry % "staging" + faulty) == []
    assert rules(entry % "production" + faulty) == ["fault-on-foreign-host"]


def test_a_gateways_hosts_are_names_of_the_outside() -> None:
    assert rules(virtual_service(spec="hosts: ['*'], gateways: [gw], exportTo: ['.']")) == []
    assert rules(virtual_service(spec="hosts: ['*'], gateways: [gw, mesh], exportTo: ['.']")) == [
        "fault-on-foreign-host"
    ]


# ------------------------------------------------------------------- fault-at-foreign-gateway, fault-in-delegate


@pytest.mark.parametrize(
    ("spec", "match", "expected"),
    [
        ("gateways: [istio-system/public]", "", ["fault-at-foreign-gateway"]),
        ("gateways: [mesh]", "match: [{gateways: [prod/public]}], ", ["fault-at-foreign-gateway"]),
        ("gateways: [istio-system/public, mesh]", "match: [{gateways: [mesh]}], ", []),
        ("gateways: [staging/own, team-a-staging/theirs, own, ./own]", "", []),
        ("gateways: [public.prod.svc.cluster.local]", "", ["fault-at-foreign-gateway"]),
        ("gateways: [own.staging.svc.cluster.local, '{{ .Values.gateway }}']", "", []),
    ],
)
def test_gateways_of_others(spec: str, match: str, expected: list[str]) -> None:
    route = f"{match}fault: {ABORT}, route: [{{destination: {{host: reviews}}}}]"
    assert rules(virtual_service(route, spec=f"hosts: [reviews], exportTo: ['.'], {spec}")) == expected


def test_a_delegate_acts_on_every_root() -> None:
    root = virtual_service("delegate: {name: reviews}", name="root", spec="hosts: [a.example], gateways: [gw]")
    elsewhere = virtual_service("delegate: {name: reviews, namespace: other}", name="no", spec="hosts: [b.example], gateways: [gw]")  # fmt: skip
    [(rule, hit)] = hits(root + elsewhere + virtual_service(spec="exportTo: ['.']"))
    assert rule == "fault-in-delegate"
    assert "(here: VirtualService staging/root (gw))" in hit.message
    assert "none is among what is linted" in hits(virtual_service(spec="exportTo: ['.']"))[0][1].message


# ----------------------------------------------------------------------------------------- source-selectors-ignored


@pytest.mark.parametrize("selector", ["sourceLabels: {app: x}", "sourceNamespace: staging"])
def test_source_selectors_beside_gateways_are_ignored(selector: str) -> None:
    route = "match: [{%s}, {gateways: [mesh], %s}], fault: %s"
    found = told(virtual_service(route % (selector, selector, ABORT)))
    assert found == [("source-selectors-ignored", f"spec.http[0].match[1].{selector.partition(':')[0]}")]
    assert rules(virtual_service(route % (selector, "uri: {exact: /}", ABORT))) == []


def test_the_settings_of_these_tests_list_patterns() -> None:
    assert STAGING.lists("team-z-staging")
    assert not STAGING.lists("production")
