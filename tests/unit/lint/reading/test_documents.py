"""Objects and positions out of all forms of YAML and JSON, and what becomes of text that is neither."""

from __future__ import annotations

import json

import pytest

from chaos.lint.reading.documents import Document, documents, is_relevant
from chaos.lint.reading.nodes import locate
from chaos.lint.reading.objects import read
from chaos.lint.rules.finding import Finding
from chaos.lint.rules.manifest import Manifest, Path

VS = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: %s}\n"


def manifests(text: str) -> list[Manifest]:
    return [
        one for document in documents(text, file="f", first=0) if is_relevant(document) for one in objects(document)
    ]


def held(document: Document) -> list[Manifest | Finding | str]:
    return list(read(document, namespace=None, segments=(), stream="f"))


def objects(document: Document) -> list[Manifest]:
    return [one for one in held(document) if isinstance(one, Manifest)]


def at(document: Document, path: Path) -> tuple[int, int]:
    place = locate(document, path)
    return place.line, place.column


def names(text: str) -> list[str]:
    return [one.name for one in manifests(text)]


def troubles(text: str) -> list[Finding]:
    found = [one for document in documents(text, file="f", first=0) for one in held(document)]
    return [one for one in found if isinstance(one, Finding)]


def vs(name: str) -> dict[str, object]:
    return {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": name}}


@pytest.mark.parametrize(
    "text",
    [
        VS % "a" + "---\n" + VS % "b",
        "---\n" + VS % "a" + "...\n---\n" + VS % "b" + "...\n",
        "\n\n--- # first\n" + VS % "a" + "---\t\n" + VS % "b",
        "%YAML 1.2\n---\n" + VS % "a" + "...\n%YAML 1.2\n---\n" + VS % "b",
        (VS % "a" + "---\n" + VS % "b").replace("\n", "\r\n"),
        VS % "a" + "x: |\n  kind: Service\n  --- no cut\n---\n" + VS % "b",
        json.dumps([vs("a"), vs("b")]),
        json.dumps({"kind": "List", "apiVersion": "v1", "items": [vs("a"), vs("b")]}),
        json.dumps({"kind": "List", "items": [vs("a"), {"kind": "List", "items": [5, None, vs("b")]}]}, indent="\t"),
        json.dumps(vs("a")) + "\n" + json.dumps(vs("b"), indent=2),
        json.dumps(vs("a")) + json.dumps(vs("b")),
        f"- {json.dumps(vs('a'))}\n- {json.dumps(vs('b'))}\n",
        "kind: VirtualServiceList\napiVersion: networking.istio.io/v1\nitems: [{metadata: {name: a}}, {metadata: {name: b}}]",
        "{kind: VirtualService, apiVersion: networking.istio.io/v1, metadata: {name: a}}\n---\n" + VS % "b",
        (VS % "a").replace("kind: ", "? kind\n: ") + "---\n" + (VS % "b").replace("kind:", "'kind' :"),
        (VS % "a").replace("kind: ", "kind: &k ") + "---\n" + (VS % "b").replace("kind: ", "kind: !!str "),
        "x: &base {kind: VirtualService, apiVersion: networking.istio.io/v1}\n<<: *base\nmetadata: {name: a}\n---\n"
        + VS % "b",
    ],
)
def test_every_form_of_two_objects(text: str) -> None:
    found = manifests(text)
    assert [one.name for one in found] == ["a", "b"]
    assert all(one.is_a("VirtualService", "networking.istio.io") for one in found)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# kind: VirtualService\n",
        "just text",
        "- 1\n- 2",
        "kind: Deployment\nspec: {x: {kind: Service}}",
        "kind: CustomResourceDefinition\nspec: {names: {kind: VirtualService}}",
        "kind: ServiceAccount\nmetadata: {name: x}",
        "kind: ConfigMap\ndata:\n  x: |\n    kind: VirtualService\n",
    ],
)
def test_documents_without_an_object_of_interest(text: str) -> None:
    assert names(text) == []


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "before",
    [
        "---\n",
        "---\n---\n",
        "# of the chart\n---\n",
        "---\n# Source: shop/templates/empty.yaml\n",
        "# first\n---\n# Source: shop/templates/empty.yaml\n\n--- # nothing\n",
        "---\n...\n",
        "kind: Service\n---\n\n---\n",
    ],
)
def test_an_empty_document_is_none_and_the_next_one_is_read(before: str, end: str) -> None:
    text = f"{before}---\n# Source: shop/templates/vs.yaml\nkind: VirtualService\n".replace("\n", end)
    found = list(documents(text, file="f", first=0))
    assert not any(isinstance(one, Finding) for document in found for one in held(document))
    assert [one.kind for one in objects(found[-1])] == ["VirtualService"]
    assert found[-1].source == "shop/templates/vs.yaml"
    assert text.splitlines()[found[-1].line] == "---"


def test_half_characters_of_json_are_read() -> None:
    text = json.dumps({**vs("a"), "note": "\N{GRINNING FACE}"})
    assert "\\ud83d" in text
    assert names(text) == ["a"]


