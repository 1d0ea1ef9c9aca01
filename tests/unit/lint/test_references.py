"""Hosts that match nothing, subsets that nobody defines, and VirtualServices that compete."""

from __future__ import annotations

import pytest

from tests.unit.lint.rules import SERVICES, hits, rules, told, virtual_service

NO_FAULT = "route: [{destination: {host: %s}}]"


def plain(destination: str = "reviews", *, spec: str = "hosts: [reviews]", namespace: str | None = "staging") -> str:
    return virtual_service(NO_FAULT % destination, spec=spec, namespace=namespace)


def service(name: str, namespace: str | None, annotations: str = "{}") -> str:
    where = "" if namespace is None else f", namespace: {namespace}"
    return f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}{where}, annotations: {annotations}}}\n---\n"


def istio(kind: str, name: str, namespace: str | None, spec: str) -> str:
    where = "" if namespace is None else f", namespace: {namespace}"
    return (
        f"apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: {name}{where}}}\nspec: {{{spec}}}\n---\n"
    )


# --------------------------------------------------------------------------------------------- host-matches-nothing


def test_a_destination_that_no_service_has() -> None:
    [(rule, hit)] = hits(SERVICES + plain("typo"))
    assert (rule, hit.path) == ("host-matches-nothing", ("spec", "http", 0, "route", 0, "destination", "host"))
    assert hit.hint == "Services there: ratings, reviews"


def test_a_host_is_told_once_where_it_is_named_first() -> None:
    assert told(SERVICES + plain("typo", spec="hosts: [typo]")) == [("host-matches-nothing", "spec.hosts[0]")]


@pytest.mark.parametrize("protocol", ["tls", "tcp"])
def test_destinations_of_every_protocol(protocol: str) -> None:
    one = istio(
        "VirtualService",
        "x",
        "staging",
        f"hosts: [reviews], {protocol}: [{{route: [{{destination: {{host: typo}}}}]}}]",
    )
    assert told(SERVICES + one) == [("host-matches-nothing", f"spec.{protocol}[0].route[0].destination.host")]


@pytest.mark.parametrize(
    ("mirror", "place"),
    [
        ("mirror: {host: typo}", "mirror.host"),
        ("mirrors: [{destination: {host: typo}}]", "mirrors[0].destination.host"),
    ],
)
def test_mirrors_are_destinations(mirror: str, place: str) -> None:
    one = virtual_service(f"{mirror}, {NO_FAULT % 'reviews'}", spec="hosts: [reviews]")
    assert told(SERVICES + one) == [("host-matches-nothing", f"spec.http[0].{place}")]


def test_nothing_is_claimed_where_no_service_of_the_namespace_is_linted() -> None:
    assert rules(plain("typo")) == []
    assert rules(SERVICES + plain("typo.production.svc.cluster.local")) == []
    assert rules(SERVICES + plain("api.example.com")) == []
    assert rules(SERVICES + plain("'${host}'")) == []


def test_a_namespace_that_is_filled_by_a_chart_is_not_known() -> None:
    release = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: x, namespace: staging}\n---\n"
    argo = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: x}\nspec: {destination: {namespace: staging}}\n---\n"
    assert rules(release, SERVICES + plain("typo")) == []
    assert rules(argo, SERVICES + plain("typo")) == []


def test_the_mesh_root_is_filled_by_istio() -> None:
    assert rules(service("prometheus", "istio-system") + plain("resolver", namespace="istio-system", spec="hosts: [a.b], gateways: [g]")) == []  # fmt: skip


@pytest.mark.parametrize("host", ["ratings.staging", "ratings.staging.svc", "ratings.other.svc"])
def test_a_name_with_a_dot_is_taken_as_it_is(host: str) -> None:
    whole = f"write {host.removesuffix('.svc')}.svc.cluster.local"
    [(rule, hit)] = hits(plain(host))
    assert (rule, hit.path[1], hit.hint) == ("host-matches-nothing", "http", whole)
    assert "503" in hit.message
    [(rule, hit)] = hits(plain("reviews", spec=f"hosts: [{host}]"))
    assert (rule, hit.path, hit.hint) == ("host-taken-literally", ("spec", "hosts", 0), whole)
    assert f"requests to http://{host}/ on port 80" in hit.message
    assert rules(plain("reviews", spec=f"hosts: [{host}], gateways: [gw]")) == []


def test_a_service_entry_may_have_any_name() -> None:
    entry = istio("ServiceEntry", "x", "staging", "hosts: [ratings.staging, '*.example.com']")
    assert rules(SERVICES, entry + plain("ratings.staging")) == []
    assert rules(SERVICES, entry + plain("api.example.com")) == []


def test_a_service_of_any_folder_counts() -> None:
    assert rules(SERVICES, plain("ratings"), files=("base/services.yaml", "overlays/production/vs.yaml")) == []


