"""Could the harness's own identity write outside staging, if every other rule failed?"""

from __future__ import annotations

from collections.abc import Iterator

from chaos.guard.draft import Draft
from chaos.values.remarks import Refusal

REMEDY = "give it a Role in each staging namespace only: chaosctl manifests rbac prints these Roles"


def credentials_stay_inside(draft: Draft) -> Iterator[Refusal]:
    """Its identity may write VirtualServices in allowed namespaces only, where the settings ask for that."""
    outside = draft.situation.writable_outside
    if outside and draft.settings.credentials == "refuse":
        yield Refusal(
            rule="credentials-too-wide",
            value=", ".join(outside),
            message=f"the identity in use may write VirtualServices outside the allowed namespaces: {told(outside)}",
            hint=REMEDY,
        )


def told(outside: tuple[str, ...]) -> str:
    """The namespaces, for people; ``*`` is all of them."""
    return "in every namespace" if "*" in outside else f"in {', '.join(outside)}"