def test_values_are_those_that_kubernetes_reads() -> None:
    text = VS % "a" + (
        "spec: {i: 503, q: '503', f: 0.5, e: 1e2, b: true, n: ~, x: , s: !!str 5, z: 007, y: yes, m: -.inf, big: 99999999999999999999999}"
    )
    spec = dict(manifests(text)[0].spec)
    assert spec == {
        "i": 503, "q": "503", "f": 0.5, "e": 100.0, "b": True, "s": "5", "z": 7.0, "y": "yes", "m": float("-inf"),
        "big": "99999999999999999999999",
    }  # fmt: skip


def test_anchors_and_merges() -> None:
    text = VS % "a" + "spec:\n  one: &o {x: 1, y: 2}\n  two: {<<: *o, y: 3}\n  three: {<<: [{x: 7}, *o]}\n  four: *o\n"
    spec = manifests(text)[0].spec
    assert (spec["two"], spec["three"], spec["four"]) == ({"x": 1, "y": 3}, {"x": 7, "y": 2}, {"x": 1, "y": 2})


def test_many_aliases_cost_nothing() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40)]
    assert names(VS % "a" + "\n".join(lines)) == ["a"]


@pytest.mark.parametrize(
    ("tail", "rule"),
    [
        ("x: &x [*x]\n", "not-yaml"),
        ("x: *nope\n", "not-yaml"),
        ("x: [1\n", "not-yaml"),
        ("\tx: 1\n", "not-yaml"),
        ('x: "\\q"\n', "not-yaml"),
        ("x: \x07\n", "not-yaml"),
        ("x: " + "[" * 300_000, "not-yaml"),
        ("x:\n" + "- " * 300_000, "not-yaml"),
        ("x: " + "{a: " * 600 + "}" * 600, "not-yaml"),
        ("{{- if .Values.fault }}\nx: 1\n{{- end }}\n", "unrendered-template"),
        ("x: {{ .Values.x }}: y\n", "unrendered-template"),
        ("{% if x %}\nx: 1\n", "unrendered-template"),
    ],
)
def test_text_that_can_not_be_read_is_told_with_its_place(tail: str, rule: str) -> None:
    [one] = troubles(VS % "a" + tail)
    assert one.rule.id == rule
    assert 1 <= one.place.line <= 6


def test_the_documents_beside_one_that_is_broken_are_read() -> None:
    text = VS % "a" + "---\nkind: Service\nx: [\n---\n" + VS % "b"
    assert names(text) == ["a", "b"]
    [broken] = [one for one in documents(text, file="f", first=0) if "x: [" in one.text]
    [note] = held(broken)
    assert isinstance(note, str)
    assert note.startswith("f:")


def test_keys_that_are_there_twice() -> None:
    [one] = troubles("# x\n---\n" + VS % "a" + "spec:\n  hosts: [a]\n  http: []\n  hosts: [b]\n")
    assert (one.rule.id, one.place.line, one.place.column) == ("duplicate-key", 9, 3)
    assert manifests(VS % "a" + "spec: {hosts: [a], hosts: [b]}")[0].spec["hosts"] == ["b"]


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("spec",), (7, 1)),
        (("spec", "http", 0, "fault"), (10, 5)),
        (("spec", "http", 0, "fault", "abort", "httpStatus"), (12, 7)),
        (("spec", "hosts", 1), (8, 15)),
        (("spec", "http", 7), (9, 3)),
        (("spec", "nothing", "there"), (7, 1)),
        (("metadata", "name"), (6, 12)),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_places_of_values(path: tuple[str | int, ...], place: tuple[int, int], end: str) -> None:
    text = (
        "kind: Namespace\nmetadata: {name: n}\n---\n"
        + VS % "a"
        + "spec:\n  hosts: [é€, b]\n  http:\n  - fault:\n     abort:\n      httpStatus: 503\n"
    )
    found = list(documents(text.replace("\n", end), file="f", first=0))
    assert at(found[1], path) == place


def test_places_in_items_of_lists_and_in_what_is_merged() -> None:
    text = "kind: List\nitems:\n- kind: Service\n  x: 1\n- &b\n  y: 2\n- <<: *b\n  z: 3\n"
    [one] = documents(text, file="f", first=0)
    assert at(one, ("items", 0, "x")) == (4, 3)
    assert at(one, ("items", 2, "y")) == (6, 3)
    assert at(one, ("items", 2, "z")) == (8, 3)


def test_of_a_key_that_is_there_twice_the_place_is_that_of_the_one_that_counts() -> None:
    [one] = documents("a: 1\nb: 2\na: 3\n", file="f", first=0)
    assert at(one, ("a",)) == (3, 1)


def test_json_values_in_a_row_have_their_own_lines() -> None:
    text = json.dumps(vs("a"), indent=1) + " " + json.dumps(vs("b"), indent=1)
    first, second = documents(text, file="f", first=0)
    assert at(first, ("kind",)) == (3, 2)
    # The second begins on the line on which the first ends.
    assert at(second, ("kind",)) == (text[: text.rindex('"kind"')].count("\n") + 1, 2)
    assert at(second, ()) == (text[: text.rindex("} {")].count("\n") + 1, 3)


def test_helm_says_where_a_document_comes_from() -> None:
    text = "---\n# Source: shop/templates/a.yaml\n" + VS % "a" + "---\n" + VS % "b" + "# Source: not/here.yaml\n"
    assert [one.source for one in documents(text, file="f", first=0)] == ["shop/templates/a.yaml", ""]