def test_objects_without_a_namespace_are_only_held_against_those_beside_them() -> None:
    nameless = plain("typo", namespace=None)
    here = service("reviews", None)
    assert rules(here, nameless, files=("app/svc.yaml", "app/vs.yaml")) == ["host-matches-nothing"]
    assert rules(here, nameless, files=("other/svc.yaml", "app/vs.yaml")) == []
    # A Service of a namespace may be the one that is meant, and one without may be in any namespace.
    assert rules(here + service("typo", "shop"), nameless, files=("app/svc.yaml", "app/vs.yaml")) == []
    assert rules(SERVICES + service("typo", None), plain("typo")) == []


def test_a_service_that_is_not_exported_to_the_callers() -> None:
    hidden = service("ratings", "shop", "{networking.istio.io/exportTo: .}")
    one = plain("ratings.shop.svc.cluster.local")
    [(rule, hit)] = hits(SERVICES + hidden + one)
    assert rule == "host-matches-nothing"
    assert "Service shop/ratings has it, but proxies of 'staging' do not see that object" in hit.message
    assert rules(SERVICES + service("ratings", "shop", "{networking.istio.io/exportTo: 'x, staging'}") + one) == []
    assert rules(SERVICES + service("ratings", "shop", "{networking.istio.io/exportTo: ''}") + one) == []
    # Which namespace a gateway's proxies are in is not known.
    at_gateway = plain("ratings.shop.svc.cluster.local", spec="hosts: [a.example], gateways: [istio-system/gw]")
    assert rules(SERVICES + hidden + at_gateway) == []
    assert rules(istio("ServiceEntry", "e", "shop", "hosts: [a.example], exportTo: ['.']") + plain("a.example")) == [
        "host-matches-nothing"
    ]


@pytest.mark.parametrize(
    ("egress", "expected"),
    [
        ("./*", ["host-matches-nothing"]),
        ("*/reviews.staging.svc.cluster.local", ["host-matches-nothing"]),
        ("shop/*", []),
        ("*/*", []),
        ("shop/ratings.shop.svc.cluster.local", []),
        ("*/*.shop.svc.cluster.local", []),
    ],
)
def test_a_sidecar_narrows_what_its_namespace_sees(egress: str, expected: list[str]) -> None:
    sidecar = istio("Sidecar", "default", "staging", f"egress: [{{hosts: ['{egress}', './*']}}]")
    one = virtual_service(NO_FAULT % "ratings.shop.svc.cluster.local", spec="hosts: [reviews]")
    assert rules(SERVICES + service("ratings", "shop") + sidecar + one) == expected
    # Which of two holds is not known.
    assert rules(SERVICES + service("ratings", "shop") + sidecar + sidecar.replace("default", "other") + one) == []
    # One that is for some workloads only says nothing about the others.
    some = sidecar.replace("egress", "workloadSelector: {labels: {a: b}}, egress")
    assert rules(SERVICES + service("ratings", "shop") + some + one) == []


# ----------------------------------------------------------------------------------------------- subset-not-defined

SUBSET = "{host: reviews, subset: v2}"


def subsets(*texts: str, **options: object) -> list[tuple[str, str]]:
    one = virtual_service(f"route: [{{destination: {SUBSET}}}]", spec="hosts: [reviews]")
    return told(*texts, one, **options)


def test_a_subset_that_the_rule_lacks() -> None:
    place = "spec.http[0].route[0].destination.subset"
    lacking = istio("DestinationRule", "r", "staging", "host: reviews, subsets: [{name: v1}]")
    assert subsets(lacking) == [("subset-not-defined", place)]
    assert subsets(istio("DestinationRule", "r", "staging", "host: reviews")) == [("subset-not-defined", place)]
    assert subsets(SERVICES) == [("subset-not-defined", place)]


@pytest.mark.parametrize(
    "rule",
    [
        istio("DestinationRule", "r", "staging", "host: reviews, subsets: [{name: v1}, {name: v2}]"),
        istio("DestinationRule", "r", "other", "host: reviews.staging.svc.cluster.local, subsets: [{name: v2}]"),
        istio("DestinationRule", "r", "staging", "host: '*.staging.svc.cluster.local', subsets: [{name: v2}]"),
        istio("DestinationRule", "r", None, "host: reviews, subsets: [{name: v2}]"),
        istio("DestinationRule", "r", "staging", "host: '${host}', subsets: [{name: v2}]"),
        istio("DestinationRule", "r", "staging", "host: reviews, subsets: [{name: '${v}'}]"),
    ],
)
def test_a_subset_that_may_be_defined(rule: str) -> None:
    assert subsets(SERVICES, rule) == []


def test_nothing_is_claimed_about_subsets_where_neither_rule_nor_service_is_linted() -> None:
    assert subsets() == []


def test_subsets_of_objects_without_a_namespace() -> None:
    one = virtual_service(f"route: [{{destination: {SUBSET}}}]", spec="hosts: [reviews]", namespace=None)
    assert rules(istio("DestinationRule", "r", "shop", "host: reviews, subsets: [{name: v2}]") + one) == []
    assert rules(istio("DestinationRule", "r", None, "host: reviews, subsets: [{name: v1}]") + one) == [
        "subset-not-defined"
    ]


