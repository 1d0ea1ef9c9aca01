"""The JSON Schema of an experiment file, for editors and for hints."""

from __future__ import annotations

from functools import cache
from typing import Any

from chaos.model.experiment import Experiment


@cache
def schema() -> dict[str, Any]:
    """What an experiment file may contain, as far as JSON Schema can say it; nobody changes it."""
    document = Experiment.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "experiment", **document}
