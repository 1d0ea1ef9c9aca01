"""What a cluster refuses or keeps, the lab's API refuses and keeps: each rule on its own, without recordings."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

VS = "/apis/networking.istio.io/v1/namespaces/staging/virtualservices"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/staging/leases"
MAPS = "/api/v1/namespaces/staging/configmaps"
APPLY = {"content-type": "application/apply-patch+yaml"}
MERGE = {"content-type": "application/merge-patch+json"}


def vs(name: str = "a", **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": name, **metadata},
        "spec": {"hosts": ["x"], "http": [{"route": [{"destination": {"host": "x"}}]}]},
    }  # fmt: skip


def lease(name: str = "l", *, owner: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    meta = {"name": name, **({"ownerReferences": [owner]} if owner else {})}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": spec}


def owner_of(made: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"apiVersion": made["apiVersion"], "kind": made["kind"], "name": made["metadata"]["name"],
            "uid": made["metadata"]["uid"], **more}  # fmt: skip


def made(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refused(answer: httpx.Response) -> tuple[int, str]:
    told = answer.json()
    return answer.status_code, told.get("reason", "")


def causes(answer: httpx.Response) -> list[str]:
    return [cause["field"] for cause in answer.json()["details"]["causes"]]


# --- what loses or destroys ----------------------------------------------------------------------------------------------


def test_namespaces_are_not_deleted_all_at_once(admin: httpx.Client) -> None:
    assert refused(admin.delete("/api/v1/namespaces")) == (405, "MethodNotAllowed")
    assert refused(admin.delete("/api/v1/namespaces/kube-system")) == (403, "Forbidden")
    assert admin.get("/api/v1/namespaces/staging").status_code == 200


def test_many_are_deleted_in_one_namespace_only(admin: httpx.Client) -> None:
    made(admin.post(VS, json=vs()))
    assert admin.delete("/apis/networking.istio.io/v1/virtualservices").status_code == 404
    assert refused(admin.delete("/api/v1/configmaps")) == (405, "MethodNotAllowed")
    gone = admin.delete(VS).json()
    assert (gone["kind"], [item["metadata"]["name"] for item in gone["items"]]) == ("VirtualServiceList", ["a"])


@pytest.mark.parametrize(
    "selector", ["a in (x", "=x", "a=b c", "a b=x", ",", "a,", "!", "a>x", "a/b/c=x", f"a={'x' * 64}"]
)
def test_a_selector_that_can_not_be_read_selects_nothing(admin: httpx.Client, selector: str) -> None:
    made(admin.post(VS, json=vs(labels={"a": "x"})))
    assert refused(admin.delete(VS, params={"labelSelector": selector})) == (400, "BadRequest")
    assert refused(admin.get(VS, params={"labelSelector": selector})) == (400, "BadRequest")
    assert len(admin.get(VS).json()["items"]) == 1


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("t>0", ["a", "b"]),
        ("t<2", ["a"]),
        ("t in (1,)", ["a"]),
        (" t = 1 ", ["a"]),
        ("!t", ["c"]),
        ("t notin (1),t", ["b"]),
    ],
)
def test_selectors_select(admin: httpx.Client, selector: str, names: list[str]) -> None:
    for name, labels in (("a", {"t": "1"}), ("b", {"t": "2"}), ("c", {})):
        made(admin.post(VS, json=vs(name, labels=labels)))
    found = admin.get(VS, params={"labelSelector": selector}).json()["items"]
    assert [one["metadata"]["name"] for one in found] == names


def test_a_finalizer_holds_what_is_deleted(admin: httpx.Client) -> None:
    made(admin.post(VS, json=vs(finalizers=["x.dev/hold"])))
    going = admin.delete(f"{VS}/a").json()
    assert going["metadata"]["deletionTimestamp"]
    assert going["metadata"]["generation"] == 2
    assert refused(admin.post(VS, json=vs())) == (409, "AlreadyExists")
    more = admin.patch(f"{VS}/a", json={"metadata": {"finalizers": ["x.dev/hold", "x.dev/more"]}}, headers=MERGE)
    assert (refused(more), causes(more)) == ((422, "Invalid"), ["metadata.finalizers"] * 2)
    assert admin.patch(f"{VS}/a", json={"metadata": {"finalizers": None}}, headers=MERGE).status_code == 200
    assert admin.get(f"{VS}/a").status_code == 404


def test_orphans_stay_without_their_owner(admin: httpx.Client) -> None:
    owner = made(admin.post(VS, json=vs()))
    made(admin.post(LEASES, json=lease(owner=owner_of(owner))))
    admin.request("DELETE", f"{VS}/a", json={"propagationPolicy": "Orphan"})
    assert admin.get(f"{VS}/a").status_code == 404
    assert "ownerReferences" not in admin.get(f"{LEASES}/l").json()["metadata"]


def test_in_the_foreground_an_owner_goes_last(admin: httpx.Client) -> None:
    owner = made(admin.post(VS, json=vs()))
    held = lease(owner=owner_of(owner, blockOwnerDeletion=True))
    held["metadata"]["finalizers"] = ["x.dev/hold"]
    made(admin.post(LEASES, json=held))
    going = admin.request("DELETE", f"{VS}/a", json={"propagationPolicy": "Foreground"}).json()
    assert going["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert admin.get(f"{LEASES}/l").json()["metadata"]["deletionTimestamp"]
    assert admin.get(f"{VS}/a").status_code == 200
    admin.patch(f"{LEASES}/l", json={"metadata": {"finalizers": None}}, headers=MERGE)
    assert [admin.get(path).status_code for path in (f"{LEASES}/l", f"{VS}/a")] == [404, 404]


def test_of_two_owners_one_is_enough(admin: httpx.Client) -> None:
    first, second = (made(admin.post(VS, json=vs(name))) for name in ("a", "b"))
    both = lease(owner=owner_of(first))
    both["metadata"]["ownerReferences"].append(owner_of(second))
    made(admin.post(LEASES, json=both))
    admin.delete(f"{VS}/a")
    assert admin.get(f"{LEASES}/l").json()["metadata"]["ownerReferences"] == [owner_of(second)]
    admin.delete(f"{VS}/b")
    assert admin.get(f"{LEASES}/l").status_code == 404


def test_a_namespace_that_was_replaced_still_empties_before_it_goes(admin: httpx.Client) -> None:
    made(admin.post(MAPS, json={"metadata": {"name": "c"}}))
    replaced = admin.put(
        "/api/v1/namespaces/staging", json={"metadata": {"name": "staging", "labels": {"env": "x"}}}
    ).json()
    assert replaced["spec"] == {"finalizers": ["kubernetes"]}
    assert replaced["metadata"]["labels"] == {"env": "x", "kubernetes.io/metadata.name": "staging"}
    admin.delete("/api/v1/namespaces/staging")
    assert [admin.get(path).status_code for path in (f"{MAPS}/c", "/api/v1/namespaces/staging")] == [404, 404]


def test_a_namespace_that_is_deleted_takes_nothing_new_and_waits_for_what_is_held(admin: httpx.Client) -> None:
    made(admin.post(VS, json=vs(finalizers=["x.dev/hold"])))
    made(admin.post(MAPS, json={"metadata": {"name": "c"}}))
    going = admin.delete("/api/v1/namespaces/staging").json()
    assert going["status"]["phase"] == "Terminating"
    assert admin.get(f"{MAPS}/c").status_code == 404
    late = admin.post(MAPS, json={"metadata": {"name": "late"}})
    assert (refused(late), late.json()["details"]["causes"][0]["reason"]) == (
        (403, "Forbidden"),
        "NamespaceTerminating",
    )
    admin.patch(f"{VS}/a", json={"metadata": {"finalizers": None}}, headers=MERGE)
    assert admin.get("/api/v1/namespaces/staging").status_code == 404


@pytest.mark.parametrize(
    "options",
    [{"propagationPolicy": "Frob"}, {"propagationPolicy": "Orphan", "orphanDependents": True}, {"dryRun": ["Some"]}],
)
def test_a_deletion_with_options_that_can_not_be_deletes_nothing(admin: httpx.Client, options: dict[str, Any]) -> None:
    made(admin.post(VS, json=vs()))
    assert refused(admin.request("DELETE", f"{VS}/a", json=options)) == (422, "Invalid")
    assert admin.request("DELETE", f"{VS}/a", json={"propagationPolicy": 5}).status_code == 400
    assert admin.get(f"{VS}/a").status_code == 200


# --- what concurrent writers rely on -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("place", "obj"), [(VS, vs()), (LEASES, lease())])
def test_a_replacement_says_of_which_version(admin: httpx.Client, place: str, obj: dict[str, Any]) -> None:
    first = made(admin.post(place, json=obj))
    path = f"{place}/{obj['metadata']['name']}"
    blind = admin.put(path, json=obj)
    assert (refused(blind), causes(blind)) == ((422, "Invalid"), ["metadata.resourceVersion"])
    assert admin.put(path, json=first).status_code == 200
    other = {**first, "metadata": {**first["metadata"], "uid": "00000000-0000-4000-8000-000000000000"}}
    assert refused(admin.put(path, json=other)) == (409, "Conflict")
    new = admin.post(place, json={**obj, "metadata": {"name": "new", "resourceVersion": "5"}})
    assert new.status_code == 500, "a new object has no version yet"


def test_a_put_makes_a_lease_but_not_one_that_was_there(admin: httpx.Client) -> None:
    assert made(admin.put(f"{LEASES}/l", json=lease()))["metadata"]["name"] == "l"
    old = admin.get(f"{LEASES}/l").json()
    admin.delete(f"{LEASES}/l")
    assert refused(admin.put(f"{LEASES}/l", json=old)) == (409, "Conflict"), "whoever lost it must notice"
    assert refused(admin.put(f"{VS}/a", json=vs())) == (404, "NotFound")


def test_an_owner_that_is_named_twice_counts_once(admin: httpx.Client) -> None:
    owner = owner_of(made(admin.post(VS, json=vs())))
    twice = lease(owner=owner)
    twice["metadata"]["ownerReferences"].append(owner)
    answer = admin.post(LEASES, json=twice)
    assert made(answer)["metadata"]["ownerReferences"] == [owner]
    assert "duplicate entries" in answer.headers["warning"]


@pytest.mark.parametrize(
    ("owner", "field"),
    [
        ({"uid": ""}, "metadata.ownerReferences.uid"),
        ({"name": ""}, "metadata.ownerReferences.name"),
        ({"kind": ""}, "metadata.ownerReferences.kind"),
        ({"apiVersion": "a/b/c"}, "metadata.ownerReferences.apiVersion"),
    ],
)
def test_an_owner_is_named_wholly(admin: httpx.Client, owner: dict[str, str], field: str) -> None:
    whole = {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "u"}
    answer = admin.post(LEASES, json=lease(owner={**whole, **owner}))
    assert (refused(answer), causes(answer)) == ((422, "Invalid"), [field])


# --- what would fail on a cluster ----------------------------------------------------------------------------------------


def test_a_path_into_annotations_that_are_gone_leads_nowhere(admin: httpx.Client) -> None:
    made(admin.post(VS, json=vs(annotations={"k": "v"})))
    header = {"content-type": "application/json-patch+json"}
    gone = admin.patch(f"{VS}/a", json=[{"op": "remove", "path": "/metadata/annotations/k"}], headers=header)
    assert "annotations" not in gone.json()["metadata"]
    add = [{"op": "add", "path": "/metadata/annotations/k", "value": "v"}]
    assert refused(admin.patch(f"{VS}/a", json=add, headers=header)) == (422, "Invalid")


def test_a_body_is_of_the_kind_and_version_of_its_path(admin: httpx.Client) -> None:
    assert refused(admin.post(VS, json={**vs(), "apiVersion": "networking.istio.io/v1beta1"})) == (400, "BadRequest")
    other = admin.post(VS, json={**vs(), "kind": "Gateway"})
    assert (refused(other), causes(other)) == ((422, "Invalid"), ["kind"])
    nameless = {key: value for key, value in vs().items() if key != "kind"}
    assert refused(admin.post(VS, json=nameless)) == (400, "BadRequest")
    assert refused(admin.post(MAPS, json={**lease(), "apiVersion": "v1"})) == (400, "BadRequest")
    first = made(admin.post(VS, json=vs()))
    renamed = {**first, "metadata": {**first["metadata"], "name": "b"}}
    assert refused(admin.put(f"{VS}/a", json=renamed)) == (400, "BadRequest")


def test_an_apply_owns_no_field_that_is_not_there(admin: httpx.Client) -> None:
    obj = vs()
    obj["spec"]["surprise"] = 1
    answer = admin.patch(f"{VS}/a", params={"fieldManager": "m"}, content=json.dumps(obj), headers=APPLY)
    assert (answer.status_code, ".spec.surprise: field not declared in schema" in answer.text) == (500, True)


@pytest.mark.parametrize("place", [VS, MAPS, LEASES])
def test_unknown_fields_are_told_or_refused(admin: httpx.Client, place: str) -> None:
    obj = {VS: vs(), MAPS: {"metadata": {"name": "a"}}, LEASES: lease("a")}[place]
    obj = {**obj, "metadata": {**obj["metadata"], "frob": 1}}
    taken = admin.post(place, json=obj)
    assert 'unknown field \\"metadata.frob\\"' in taken.headers["warning"]
    assert "frob" not in taken.json()["metadata"]
    assert refused(admin.post(place, json=obj, params={"fieldValidation": "Strict"})) == (400, "BadRequest")
    twice = admin.post(MAPS, content='{"metadata": {"name": "b"}, "data": {"k": "1", "k": "2"}}')
    assert 'duplicate field \\"data.k\\"' in twice.headers["warning"]


def test_a_body_that_is_nested_without_end_is_told(admin: httpx.Client) -> None:
    deep = '{"metadata": {"name": "c"}, "data": ' + "[" * 100_000 + "]" * 100_000 + "}"
    assert refused(admin.post(MAPS, content=deep)) == (400, "BadRequest")


@pytest.mark.parametrize("time", ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.1Z", "2026-01-02", "", 5])
def test_a_lease_has_times_with_six_decimals(admin: httpx.Client, time: Any) -> None:
    assert refused(admin.post(LEASES, json=lease(renewTime=time))) == (400, "BadRequest")
    right = made(admin.post(LEASES, json=lease(renewTime="2026-01-02T03:04:05.123456+02:00")))
    assert right["spec"]["renewTime"] == "2026-01-02T01:04:05.123456Z"


@pytest.mark.parametrize(
    ("obj", "code", "field"),
    [
        (lease(leaseDurationSeconds=0), 422, "spec.leaseDurationSeconds"),
        (lease(leaseTransitions=-1), 422, "spec.leaseTransitions"),
        (lease(leaseDurationSeconds=3.5), 400, ""),
        (lease(holderIdentity=5), 400, ""),
        (lease("Upper"), 422, "metadata.name"),
        (lease("x" * 254), 422, "metadata.name"),
        ({**lease(), "metadata": {"name": "l", "labels": {"bad key!": "x"}}}, 422, "metadata.labels"),
        ({**lease(), "metadata": {"name": "l", "labels": {"k": "x" * 64}}}, 422, "metadata.labels"),
        ({**lease(), "metadata": {"name": "l", "labels": {"k": 1}}}, 400, ""),
        ({**lease(), "metadata": {"name": "l", "annotations": {"k": "x" * 270_000}}}, 422, "metadata.annotations"),
    ],
)
def test_values_are_of_their_types_and_sizes(admin: httpx.Client, obj: dict[str, Any], code: int, field: str) -> None:
    answer = admin.post(LEASES, json=obj)
    assert answer.status_code == code, answer.text
    assert code == 400 or field in causes(answer)


def test_a_config_map_that_is_immutable_stays_as_it_is(admin: httpx.Client) -> None:
    made(admin.post(MAPS, json={"metadata": {"name": "c"}, "data": {"k": "1"}, "immutable": True}))
    assert refused(admin.patch(f"{MAPS}/c", json={"data": {"k": "2"}}, headers=MERGE)) == (422, "Invalid")
    assert refused(admin.patch(f"{MAPS}/c", json={"data": {"k": 2}}, headers=MERGE)) == (422, "Invalid")


def test_a_pod_keeps_its_spec_but_for_images(admin: httpx.Client) -> None:
    pods = "/api/v1/namespaces/staging/pods"
    made(admin.post(pods, json={"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}))
    header = {"content-type": "application/strategic-merge-patch+json"}
    image = {"spec": {"containers": [{"name": "c", "image": "i:2"}]}}
    assert admin.patch(f"{pods}/p", json=image, headers=header).status_code == 200
    without = {"metadata": {"name": "q"}, "spec": {"containers": [{"name": "c"}, {"name": "c", "image": "i"}]}}
    assert causes(admin.post(pods, json=without)) == ["spec.containers[0].image", "spec.containers[1].name"]
    command = {"spec": {"containers": [{"name": "c", "command": ["x"]}]}}
    refusal = admin.patch(f"{pods}/p", json=command, headers=header)
    assert (refused(refusal), causes(refusal)) == ((422, "Invalid"), ["spec"])


@pytest.mark.parametrize(
    ("query", "headers", "field"),
    [
        ({"fieldManager": "x" * 129}, MERGE, "fieldManager"),
        ({"fieldManager": "a\nb"}, MERGE, "fieldManager"),
        ({"dryRun": "Some"}, MERGE, "dryRun"),
        ({"force": "true"}, MERGE, "force"),
        ({"fieldValidation": "Frob"}, MERGE, "fieldValidation"),
        ({}, APPLY, "fieldManager"),
    ],
)
def test_options_of_a_write_are_checked(
    admin: httpx.Client, query: dict[str, str], headers: dict[str, str], field: str
) -> None:
    made(admin.post(VS, json=vs()))
    answer = admin.patch(f"{VS}/a", params=query, content=json.dumps(vs()), headers=headers)
    assert (refused(answer), causes(answer)) == ((422, "Invalid"), [field])


# --- reads and watches ---------------------------------------------------------------------------------------------------


def test_methods_and_numbers_that_are_none_are_told(admin: httpx.Client) -> None:
    assert (admin.head(VS).status_code, admin.head(VS).content) == (200, b"")
    assert admin.request("TRACE", VS).status_code == 405
    for name in ("timeoutSeconds", "limit"):
        assert refused(admin.get(VS, params={name: "x", "watch": "true"})) == (400, "BadRequest")


def test_answers_come_in_the_form_that_is_asked_for(admin: httpx.Client) -> None:
    made(admin.post(VS, json=vs()))
    partial = "application/json;as=PartialObjectMetadata{};v=v1;g=meta.k8s.io"
    one = admin.get(f"{VS}/a", headers={"accept": partial.format("")}).json()
    assert (one["kind"], "spec" in one) == ("PartialObjectMetadata", False)
    many = admin.get(VS, headers={"accept": partial.format("List")}).json()
    assert [item["kind"] for item in many["items"]] == ["PartialObjectMetadata"]
    assert admin.get(VS, headers={"accept": "application/yaml"}).text.startswith("apiVersion: networking.istio.io/v1\n")
    assert refused(admin.get(VS, headers={"accept": "text/html"})) == (406, "NotAcceptable")
    table = "application/json;as=Table;v=v1;g=meta.k8s.io"
    bare = admin.get(VS, params={"includeObject": "None"}, headers={"accept": table}).json()
    assert [row["object"] for row in bare["rows"]] == [None]


def test_lists_of_a_version(admin: httpx.Client) -> None:
    first = made(admin.post(VS, json=vs()))["metadata"]["resourceVersion"]
    made(admin.post(VS, json=vs("b")))
    admin.delete(f"{VS}/a")

    def names(**query: str) -> list[str]:
        answer = admin.get(VS, params=query)
        assert answer.status_code == 200, answer.text
        return [one["metadata"]["name"] for one in answer.json()["items"]]

    assert names(resourceVersion=first) == ["b"], "not older than it"
    assert names(resourceVersion=first, resourceVersionMatch="Exact") == ["a"]
    assert refused(admin.get(VS, params={"resourceVersionMatch": "Exact"})) == (422, "Invalid")
    assert refused(admin.get(VS, params={"resourceVersion": "1", "resourceVersionMatch": "Exact"})) == (410, "Expired")
    future = admin.get(VS, params={"resourceVersion": "99999999"})
    assert (refused(future), future.headers["retry-after"]) == ((504, "Timeout"), "1")
    assert refused(admin.get(VS, params={"resourceVersion": "x"})) == (400, "BadRequest")


def test_a_watch_tells_what_enters_and_leaves_its_selection_since_a_version(admin: httpx.Client) -> None:
    start = admin.get(VS).json()["metadata"]["resourceVersion"]
    made(admin.post(VS, json=vs(labels={"t": "1"})))
    for value in ("2", "1"):
        admin.patch(f"{VS}/a", json={"metadata": {"labels": {"t": value}}}, headers=MERGE)
    admin.delete(f"{VS}/a")
    asked = {"watch": "1", "labelSelector": "t=1", "timeoutSeconds": "1", "resourceVersion": start}
    told = [json.loads(line) for line in admin.get(VS, params=asked).text.splitlines()]
    assert [one["type"] for one in told] == ["ADDED", "DELETED", "ADDED", "DELETED"]
    assert told[1]["object"]["metadata"]["labels"] == {"t": "1"}, "as it was while it was selected"
    later = {**asked, "resourceVersion": told[0]["object"]["metadata"]["resourceVersion"]}
    first = json.loads(admin.get(VS, params=later).text.splitlines()[0])
    assert first["type"] == "DELETED", "it was in the selection before this watch began"


def test_initial_events_need_what_they_need(admin: httpx.Client) -> None:
    made(admin.post(VS, json=vs()))
    asked = {"watch": "1", "timeoutSeconds": "1", "sendInitialEvents": "true"}
    assert refused(admin.get(VS, params=asked)) == (422, "Invalid")
    asked["resourceVersionMatch"] = "NotOlderThan"
    told = [json.loads(line)["type"] for line in admin.get(VS, params=asked).text.splitlines()]
    assert told == ["ADDED"], "no bookmark for who did not allow it"
    none = {**asked, "sendInitialEvents": "false"}
    assert admin.get(VS, params=none).text == ""
