"""The lab's API answers as a real API server did: every recorded conversation, played against it and compared.

Set ``KUBERNETES_ANSWERS`` to a folder with a ``conversations.jsonl.gz`` of the same form to play other ones. What is not
compared is in ``EXCEPTIONS``, each with its reason; what of it a user may miss is also in ``docs/reference/lab.md``.
"""

from __future__ import annotations

import asyncio
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.contract.conversations import Difference, Played, conversations, play

FOLDER: Final = Path(
    os.environ.get("KUBERNETES_ANSWERS") or Path(__file__).parents[3] / "shared" / "data" / "kubernetes-answers"
)
pytestmark = pytest.mark.skipif(
    not (FOLDER / "conversations.jsonl.gz").exists(), reason=f"there are no recorded conversations in {FOLDER}"
)


@dataclass(frozen=True, kw_only=True)
class Excepted:
    """A difference that is meant.

    Args:
        scenario: Pattern of the conversation's name.
        asked: Pattern of method and path.
        what: Pattern of what differs: ``HTTP status``, ``warnings``, ``content-type``, or a field's path in the answer.
        recorded: Pattern of what was recorded there.
        reason: Why.
    """

    scenario: str = ""
    asked: str = ""
    what: str = ""
    recorded: str = ""
    reason: str

    def covers(self, found: Difference) -> bool:
        """Whether it is about this difference."""
        told = (found.scenario, found.asked, found.what, str(found.expected))
        patterns = (self.scenario, self.asked, self.what, self.recorded)
        return all(re.search(pattern, text) for pattern, text in zip(patterns, told, strict=True))


WORDS: Final = r"(^|\.)message$"
EXCEPTIONS: Final = (
    # What the lab does not have, and refuses
    Excepted(
        asked=r"/(events\.k8s\.io/|subjectaccessreviews|localsubjectaccessreviews|tokenreviews)",
        reason="questions of API servers to each other, and a second door to Events: 404",
    ),
    Excepted(recorded=r"protobuf", reason="answers are JSON or YAML; protobuf is refused with 406"),
    Excepted(asked="^GET /api(s/[^/]+)?/v[^/]+$", what=r"^resources(\[|$)", reason="the lab serves what experiments need"),
    Excepted(
        asked=r"/(deployments|replicasets|pods|services)\b",
        what=r"^(items\[\d+\]\.)?(spec\.(?!replicas$)|status$)",
        reason="defaults and status are filled in by the lab's controllers, of what they read",
    ),
    # Who answers
    Excepted(asked="^GET /version", reason="the lab says that it is one"),
    Excepted(what=r"userInfo\.(username|extra)", reason="the lab's administrator has a name of its own and no certificate"),
    Excepted(what=r"nonResourceRules|^status\.reason$", reason="only paths that the lab serves; not which binding allows it"),
    # Words that nobody reads by a program
    Excepted(what=r"columnDefinitions\[\d+\]\.description", reason="what kubectl explain shows is not repeated"),
    Excepted(
        what=WORDS, recorded=r"json: |yaml: |JSON input|invalid character|parse error|unstructured|Object 'Kind' is missing",
        reason="the words of Go's decoders; one of several mistakes is told, and which one is chance",
    ),
    Excepted(what=WORDS, recorded=r"^( \"\" is invalid: patch: )?Invalid value: \"\{|^ \"\" is invalid: patch: ",
             reason="the whole patched object as text"),
    # Who owns fields
    Excepted(
        what="managedFields", reason="of defaults, of reviews and of what the lab makes itself, nobody is told as owner",
        asked=r"/api/v1/namespaces(/[^/]+)?( |$)|/(events|deployments|serviceaccounts|selfsubject\w+)(/| |$)",
    ),
    Excepted(what="managedFields", recorded="f:strategy|f:preferredHolder", reason="dropped before owners are noted"),
    # Rules that have tests of their own
    Excepted(
        scenario="^ssa-", asked="applies nothing", what="HTTP status",
        reason="refused by the webhook (400) where the API server's schema does it (422)",
    ),
    Excepted(what=WORDS, recorded="admission webhook", reason="the webhook's words are the lab's own"),
    Excepted(asked="two causes", reason="several causes come in any order"),
)  # fmt: skip


def meant(found: Difference) -> bool:
    """Whether a difference is an exception."""
    return any(one.covers(found) for one in EXCEPTIONS)


@pytest.fixture(scope="module")
def played() -> dict[str, Played | BaseException]:
    """All conversations, played side by side, each on a lab of its own: what takes time in them is waiting for watches."""
    scenarios = conversations(FOLDER)

    async def all_of_them() -> list[Played | BaseException]:
        return await asyncio.gather(*map(play, scenarios), return_exceptions=True)

    return dict(zip((one["name"] for one in scenarios), asyncio.run(all_of_them()), strict=True))


def _names() -> list[str]:
    return [one["name"] for one in conversations(FOLDER)] if (FOLDER / "conversations.jsonl.gz").exists() else []


@pytest.mark.parametrize("name", _names())
def test_the_lab_answers_as_it_was_recorded(played: dict[str, Played | BaseException], name: str) -> None:
    found = played[name]
    if isinstance(found, BaseException):
        raise found
    differences = [str(one) for one in found.differences if not meant(one)]
    assert not differences, "\n" + "\n".join(differences)
