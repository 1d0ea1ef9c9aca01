"""The kind of docs/how-to/adding-an-expectation.md, added to a copy of the package as the page says: two files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "how-to" / "adding-an-expectation.md").read_text(encoding="utf-8")
USE = """\
from chaos.adapters.experiment_file import DocumentError, parse_experiment
from chaos.expectations import UnaskedExpectation
from chaos.judge import Facts, judge, needed
from chaos.judge.live import baseline_answer, guardrail_tripped
from chaos.model.experiment import Experiment
from tests.support.histories import EXPERIMENT, history, plan

entry = {entry!r}
mail = history(plan=plan(EXPERIMENT.replace("guardrails:", entry + "guardrails:")))
assert [one.title for one in judge(mail).fault][-1] == "no mail is sent"
(*_, found) = baseline_answer(Facts.of(mail), 1029.0).expectations
assert found.answer == "holds", found
assert found.observed == "0 requests (while the load sent 2800)", found.observed
asked = plan(EXPERIMENT.replace("guardrails:", "guardrails:" + chr(10) + entry.replace("mail-svc", "order-svc").rstrip()))
tripped = guardrail_tripped(Facts.of(history(plan=asked)), 1055.0)
assert tripped is not None and tripped.answer == "violated", tripped
assert Experiment.model_validate(asked.experiment.model_dump(mode="json", by_alias=True)) == asked.experiment
assert UnaskedExpectation("t", unasked="a", at_most=2) in (UnaskedExpectation("t", unasked="a", at_most=2),)
assert "UnaskedExpectation" in Experiment.model_json_schema()["$defs"]
try:
    parse_experiment(EXPERIMENT.replace("guardrails:", entry.replace("}", ", atMots: 2}") + "guardrails:"), file="x.yaml")
except DocumentError as error:
    (problem,) = error.problems
    assert "did you mean 'atMost'?" in str(problem), problem
"""


def test_the_page_adds_a_kind_in_two_files(tmp_path: Path) -> None:
    module, line = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (entry,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    shutil.copytree(ROOT / "chaos", tmp_path / "chaos", ignore=shutil.ignore_patterns("lab", "__pycache__"))
    (tmp_path / "tests" / "support").mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "support" / "histories.py", tmp_path / "tests" / "support")
    kinds = tmp_path / "chaos" / "expectations"
    (kinds / "unasked.py").write_text(module, encoding="utf-8")
    known = (kinds / "__init__.py").read_text(encoding="utf-8")
    named = 'Declarable = (\n    Annotated[PromqlExpectation, Tag("PromqlExpectation")]\n'
    imported = "from chaos.expectations.client"
    assert named in known
    known = known.replace(named, line)
    known = known.replace(imported, f"from chaos.expectations.unasked import UnaskedExpectation\n{imported}")
    (kinds / "__init__.py").write_text(known, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", USE.replace("{entry!r}", repr(entry))],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
