"""Bookinfo from its own unchanged manifests, driven by kubectl; measured at the callers' sidecars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chaos.lab.state import LabState
from tests.e2e.callers import Refused, Reply, agrees, ask, kubectl, sidecar
from tests.e2e.experiments import chaosctl, on, quick, record_in
from tests.support import loopback
from tests.support.bookinfo import BEHAVIOURS, DATA
from tests.support.kubectl import needs_kubectl
from tests.support.labs import own_lab
from tests.support.scope import one_of
from tests.support.waiting import until

pytestmark = [
    pytest.mark.lab,
    needs_kubectl,
    pytest.mark.skipif(not DATA.is_dir(), reason="Bookinfo's manifests are not beside this checkout"),
]
JASON = {"end-user": "jason"}
REJECTED = {
    "egress-rule-google-apis.yaml": "www.googleapis.com, which is not on loopback (give it endpoints in 127.0.0.0/8)",
}
"""Samples that need what the lab can't do, and what it says of them."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabState]:
    behaviours = tmp_path_factory.mktemp("book") / "behaviours.yaml"
    behaviours.write_text(BEHAVIOURS)
    manifests = [DATA / "platform-kube" / "bookinfo.yaml", DATA / "networking" / "bookinfo-gateway.yaml"]
    with own_lab(tmp_path_factory.mktemp("labs"), "book", manifests=manifests, behaviours=behaviours) as made:
        kubectl(made, "apply", "-f", str(DATA / "networking" / "destination-rule-all.yaml"))
        yield made


@pytest.fixture
def apply(lab: LabState) -> Iterator[Callable[[str], None]]:
    """Applies a sample, and takes it away again."""
    applied: list[str] = []

    def one(name: str) -> None:
        applied.append(str(DATA / "networking" / name))
        kubectl(lab, "apply", "-f", applied[-1])

    yield one
    for file in applied:
        kubectl(lab, "delete", "-f", file)


def test_the_page_comes_through_the_gateway(lab: LabState) -> None:
    answer = loopback.get(f"{lab.entry}/productpage", timeout=10)
    assert answer.status_code == 200
    assert answer.json()["service"] == "productpage"
    assert [call["status"] for call in answer.json()["calls"]] == [200, 200]
    assert loopback.get(f"{lab.entry}/nothing").status_code == 404, "the gateway routes Bookinfo's paths only"
    assert lab.staging == ("default",)


def test_the_abort_hits_only_jason(lab: LabState, apply: Callable[[str], None]) -> None:
    reviews, url = sidecar(lab, "reviews", "default"), "http://ratings:9080/ratings/0"
    apply("virtual-service-ratings-test-abort.yaml")
    until(lambda: ask(reviews, url, 1, **JASON)[0].status == 500, "jason is aborted")
    assert {one.status for one in ask(reviews, url, 40, **JASON)} == {500}
    assert {one.status for one in ask(reviews, url, 40)} == {200}
    assert {one.status for one in ask(reviews, url, 40, **{"end-user": "jasonx"})} == {200}
    # Through the whole application: the header is handed on, and the reviews degrade.
    page = [loopback.get(f"{lab.entry}/productpage", headers={"end-user": "jason"}, timeout=20) for _ in range(12)]
    assert {one.status_code for one in page} == {200}
    assert "unavailable" in {one.json().get("ratings") for one in page}
    assert "unavailable" not in loopback.get(f"{lab.entry}/productpage", timeout=20).text


def test_the_delay_hits_only_jason(lab: LabState, apply: Callable[[str], None]) -> None:
    reviews, url = sidecar(lab, "reviews", "default"), "http://ratings:9080/ratings/0"
    apply("virtual-service-ratings-test-delay.yaml")

    def late() -> list[Reply] | None:
        found = ask(reviews, url, 10, **JASON)
        return found if all(one.lasted(7) for one in found) else None

    assert {one.status for one in until(late, "jason is delayed, each time")} == {200}
    assert all(one.seconds < 7 for one in ask(reviews, url, 40))


