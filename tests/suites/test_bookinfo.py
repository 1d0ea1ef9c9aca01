"""The suites on Bookinfo's own unchanged manifests, with only a small file of names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.lab.state import LabState
from chaos_suites.services import SHOP
from tests.e2e.callers import kubectl
from tests.suites.running import SUITES, run
from tests.support.bookinfo import BEHAVIOURS, DATA
from tests.support.labs import own_lab

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="Bookinfo's manifests are not beside this checkout")
NAMES = f"""\
namespace = "default"

[canary]
caller = "productpage-v1"
service = "reviews"
path = "/productpage"
weights = {{ v1 = 90, v2 = 10 }}

[routing]
caller = "productpage-v1"
service = "reviews"
path = "/productpage"
routes = [{{ headers = {{ end-user = "jason" }}, version = "v2" }}, {{ headers = {{ end-user = "jasonx" }}, version = "v1" }}, {{ version = "v1" }}]

[degraded]
service = "reviews"
path = "/productpage"
dependencies = ["ratings"]

[identities]
accounts = {{ productpage = "bookinfo-productpage", reviews = "bookinfo-reviews", details = "bookinfo-details" }}
pods = ["reviews", "details"]
calls = [["productpage", "reviews"], ["productpage", "details"]]
paths = ["/productpage"]
configuration = ["{SHOP.parent}/strict.yaml"]

[key_metrics]
caller = "productpage"
service = "details"
path = "/productpage"
ranges = {{ latency = "500ms", pushes = "10000" }}

[tracing]
path = "/productpage"
hops = [["productpage", "details"], ["reviews", "ratings"]]

[control_plane]
caller = "productpage"
service = "details"
path = "/productpage"
"""
NETWORKING = DATA / "networking"
APPLY = {
    "test_canary", "test_mutual_tls", "test_under_fault", "test_key_metrics", "test_trace_headers",
    "test_versions", "test_istiod_down",
}  # fmt: skip
"""Files of which a test passes here while the canary is there; beside that of the routing, the others have no table."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabState]:
    behaviours = tmp_path_factory.mktemp("book") / "behaviours.yaml"
    behaviours.write_text(BEHAVIOURS)
    manifests = [DATA / "platform-kube" / "bookinfo.yaml", NETWORKING / "bookinfo-gateway.yaml"]
    with own_lab(tmp_path_factory.mktemp("labs"), "default", manifests=manifests, behaviours=behaviours) as made:
        kubectl(made, "apply", "-f", str(NETWORKING / "destination-rule-all.yaml"))
        yield made


@pytest.fixture
def names(tmp_path: Path) -> Path:
    file = tmp_path / "services.toml"
    file.write_text(NAMES)
    return file


def test_those_that_apply_pass_and_the_others_say_what_they_need(lab: LabState, names: Path, tmp_path: Path) -> None:
    kubectl(lab, "apply", "-f", str(NETWORKING / "virtual-service-reviews-90-10.yaml"))
    others = (SUITES / "traffic" / "test_routing.py", SUITES / "resilience" / "test_degraded.py")
    options = ("-n", "4", *(f"--ignore={one}" for one in others))
    done = run(services=names, reports=tmp_path, options=options)
    assert done.returncode == pytest.ExitCode.OK, done.stdout
    assert set(re.findall(r"^PASSED \S+/(test_\w+)\.py", done.stdout, re.MULTILINE)) == APPLY
    reasons = re.findall(r"^SKIPPED .*?: (.*)$", done.stdout, re.MULTILINE)
    assert reasons
    assert all("services.toml has no table" in one or "can't be told" in one for one in reasons)


def test_that_reviews_waits_for_ratings_without_a_time_out_is_found(lab: LabState, names: Path, tmp_path: Path) -> None:
    """It has a degraded answer for errors, but the page gives up before that comes."""
    done = run("resilience/test_degraded.py", services=names, reports=tmp_path)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    assert "expectation-violated" in done.stdout


def test_a_canary_for_one_user_is_exact(lab: LabState, names: Path, tmp_path: Path) -> None:
    kubectl(lab, "apply", "-f", str(NETWORKING / "virtual-service-reviews-test-v2.yaml"))
    done = run("traffic/test_routing.py", services=names, reports=tmp_path)
    assert done.returncode == pytest.ExitCode.OK, done.stdout
    split = run("traffic/test_canary.py", services=names, reports=tmp_path)
    assert "v1 answered" in split.stdout, "and the split is another one now"
