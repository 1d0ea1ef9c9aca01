"""A lint of a repository of 5,000 files, and of one stream with all of it: seconds, memory, what was found.

python -m benchmarks.lint [FILES]
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {{name: svc-{n}, namespace: {ns}, labels: {{app: svc-{n}}}}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: svc-{n}}}}}
  template:
    metadata: {{labels: {{app: svc-{n}, version: v1}}}}
    spec:
      containers:
      - name: main
        image: registry.example/svc-{n}:1.2.3
        ports: [{{containerPort: 8080}}]
        env:
        - {{name: UPSTREAM, value: "http://svc-{m}.{ns}.svc.cluster.local"}}
        resources:
          requests: {{cpu: 100m, memory: 128Mi}}
          limits: {{memory: 256Mi}}
"""
SERVICE = """apiVersion: v1
kind: Service
metadata: {{name: svc-{n}, namespace: {ns}}}
spec:
  selector: {{app: svc-{n}}}
  ports:
  - {{name: http, port: 80, targetPort: 8080}}
"""
ISTIO = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: svc-{n}
  namespace: {ns}
spec:
  hosts: [svc-{n}]
  http:
  - match:
    - uri: {{prefix: /v2}}
    route:
    - destination: {{host: svc-{n}, subset: v2}}
      weight: 90
    - destination: {{host: svc-{m}, subset: v1}}
      weight: 10
  - route:
    - destination:
        host: svc-{n}.{ns}.svc.cluster.local
        subset: v1
    retries: {{attempts: 2}}{fault}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: svc-{n}, namespace: {ns}}}
spec:
  host: svc-{n}
  subsets:
  - {{name: v1, labels: {{version: v1}}}}
  - {{name: v2, labels: {{version: v2}}}}
"""
FAULT = "\n    fault: {abort: {percentage: {value: 5}, httpStatus: 503}}"
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: config-{n}, namespace: {ns}}}\ndata:\n" + "".join(
    f"  key-{line}: some text that is as long as lines are\n" for line in range(60)
)
VALUES = "replicas: 2\nimage: {{repository: svc-{n}, tag: 1.2.3}}\nresources: {{requests: {{cpu: 100m}}}}\n"
FORMS = (
    f"{DEPLOYMENT}---\n{SERVICE}", ISTIO, CONFIG, VALUES, f"{SERVICE}---\n{ISTIO}",
    f"{DEPLOYMENT}---\n{SERVICE}---\n{ISTIO}---\n{CONFIG}", DEPLOYMENT, f"{ISTIO}---\n{SERVICE}",
)  # fmt: skip
"""What the files of a repository are like: of eight files, five have something to look at."""
EACH_FAULT = 100
"""One file of so many has a fault."""


def fill(top: Path, count: int) -> int:
    """Writes the files; how many bytes they have."""
    written = 0
    for number in range(count):
        form = FORMS[number % len(FORMS)]
        namespace = f"team-{number // 50 % 40}"
        # A file of Istio's objects alone is for the Service of the file before, so that every reference resolves.
        service = number - 1 if form is ISTIO else number
        values = {"n": service, "m": service, "ns": namespace, "fault": FAULT if number % EACH_FAULT == 1 else ""}
        file = top / ("production" if number % 2 else "base") / namespace / f"{number}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        written += file.write_text(form.format_map(values), encoding="utf-8")
    return written


def measure(*arguments: str, cwd: Path, stdin: Path | None = None) -> tuple[float, str]:
    """Seconds of the whole command, start included, and its last line for people."""
    program = Path(sys.executable).parent / "chaosctl"
    with (stdin or Path(os.devnull)).open("rb") as given:
        began = time.perf_counter()
        done = subprocess.run(
            [program, "lint", *arguments], cwd=cwd, stdin=given, capture_output=True, text=True, check=False
        )
        took = time.perf_counter() - began
    assert done.returncode in (0, 1), done.stderr
    return took, done.stderr.strip().rpartition("\n")[2]


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder) / "repository"
        size = fill(top, count)
        stream = Path(folder) / "rendered.yaml"
        stream.write_text("---\n".join(file.read_text() for file in sorted(top.rglob("*.yaml"))))
        print(f"{count:,} files, {size / 2**20:.1f} MiB")
        for title, arguments, stdin in (
            ("files", (".",), None),
            ("files, as SARIF", (".", "--format", "sarif"), None),
            ("one stream", ("-",), stream),
        ):
            took, said = min(measure(*arguments, cwd=top, stdin=stdin) for _ in range(3))
            print(f"{title}: {took:.2f} s; {said}")
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"at most {peak:.0f} MiB resident")


if __name__ == "__main__":
    main()
