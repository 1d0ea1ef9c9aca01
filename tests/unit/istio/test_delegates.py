"""Which routes a root and its delegate become."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.istio.delegates import merged

TO = [{"destination": {"host": "a"}}]


def vs(
    name: str, *http: dict[str, Any], hosts: tuple[str, ...] = (), namespace: str = "ns", **spec: Any
) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {**({"hosts": list(hosts)} if hosts else {}), "http": list(http), **spec},
    }


def routes(root: dict[str, Any], leaf: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    objects = [vs("root", {**root, "delegate": {"name": "leaf"}}, hosts=("x",)), vs("leaf", leaf, **more)]
    (found,) = merged(objects)
    return list(found["spec"]["http"])


@pytest.mark.parametrize(
    ("root", "leaf", "joined"),
    [
        ({"prefix": "/a"}, {"prefix": "/a/b"}, {"prefix": "/a/b"}),
        ({"prefix": "/a"}, {"exact": "/a/b"}, {"exact": "/a/b"}),
        ({"exact": "/a"}, {"exact": "/a"}, {"exact": "/a"}),
        ({"prefix": "/a/b"}, {"prefix": "/a"}, None),
        ({"exact": "/a"}, {"prefix": "/a"}, None),
        ({"exact": "/a"}, {"exact": "/b"}, None),
        ({"regex": "/a.*"}, {"exact": "/a"}, None),
        ({"prefix": "/a"}, {"regex": "/a.*"}, None),
    ],
)
def test_a_delegate_may_only_narrow(root: dict[str, str], leaf: dict[str, str], joined: dict[str, str] | None) -> None:
    found = routes({"match": [{"uri": root}]}, {"match": [{"uri": leaf}], "route": TO})
    assert [route["match"] for route in found] == ([[{"uri": joined}]] if joined else [])


def test_the_root_gives_what_the_delegate_does_not_say() -> None:
    fault = {"abort": {"httpStatus": 500, "percentage": {"value": 1}}}
    (found,) = routes({"name": "r", "timeout": "1s", "fault": fault}, {"name": "l", "timeout": "2s", "route": TO})
    assert (found["name"], found["timeout"], found["fault"]) == ("r-l", "2s", fault)


def test_all_pairs_of_matches() -> None:
    (found,) = routes(
        {"match": [{"headers": {"a": {"exact": "1"}}}, {"headers": {"a": {"exact": "2"}}}]},
        {"match": [{"headers": {"b": {"exact": "1"}}}, {"headers": {"a": {"exact": "2"}}}], "route": TO},
    )
    assert [block["headers"] for block in found["match"]] == [
        {"a": {"exact": "1"}, "b": {"exact": "1"}}, {"a": {"exact": "2"}, "b": {"exact": "1"}}, {"a": {"exact": "2"}},
    ]  # fmt: skip


def test_delegates_of_other_namespaces_bring_their_own_short_names() -> None:
    root = vs("root", {"delegate": {"name": "leaf", "namespace": "other"}}, hosts=("x",))
    (found,) = merged([root, vs("leaf", {"route": TO}, namespace="other")])
    assert found["spec"]["http"][0]["route"][0]["destination"]["host"] == "a.other.svc.cluster.local"
    (hidden,) = merged([root, vs("leaf", {"route": TO}, namespace="other", exportTo=["."])])
    assert hidden["spec"]["http"] == [], "not exported to the root's namespace"


def test_without_delegates_nothing_changes() -> None:
    plain = vs("root", {"route": TO}, hosts=("x",))
    assert merged([plain]) == [plain]
    assert merged([vs("leaf", {"route": TO})]) == [], "a delegate alone governs nothing"


def test_a_delegate_without_a_name_is_none() -> None:
    """Istio takes it, and serves no route in its place."""
    root = {
        "metadata": {"name": "root", "namespace": "staging"},
        "spec": {"hosts": ["a"], "http": [{"delegate": {"namespace": "other"}}]},
    }
    assert [one["spec"]["http"] for one in merged([root])] == [[]]
