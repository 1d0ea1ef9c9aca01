"""YAML documents: whoever reads them, by YAML 1.2 as we do or by 1.1 as kubectl does, has the same objects."""

from __future__ import annotations

import pytest
from ruamel.yaml import YAML

from chaos.lab.api.bodies import yaml_reader
from chaos.values.documents import as_documents

TEXTS = [
    "yes", "on", "Off", "y", "N", "~", "null", "", "0777", "0o7", "0x1F", "1_000", "1:30", "1e3", ".5", "2024-01-01", "<<", "=",
    " lead", "trail ", "tab\there", "line\n", "line\n\n", "\nfirst", "a\n b\n\tc\n", " x\n  y \n", "x\n   ", "crlf\r\nx",
    "ü€😀", "\u2028x", "\x85", "\x07bell", "\ufeffbom", "\xa0", "word " * 60, "'", '"', "\\n", "---", "a: b", "a #b", "- a",
]  # fmt: skip


@pytest.mark.parametrize("reader", [YAML(typ="safe", pure=True), yaml_reader()], ids=["YAML 1.2", "kubectl's YAML"])
@pytest.mark.parametrize("text", TEXTS)
def test_text_is_read_as_it_was(text: str, reader: YAML) -> None:
    objects: list[dict[str, object]] = [{"last": text}, {"items": [text]}, {text or "key": 1}, {"last": text}]
    assert list(reader.load_all(f"{as_documents(objects)}\n")) == objects


def test_text_of_several_lines_can_be_read_by_people() -> None:
    assert as_documents([{"code": "one\n  two\n"}]) == "code: |\n  one\n    two"