def test_one_in_ten_sees_the_second_version(lab: LabState, apply: Callable[[str], None]) -> None:
    page, url = sidecar(lab, "productpage", "default"), "http://reviews:9080/reviews/0"
    assert {one.version for one in ask(page, url, 60)} == {"v1", "v2", "v3"}
    apply("virtual-service-reviews-90-10.yaml")
    until(lambda: "v3" not in {one.version for one in ask(page, url, 40)}, "v3 gets none")
    seen = Counter(one.version for one in ask(page, url, 800))
    assert set(seen) == {"v1", "v2"}
    assert agrees(seen["v2"], 800, 0.1), seen


def test_jason_gets_the_second_version_and_all_others_the_third(lab: LabState, apply: Callable[[str], None]) -> None:
    page, url = sidecar(lab, "productpage", "default"), "http://reviews:9080/reviews/0"
    apply("virtual-service-reviews-jason-v2-v3.yaml")
    until(lambda: {one.version for one in ask(page, url, 20)} == {"v3"}, "all others get v3")
    assert {one.version for one in ask(page, url, 60, **JASON)} == {"v2"}
    assert {one.version for one in ask(page, url, 60, **{"end-user": "Jason"})} == {"v3"}


REVIEWS, DETAILS, RATINGS = (
    "http://reviews:9080/reviews/0",
    "http://details:9080/details/0",
    "http://ratings:9080/ratings/0",
)
SERVED: dict[str, dict[str, dict[str, float]]] = {
    "virtual-service-all-v1.yaml": {REVIEWS: {"v1": 1}, DETAILS: {"v1": 1}, RATINGS: {"v1": 1}},
    "virtual-service-details-v2.yaml": {DETAILS: {"503": 1}},
    "virtual-service-ratings-db.yaml": {REVIEWS: {"v3": 1}, RATINGS: {"503": 1}},
    "virtual-service-ratings-mysql.yaml": {REVIEWS: {"v3": 1}, RATINGS: {"503": 1}},
    "virtual-service-ratings-mysql-vm.yaml": {REVIEWS: {"v3": 1}, RATINGS: {"503": 1}},
    "virtual-service-reviews-50-v3.yaml": {REVIEWS: {"v1": 0.5, "v3": 0.5}},
    "virtual-service-reviews-80-20.yaml": {REVIEWS: {"v1": 0.8, "v2": 0.2}},
    "virtual-service-reviews-test-v2.yaml": {REVIEWS: {"v1": 1}},
    "virtual-service-reviews-v2-v3.yaml": {REVIEWS: {"v2": 0.5, "v3": 0.5}},
    "virtual-service-reviews-v3.yaml": {REVIEWS: {"v3": 1}},
    "fault-injection-details-v1.yaml": {DETAILS: {"555": 1}},
    "destination-rule-all-mtls.yaml": {REVIEWS: {"v1": 1 / 3, "v2": 1 / 3, "v3": 1 / 3}, RATINGS: {"v1": 1}},
    "destination-rule-reviews.yaml": {REVIEWS: {"v1": 1 / 3, "v2": 1 / 3, "v3": 1 / 3}},
}
"""Samples that no test of their own measures: by URL, the share of each version, or of each status that is no success."""


@pytest.mark.parametrize("name", one_of(3, [*SERVED]))
def test_every_other_sample_routes_as_it_says(lab: LabState, apply: Callable[[str], None], name: str) -> None:
    page = sidecar(lab, "productpage", "default")

    def seen(url: str, times: int, **headers: str) -> Counter[str]:
        return Counter(one.who for one in ask(page, url, times, **headers))

    def answered_by(url: str, versions: set[str]) -> None:
        until(lambda: set(seen(url, 30)) <= versions, f"{url} is answered by {versions}")

    apply(name)
    for url, shares in SERVED[name].items():
        answered_by(url, set(shares))
        found = seen(url, 300)
        for what, share in shares.items():
            assert agrees(found[what], 300, share), (url, found)
    if name == "virtual-service-reviews-test-v2.yaml":
        assert set(seen(REVIEWS, 40, **JASON)) == {"v2"}
    if name.startswith("destination-rule"):
        kubectl(lab, "apply", "-f", str(DATA / "networking" / "destination-rule-all.yaml"))