# --------------------------------------------------------------------------------------- competing-virtual-services


def competing(second: str, *, files: tuple[str, str] = ("apps/a.yaml", "apps/b.yaml")) -> list[str]:
    return [rule for rule in rules(virtual_service(), second, files=files) if rule == "competing-virtual-services"]


PRIVATE = "hosts: [reviews], exportTo: ['.']"


def test_two_of_one_host_that_a_proxy_finds_in_the_same_place() -> None:
    other = virtual_service(NO_FAULT % "reviews", name="other", spec=PRIVATE)
    found = [one for one in hits(virtual_service(), other) if one[0] == "competing-virtual-services"]
    assert [(hit.manifest.name, hit.path) for _, hit in found] == [("reviews", ("spec", "hosts"))]
    assert "VirtualService staging/other has the same host" in found[0][1].message
    assert competing(virtual_service(name="other")) == ["competing-virtual-services"]


@pytest.mark.parametrize(
    "other",
    [
        virtual_service(NO_FAULT % "reviews"),  # the same object
        virtual_service(name="other", spec="hosts: [ratings], exportTo: ['.']"),  # another host
        virtual_service(name="other", spec="hosts: [reviews]"),  # public: a private one beats it
        virtual_service(name="other", spec="hosts: [reviews], exportTo: ['.'], gateways: [gw]"),  # gateways merge
        virtual_service(name="other", namespace=None, spec=PRIVATE),  # maybe of another namespace
        virtual_service(
            f"match: [{{sourceLabels: {{a: b}}}}], {NO_FAULT % 'reviews'}", name="other", spec=PRIVATE
        ),  # for some callers: the others go on
        virtual_service(name="other", spec="hosts: [reviews], exportTo: [qa]"),  # not seen where the private one is
    ],
)
def test_two_that_do_not_compete(other: str) -> None:
    assert competing(other) == []


def test_its_own_namespace_beside_others_makes_it_private() -> None:
    assert competing(virtual_service(name="other", spec="hosts: [Reviews], exportTo: ['.', qa]")) == [
        "competing-virtual-services"
    ]


def test_of_one_wildcard_the_first_alone_counts() -> None:
    spec = "hosts: ['*.staging.svc.cluster.local'], exportTo: ['.']"
    picky = virtual_service(f"match: [{{sourceLabels: {{a: b}}}}], {NO_FAULT % 'reviews'}", name="other", spec=spec)
    found = rules(virtual_service(spec=spec), picky, files=("apps/a.yaml", "apps/b.yaml"))
    assert "competing-virtual-services" in found


@pytest.mark.parametrize(
    "files",
    [
        ("clusters/a/vs.yaml", "clusters/b/vs.yaml"),
        ("overlays/staging/vs.yaml", "overlays/qa/vs.yaml"),
        ("base/vs.yaml", "apps/vs.yaml"),
        ("staging/vs.yaml", "other/vs.yaml"),
    ],
)
def test_folders_that_stand_for_each_other_are_not_applied_together(files: tuple[str, str]) -> None:
    assert competing(virtual_service(name="other"), files=files) == []


def test_folders_of_one_environment_are_applied_together() -> None:
    files = ("staging/reviews/vs.yaml", "staging/ratings/vs.yaml")
    assert competing(virtual_service(name="other"), files=files) == ["competing-virtual-services"]


def test_without_a_fault_competing_is_not_asked_about() -> None:
    pair = [virtual_service(NO_FAULT % "reviews", name=name, spec=PRIVATE) for name in ("a", "b")]
    assert rules(*pair) == []


# ------------------------------------------------------------------------------------------------ leftover-of-a-run


@pytest.mark.parametrize(
    ("metadata", "place"),
    [
        ("labels: {chaos-harness.dev/run: abcdefgh}", "metadata.labels.chaos-harness.dev/run"),
        ("annotations: {chaos-harness.dev/undo: '{}'}", "metadata.annotations.chaos-harness.dev/undo"),
    ],
)
@pytest.mark.parametrize("kind", ["VirtualService", "Lease"])
def test_what_a_run_wrote_is_not_for_a_repository(kind: str, metadata: str, place: str) -> None:
    text = f"apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: x, namespace: staging, {metadata}}}\n"
    assert told(text) == [("leftover-of-a-run", place)]


def test_a_route_of_a_run_is_known_by_its_name() -> None:
    route = "name: chaos-abcdefgh-reviews, route: [{destination: {host: reviews}}]"
    assert told(virtual_service(route)) == [("leftover-of-a-run", "spec.http[0].name")]
    assert told(virtual_service(route.replace("abcdefgh", "monkey"))) == []


def test_a_frozen_namespace_is_nothing_that_a_run_left() -> None:
    text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: x, annotations: {chaos-harness.dev/frozen: holidays}}\n"
    assert told(text) == []
