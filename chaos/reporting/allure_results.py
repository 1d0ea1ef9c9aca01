"""What lies beside Allure's results: where the run was, and how the report sorts failures."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from chaos.model.history import Environment
from chaos.reporting.record import write_atomically


def write_surroundings(results: Path, environment: Environment, categories: Path | None) -> None:
    """Writes both files, each of them whole, since several workers write the same; the package's categories where the suite has none."""
    results.mkdir(parents=True, exist_ok=True)
    rows = {
        "Context": environment.context,
        "Cluster": environment.cluster,
        "Kubernetes": environment.kubernetes,
        "Istio": environment.istio or ("embedded lab" if environment.lab else "unknown"),
        "Prometheus": environment.prometheus,
        "Entry": environment.entry,
        "Scrape.interval": f"{environment.scrape_interval:g} s",
        "Harness": environment.harness,
    }
    text = "".join(f"{key}={value}\n" for key, value in rows.items() if value)
    write_atomically(results / "environment.properties", text)
    own = categories if categories is not None and categories.is_file() else None
    source = own or files("chaos.reporting").joinpath("categories.json")
    write_atomically(results / "categories.json", source.read_text(encoding="utf-8"))
