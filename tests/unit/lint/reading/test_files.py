"""Which files are looked at, and that what is not is said."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from chaos.errors import InputError
from chaos.lint.reading import files
from chaos.lint.reading.files import Source, find
from chaos.lint.rules.finding import Finding


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def write(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("a: 1\n", encoding="utf-8")


def named(*paths: str) -> list[str]:
    return [one.name for one in find(paths) if isinstance(one, Source)]


def notes(*paths: str) -> list[str]:
    return [one for one in find(paths) if isinstance(one, str)]


def segments(*paths: str) -> list[str]:
    return ["/".join(one.segments) for one in find(paths) if isinstance(one, Source)]


def test_yaml_and_json_below_a_folder_in_order() -> None:
    write("b.yaml", "a/x.yml", "a/y.json", "a/Z.YAML", "readme.md", "a/values.txt", ".hidden/c.yaml")
    assert named(".") == ["b.yaml", ".hidden/c.yaml", "a/Z.YAML", "a/x.yml", "a/y.json"]


def test_a_file_that_is_named_is_read_whatever_its_name() -> None:
    write("rendered.txt", "b.yaml")
    assert named("rendered.txt", "b.yaml", "./b.yaml", ".") == ["rendered.txt", "b.yaml"]


@pytest.mark.parametrize("folder", [".git", "node_modules", ".venv"])
def test_folders_of_others_are_left_out(folder: str) -> None:
    write(f"{folder}/a.yaml", f"deep/{folder}/a.yaml", "b.yaml")
    assert named(".") == ["b.yaml"]


def git(*arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments], check=True, capture_output=True)


def test_what_git_ignores_is_left_out_and_that_is_said() -> None:
    git("init", "-q")
    Path(".gitignore").write_text("build/\n*.tmp.yaml\n", encoding="utf-8")
    write("a.yaml", "a.tmp.yaml", "deep/build/x.yaml", "deep/b.yaml", "build/kept.yaml", "build/made.yaml")
    git("add", "-f", "build/kept.yaml", "a.yaml")
    assert named(".") == ["a.yaml", "build/kept.yaml", "deep/b.yaml"]
    [told] = notes(".")
    assert told.startswith("a.tmp.yaml, build/made.yaml, deep/build: ignored by Git")
    assert named("deep") == ["deep/b.yaml"]


def test_what_git_ignores_is_looked_at_where_it_is_named() -> None:
    git("init", "-q")
    Path(".gitignore").write_text("build/\n", encoding="utf-8")
    write("build/made.yaml", "build/deep/b.yaml")
    assert named("build") == ["build/made.yaml", "build/deep/b.yaml"]
    assert named("build/made.yaml") == ["build/made.yaml"]
    assert notes("build") == []


def test_a_hook_of_git_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    git("init", "-q")
    Path(".gitignore").write_text("build/\n", encoding="utf-8")
    write("deep/build/x.yaml", "deep/b.yaml")
    monkeypatch.setenv("GIT_DIR", ".git")
    monkeypatch.setenv("GIT_INDEX_FILE", ".git/index")
    assert named("deep") == ["deep/b.yaml"]


def test_without_git_everything_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    git("init", "-q")
    Path(".gitignore").write_text("build/\n", encoding="utf-8")
    write("build/made.yaml")
    monkeypatch.setenv("PATH", "")
    assert named(".") == ["build/made.yaml"]


def test_templates_of_a_chart_are_left_out_and_that_is_said() -> None:
    write(
        "charts/shop/Chart.yaml", "charts/shop/templates/deep/vs.yaml", "templates/vs.yaml", "charts/shop/values.yaml"
    )
    assert named(".") == ["charts/shop/Chart.yaml", "charts/shop/values.yaml", "templates/vs.yaml"]
    note = "templates of a chart, not checked; render them: helm template charts/shop | chaosctl lint -"
    assert notes(".") == [f"charts/shop/templates: {note}"]
    assert notes("charts/shop/templates") == [f"charts/shop/templates: {note}"]
    assert notes("charts/shop/templates/deep/vs.yaml") == [f"charts/shop/templates/deep/vs.yaml: {note}"]


def test_links_stay_inside_and_end(tmp_path: Path) -> None:
    (tmp_path / "outside.yaml").write_text("a: 1\n", encoding="utf-8")
    write("base/vs.yaml", "overlays/production/x.yaml")
    Path("overlays/production/vs.yaml").symlink_to("../../base/vs.yaml")
    Path("base/loop").symlink_to("..")
    Path("base/out").symlink_to(tmp_path)
    Path("base/out.yaml").symlink_to(tmp_path / "outside.yaml")
    Path("base/self.yaml").symlink_to("self.yaml")
    # A link is looked at under its own name: that is what says production.
    assert named(".") == ["base/vs.yaml", "overlays/production/vs.yaml", "overlays/production/x.yaml"]
    assert notes(".") == [
        "base/loop: a link to a folder, checked at its destination",
        "base/out: a link to a folder, out of ., not followed",
        "base/out.yaml: a link out of ., not followed",
        "base/self.yaml: a link to nothing, or to itself",
    ]
    assert named("base/out.yaml") == ["base/out.yaml"]


def test_what_can_not_be_opened_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    write("a.yaml", "b.yaml")

    def denied(path: str, *, named: bool) -> bytes:
        if path == "a.yaml":
            raise PermissionError(13, "Permission denied")
        return b"a: 1"

    monkeypatch.setattr(files, "_content", denied)
    found = list(find(["."]))
    assert [type(one) for one in found] == [Finding, Source]
    assert isinstance(found[0], Finding)
    assert (found[0].rule.id, found[0].place.file) == ("unreadable-file", "a.yaml")


def test_files_that_are_too_large_or_none_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    write("a.yaml")
    os.mkfifo("pipe.yaml")
    monkeypatch.setattr(files, "LARGEST", 2)
    assert named(".") == []
    assert [note.partition(":")[0] for note in notes(".")] == ["a.yaml", "pipe.yaml"]


def test_a_path_that_is_not_there() -> None:
    with pytest.raises(InputError, match="nowhere: expected a file or folder of manifests: No such file"):
        list(find(["nowhere"]))


def test_names_that_mean_something_begin_at_the_root_of_the_repository(here: Path) -> None:
    write("production/a.yaml")
    # Without git: at the folder in which the command runs, so that `cd production` hides nothing.
    os.chdir("production")
    assert segments(".") == segments("a.yaml") == ["production/a.yaml"]
    os.chdir("..")
    assert segments(".") == segments("production") == ["repository/production/a.yaml"]
    # Elsewhere: the folder that is named, or that of the file, is the first that counts.
    os.chdir("/")
    assert segments(str(here / "production")) == segments(str(here / "production/a.yaml")) == ["production/a.yaml"]
    (here / ".git").mkdir()
    assert segments(str(here / "production/a.yaml")) == ["production/a.yaml"]
    os.chdir(here)
    assert segments(".") == ["production/a.yaml"]
