"""Files that use a template: what they become, and how mistakes in them are told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chaos import FallbackExpectation, library
from chaos.adapters.experiment_file import DocumentError, check_experiment, parse_experiment
from chaos.errors import InputError
from chaos.expectations.good import Good
from chaos.judge import hopeless
from chaos.library import TEMPLATES
from chaos.library.delayed import slower_than_its_time_out
from chaos.library.schema import file_schema
from chaos.library.template import Further, Template
from chaos.model.experiment import Experiment
from chaos.reporting.plan_text import plan_text
from chaos.testing.shop import Shop

USING = """\
experiment: orders
uses: dependency-down
with: {service: inventory-svc, path: /orders/42}
"""
NEEDED = {"slower-than-its-time-out": {"time_out": "1s"}}
PAGE = Path(__file__).parents[3] / "docs" / "reference" / "library.md"


def problems(text: str) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        parse_experiment(text, file="x.yaml")
    return [str(problem) for problem in caught.value.problems]


def in_python(template: type[Template], **given: object) -> Experiment:
    function = getattr(library, template.key.replace("-", "_"))
    made = function("orders", service="inventory-svc", **NEEDED.get(template.key, {}), **given)
    assert isinstance(made, Experiment)
    return made


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.key)
def test_a_template_makes_an_experiment_that_can_be_run(template: type[Template], tmp_path: Path) -> None:
    needed = "".join(", timeOut: 1s" for _ in NEEDED.get(template.key, ()))
    text = USING.replace("dependency-down", template.key).replace(
        "/orders/42", "/orders/42, caller: order-svc" + needed
    )
    (tmp_path / "x.yaml").write_text(text)
    check_experiment(tmp_path / "x.yaml")
    assert parse_experiment(text) == in_python(template, path="/orders/42", caller="order-svc")
    assert parse_experiment(text.replace(", caller: order-svc", "")).target.callers == {}


def test_what_a_file_declares_itself_comes_before_what_the_template_says() -> None:
    experiment = parse_experiment(
        USING + "title: mine\nload: {rate: 80}\nlimits: {fault: 300s}\ntarget: {callsPerRequest: 2}\n"
        "steadyState: [{title: more, service: order-svc, good: {status: 2xx}, atLeast: 95%}]\n"
    )
    assert (experiment.headline, experiment.load.rate, experiment.load.requests[0].path) == ("mine", 80, "/orders/42")
    assert str(experiment.target) == "staging/inventory-svc"
    assert experiment.target.calls_per_request == 2
    assert [one.title for one in experiment.steady_state] == [
        "more", "requests are answered without errors", "requests are answered within 1s", "no retry storm at inventory-svc",
    ]  # fmt: skip


def test_a_load_of_the_files_own_needs_no_path() -> None:
    text = "experiment: orders\nuses: hanging\nwith: {service: inventory-svc}\nload: {locustfile: load.py}\n"
    assert parse_experiment(text).load.locustfile == "load.py"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (USING.replace("-down", "-don"), "x.yaml:2:1: uses: 'dependency-don': there is no such template in the library"),
        (USING.replace("-down", "-don"), "hint: did you mean 'dependency-down'?"),
        (USING.replace("service:", "servce:"), "x.yaml:3:8: with.servce: is not known here\n    hint: did you mean 'service'?"),
        (USING.replace("inventory", "Inventory"), "x.yaml:3:8: with.service: 'Inventory-svc': expected only lower-case"),
        (USING.replace("}", ", within: 700ms, caller: order-svc}"), "x.yaml:3:50: with.within: '700ms': expected a bound of the histogram"),
        (USING.replace("}", ", within: 700ms, caller: order-svc}"), "caller's answers: the nearest are 500ms and 1s"),
        (USING.replace("}", ", percentage: 30}"), "hint: a parameter of dependency-slow, hanging, partly-failing, rate-limited; known here: answer"),
        (re.sub("uses: .*", "uses: [hanging, flapping]", USING), "uses: expected the name of one template, found a list\n    hint: such as"),
        (re.sub("uses: .*", "uses:", USING), "x.yaml:2:1: uses: is empty, expected the name of a template"),
        (re.sub("inventory-svc", "", USING), "with.service: is empty, expected text"),
        (USING.replace("}", ", fallback: pending}"), "with.fallback: expected a mapping, found text\n    hint: known here: body"),
        (USING + "load: {requests: []}\n", "load: expected either requests or a locustfile, found neither"),
        (USING.replace("}", ", attempts: 1}"), "x.yaml:3:50: with.attempts: 1: expected more than 1\n    hint: largest mean number of attempts for each of these calls during the fault, over 1, since"),
        (USING.replace("dependency-down", "rate-limited").replace("}", ", percentage: 50}"), "attempts: 3.5: expected less than 2, since even endless retries"),
        (USING.replace("dependency-down", "hanging").replace("}", ", percentage: 10, fallback: {body: later}}"),
         "fallback: expected a percentage of at least 28: then 2% of the answers show it even if each call is tried 3 times. With 10"),
        (USING.replace("}", ", answer: {bdy: x}}"), "x.yaml:3:59: with.answer.bdy: is not known here\n    hint: did you mean 'body'?"),
        (USING.replace("-down", "-slow").replace("}", ", within: 5s}"), "x.yaml:3:1: with.delay: expected more than within, 5s"),
        (USING.replace("dependency-down", "slower-than-its-time-out").replace("}", ", timeOut: 1s, within: 1s}"),
         "x.yaml:3:63: with.within: 1s: expected more than timeOut, 1s"),
        (USING.replace(", path: /orders/42", ""), "x.yaml:3:1: with.path: is missing\n    hint: what the load asks for"),
        (USING + "load: {requests: [{path: /}]}\n", "x.yaml:3:32: with.path: load.requests is declared too, and says what is asked for as well\n    hint: remove with.path"),
        (USING.replace("with:", "# with:"), "with.service: is missing"),
        (re.sub("with: .*", "with: [inventory-svc]", USING), "x.yaml:3:1: with: expected a mapping"),
        (USING.replace("uses:", "use:"), "x.yaml:2:1: use: is not known here\n    hint: did you mean 'uses'?"),
        (USING.replace("uses: dependency-down\n", ""), "x.yaml:2:1: with: goes with `uses`"),
        (USING.replace("with:", "wiht:"), "x.yaml:3:1: wiht: is not known here\n    hint: did you mean 'with'?"),
        (USING.replace("}", ", caller: inventory-svc}"), "x.yaml:3:50: with.caller: 'inventory-svc': expected another Service than service"),
        (USING.replace("dependency-down", "slower-than-its-time-out").replace("}", ", timeOut: 1s, behind: inventory-svc}"),
         "with.behind: 'inventory-svc': expected another Service than service"),
        (USING.replace("experiment:", "title:"), "experiment: is missing"),
        (USING + "faults: []\n", "x.yaml:4:1: faults: the faults are those of dependency-down"),
        (USING + "target: {service: other}\n", "x.yaml:4:10: target.service: is a parameter of the template\n    hint: write it as with.service"),
        (USING + "load: {rate: 0}\n", "x.yaml:4:8: load.rate: 0: expected more than 0"),
        (USING + "wth: {}\n", "x.yaml:4:1: wth: is not known here\n    hint: did you mean 'with'?"),
        (USING + "steadyState: [{title: more, service: a, good: {status: 2xx}}]\n", "x.yaml:4:15: steadyState[0].atLeast: is missing"),
        (USING + "limits: {fault: 5s}\n", "x.yaml:4:1: limits: 5s is shorter than observe.atLeast"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(text: str, said: str) -> None:
    assert said in "\n".join(problems(text))


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        (USING.replace("with:", "wiht:"), ["wiht"]),
        (USING.replace("uses:", "use:"), ["use"]),
        ("experiment: x\nuses: dependency-down\n", ["with.path", "with.service"]),
        (USING.replace("path:", "pth:"), ["with.pth"]),
        (
            USING.replace("-down", "-donw").replace("orders", "Orders", 1)
            + "target: {service: a, callers: {app: b}}\nload: {rate: 0, foo: 1, requests: [{path: /}]}\nobserve: 30s\nfaults: 5\n"
            "recovery: {within: soon}\nlimits: {fault: 5s}\nsteadyState: [{title: t}]\nwht: 1\n",
            ["experiment", "faults", "load.foo", "load.rate", "observe", "recovery.within", "steadyState[0].atLeast",
             "steadyState[0].good", "steadyState[0].service", "target.callers", "target.service", "uses", "wht"],
        ),
        (
            USING.replace("inventory", "Inventory").replace("}", ", within: soon}") + "severity: 5\nload: {requests: {path: /}}\n",
            ["load.requests", "severity", "with.path", "with.service", "with.within"],
        ),
        (re.sub("with: .*", "with: [a]", USING) + "load: 60\n", ["load", "with"]),
    ],
)  # fmt: skip
def test_every_mistake_is_told_at_once(text: str, paths: list[str]) -> None:
    assert sorted(line.split(": ")[1] for line in problems(text)) == paths


def test_what_no_run_could_show_is_told_at_the_parameter(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(
        USING.replace("dependency-down", "partly-failing").replace("}", ", percentage: 0.5}")
    )
    with pytest.raises(DocumentError) as caught:
        check_experiment(tmp_path / "x.yaml")
    assert "x.yaml:2:1: uses: nothing could violate 'requests are answered without errors'" in str(caught.value)


def test_the_plan_says_what_the_template_can_and_cannot_show() -> None:
    plan = plan_text(Shop().harness().plan(parse_experiment(USING)))
    assert re.search(
        r"^about: .* It can show: a hard dependency, .* It can't show: connections that", plan, re.MULTILINE
    )


@pytest.mark.parametrize(
    ("template", "percentage", "shows"),
    [
        ("dependency-slow", 100, 0.5),
        ("dependency-slow", 60, 0.108),
        ("hanging", 30, 0.02),
        ("partly-failing", 28, 0.02),
        ("partly-failing", 50, 0.02),
        ("rate-limited", 80, 0.1),
    ],
)
def test_a_fallback_has_to_show_only_in_answers_whose_calls_are_hit(
    template: str, percentage: float, shows: float
) -> None:
    """Where a third of the calls is late, no half of the answers is degraded."""
    (found,) = (one for one in TEMPLATES if one.key == template)
    made = in_python(found, path="/orders/42", percentage=percentage, fallback=Good(json_path={"degraded": True}))
    (fallback,) = (one for one in made.steady_state if isinstance(one, FallbackExpectation))
    assert fallback.at_least == pytest.approx(shows)
    assert not list(hopeless(made))


def test_behind_another_service_half_of_the_calls_are_hit() -> None:
    made = slower_than_its_time_out(
        "slow", service="order-svc", time_out="1s", behind="inventory-svc", path="/orders/42", fallback=Good(json_path={"degraded": True})
    )  # fmt: skip
    (fallback,) = (one for one in made.steady_state if isinstance(one, FallbackExpectation))
    assert str(made.fault).startswith("delay of 50% by")
    assert fallback.at_least == pytest.approx(0.5 * 0.5**3), "retries may make up for the others"


def test_python_takes_the_parameters_of_every_template_and_the_fields_of_an_experiment() -> None:
    own = {
        "service",
        *(name for template in TEMPLATES for name in template.model_fields if name in Template.model_fields),
    }
    said_by_the_template = {"experiment", "target", "faults"}
    assert set(Further.__annotations__) == (own | set(Experiment.model_fields)) - {"service"} - said_by_the_template


def test_python_is_told_that_there_is_no_load() -> None:
    with pytest.raises(InputError, match="expected either path"):
        in_python(TEMPLATES[0])


def test_the_schema_knows_both_forms() -> None:
    schema = file_schema()
    whole = Experiment.model_json_schema(by_alias=True)
    assert set(schema["properties"]) == {*whole["properties"], "uses", "with"}
    assert schema["properties"]["uses"]["enum"] == [template.key for template in TEMPLATES]
    assert schema["else"]["required"] == whole["required"]
    assert "required" not in schema["$defs"]["TargetInPart"]
    assert schema["$defs"]["SlowerThanItsTimeOut"]["required"] == ["service", "timeOut"]


def test_the_page_has_every_template_and_every_parameter() -> None:
    named = set(re.findall(r"`([\w-]+)`", PAGE.read_text(encoding="utf-8")))
    parameters = {str(field.alias) for template in TEMPLATES for field in template.model_fields.values()}
    assert {template.key for template in TEMPLATES} | parameters <= named
