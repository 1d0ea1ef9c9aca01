"""``scripts/kind`` without a cluster: which commands it gives, with stand-ins for the tools that it needs."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TAGS = ("1.26.0", "1.26.10", "1.26.9", "1.30.3", "1.31.0-rc.1", "1.3.0")
LOG = 'echo "$(basename "$0") $*" >>"$LOG"\n'
TOOLS = {
    "kubectl": LOG
    + 'case "$*" in *"-f -"*) cat >/dev/null ;; *"create token"*) echo secret ;; proxy*) exec sleep 100 ;; esac',
    "kind": LOG + '[ "$1" = create ] && cat >/dev/null && touch "$KUBECONFIG"; exit 0',
    "docker": LOG,
    "curl": LOG + 'case "$*" in *istio/releases*) cat "$ARCHIVE" ;; esac',
    "git": "".join(f"printf 'abc\\trefs/tags/{tag}\\n'\n" for tag in TAGS),
}


class Place:
    """A checkout with the script, and tools that write down how they were called."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "log"
        for name, text in TOOLS.items():
            self._tool(folder / "bin" / name, text)
        for name in ("chaosctl", "python"):
            self._tool(folder / ".venv/bin" / name, LOG)
        (folder / "scripts").mkdir()
        shutil.copy(ROOT / "scripts/kind", folder / "scripts/kind")

    @staticmethod
    def _tool(file: Path, text: str) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/usr/bin/env bash\n{text}\n")
        file.chmod(0o755)

    def archive(self, version: str) -> Path:
        file = self.folder / "istio.tar.gz"
        addon = b"scrape_interval: 15s\nscrape_timeout: 10s\n"
        with tarfile.open(file, "w:gz") as made:
            for name, content in (
                ("bin/istioctl", b"#!/usr/bin/env bash\n"),
                ("samples/addons/prometheus.yaml", addon),
            ):
                info = tarfile.TarInfo(f"istio-{version}/{name}")
                info.size, info.mode = len(content), 0o755
                made.addfile(info, io.BytesIO(content))
        return file

    def call(self, *arguments: str, version: str = "0") -> subprocess.CompletedProcess[str]:
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "LOG": str(self.log), "ARCHIVE": str(self.archive(version))}
        return subprocess.run(
            [self.folder / "scripts/kind", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.mark.parametrize(("line", "version"), [("1.26", "1.26.10"), ("1.3", "1.3.0"), ("current", "1.30.3")])
def test_the_newest_release_of_a_line_is_installed(tmp_path: Path, line: str, version: str) -> None:
    place = Place(tmp_path)
    done = place.call("up", line, version=version)
    assert done.returncode == 0, done.stderr
    said = place.log.read_text()
    assert f"/{version}/istio-{version}-linux-amd64.tar.gz" in said
    assert said.index("kind create") < said.index("docker build") < said.index("kind load") < said.index("create token")
    home = tmp_path / ".venv/opt/kind"
    assert (home / "harness").stat().st_mode & 0o077 == 0, "its token is nobody else's business"
    assert place.call("run", "-k", "a b").returncode == 0
    (run,) = [one for one in place.log.read_text().splitlines() if one.startswith("python ")]
    assert f"--chaos-context kind-chaos --chaos-kubeconfig {home}/harness" in run
    assert run.endswith("-k a b")


def test_the_way_to_the_api_is_closed_after_the_questions(tmp_path: Path) -> None:
    place = Place(tmp_path)
    (tmp_path / "answers").mkdir()
    done = place.call("ask", "answers", "--at-least", "95")  # waits for all that writes into its pipes, the proxy too
    assert done.returncode == 0, done.stderr
    said = place.log.read_text()
    assert f"-m tests.live.questions {tmp_path}/answers --server http://127.0.0.1:18001 --at-least 95" in said
    assert "delete validatingadmissionpolicybinding chaos-staging-only" in said


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["up", "1.99"], "expected a line of Istio's releases such as 1.26, or current; got 1.99"),
        (["run"], "there is no cluster"),
        (["ask"], "expected the folder of the recorded questions"),
        (["oops"], "expected up, run, ask or down, got oops"),
    ],
)
def test_what_can_not_be_meant_is_told_with_a_hint(tmp_path: Path, arguments: list[str], told: str) -> None:
    done = Place(tmp_path).call(*arguments)
    assert done.returncode == 1
    assert told in done.stderr
    assert "\n\nhint: scripts/kind " in done.stderr