def test_a_second_gateway_shares_the_port_of_the_first(lab: LabState, apply: Callable[[str], None]) -> None:
    """Port 80 of a Gateway is where the gateway's Service leads it, so that nobody has to be root."""
    apply("certmanager-gateway.yaml")
    challenge = f"{lab.entry}/.well-known/acme-challenge/x"
    until(lambda: loopback.get(challenge).status_code == 503, "the resolver is not there, but routed to")
    assert loopback.get(f"{lab.entry}/productpage", timeout=10).status_code == 200


@pytest.mark.parametrize("name", sorted(file.name for file in DATA.glob("networking/*.yaml")))
def test_every_sample_is_accepted_or_rejected_with_what_is_missing(lab: LabState, name: str) -> None:
    file = str(DATA / "networking" / name)
    if name in REJECTED:
        with pytest.raises(Refused) as caught:
            kubectl(lab, "apply", "--dry-run=server", "-f", file)
        assert REJECTED[name] in str(caught.value)
    else:
        assert "(server dry run)" in kubectl(lab, "apply", "--dry-run=server", "-f", file)


def test_an_experiment_runs_on_it(lab: LabState, tmp_path: Path) -> None:
    """The harness knows nothing of Bookinfo: target, callers and path are the experiment's."""
    file = quick(
        tmp_path, namespace="default", service="ratings", callers="{app: reviews}", path="/productpage", answers="productpage",
    )  # fmt: skip
    (tmp_path / "chaos.toml").write_text('namespaces = ["default"]\n')
    done = chaosctl("run", file, *on(lab), "--report-dir", tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record = record_in(tmp_path)
    assert record["plan"]["injections"][0]["strategy"] == "create"


def test_kubectl_sees_and_drives_workloads(lab: LabState) -> None:
    assert "ClusterIP" in kubectl(lab, "get", "svc", "ratings")
    owner = kubectl(
        lab, "get", "pod", "-l", "app=ratings", "-o", "jsonpath={.items[0].metadata.ownerReferences[0].kind}"
    )
    assert owner == "ReplicaSet"
    assert "ratings-v1-" in kubectl(lab, "get", "rs")
    slices = kubectl(
        lab,
        "get",
        "endpointslices",
        "-l",
        "kubernetes.io/service-name=reviews",
        "-o",
        "jsonpath={.items[*].endpoints[*].addresses[0]}",
    )
    assert len(slices.split()) == 3
    assert "successfully rolled out" in kubectl(lab, "rollout", "status", "deploy/ratings-v1", "--timeout=20s")
    assert "stand-in" in kubectl(lab, "logs", "deploy/ratings-v1", "-c", "ratings")
    kubectl(lab, "logs", "deploy/ratings-v1", "-c", "istio-proxy", "--tail=5")
    before = kubectl(lab, "get", "pod", "-l", "app=ratings", "-o", "jsonpath={.items[0].metadata.name}")
    kubectl(lab, "delete", "pod", before)
    kubectl(lab, "wait", "--for=condition=Ready", "pod", "-l", "app=ratings", "--timeout=30s")
    assert kubectl(lab, "get", "pod", "-l", "app=ratings", "-o", "jsonpath={.items[0].metadata.name}") != before
    kubectl(lab, "rollout", "restart", "deploy/ratings-v1")
    assert "successfully rolled out" in kubectl(lab, "rollout", "status", "deploy/ratings-v1", "--timeout=40s")
    kubectl(lab, "scale", "deploy/ratings-v1", "--replicas=2")
    assert "successfully rolled out" in kubectl(lab, "rollout", "status", "deploy/ratings-v1", "--timeout=40s")
    assert "ratings-v1" in kubectl(lab, "describe", "deploy", "ratings-v1")
    assert "istio-proxy" in kubectl(lab, "describe", "pod", "-l", "app=ratings")
    kubectl(lab, "scale", "deploy/ratings-v1", "--replicas=1")
