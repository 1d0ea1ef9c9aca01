"""HTTP routes of a VirtualService that no request reaches (istiod ``analyzeUnreachableHTTPRules``): IST0130, IST0131."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chaos.lab.istio.validation.outcome import Warned


def unreachable(routes: Sequence[Mapping[str, Any]]) -> Iterator[Warned]:
    """What istiod warns of. Each match is compared with those before it, and prefixes among each other."""
    seen: dict[str, str] = {}
    prefixes: list[_Prefix] = []
    catch_all = False
    for at, route in enumerate(routes):
        name, matches = _name(route, at), route.get("match") or ()
        if not matches:
            if catch_all:
                yield _unused(name, "only the last rule can have no matches")
            catch_all = True
            continue
        doubled = 0
        for number, match in enumerate(matches):
            key = _key(match)
            if catch_all:
                yield _unused(name, "route without matches defined before")
            elif key in seen:
                yield _ineffective(name, _name(match, number), seen[key])
                doubled += 1
            else:
                seen[key] = name
                if (match.get("uri") or {}).get("prefix"):
                    prefixes.append(_Prefix(name, _name(match, number), match))
        if doubled == len(matches):
            yield _unused(name, "all matches used by prior rules")
    for at, one in enumerate(prefixes):
        for other in prefixes[at + 1 :]:
            if one.covers(other):
                yield _ineffective(
                    other.route,
                    f"{other.name} of prefix {other.prefix}",
                    f"{one.name} of prefix {one.prefix} on {one.route}",
                )


@dataclass(frozen=True)
class _Prefix:
    route: str
    name: str
    match: Mapping[str, Any]

    @property
    def prefix(self) -> str:
        return str(self.match["uri"]["prefix"])

    def covers(self, other: _Prefix) -> bool:
        """Whether istiod takes it that nothing is left for the other one."""
        mine, theirs = self.match, other.match
        if self.prefix == other.prefix or not other.prefix.startswith(self.prefix):
            return False
        if mine.get("port", 0) != theirs.get("port", 0):
            return False
        if not (_value(mine.get("method")) or "exact:GET").startswith(_value(theirs.get("method")) or "exact:GET"):
            return False
        if not _value(mine.get("authority")).startswith(_value(theirs.get("authority"))):
            return False
        for key in ("headers", "queryParams", "withoutHeaders"):
            ours, others = mine.get(key) or {}, theirs.get(key) or {}
            if ours.keys() != others.keys():
                return False
            if not all(_value(ours[name]).startswith(_value(others[name])) for name in ours):
                return False
        return True


def _value(match: Mapping[str, str] | None) -> str:
    """What is compared of a StringMatch; of a regex nothing is."""
    match = match or {}
    return next((f"{kind}:{match[kind]}" for kind in ("exact", "prefix") if match.get(kind)), "")


def _name(named: Mapping[str, Any], at: int) -> str:
    return f'"{named["name"]}"' if named.get("name") else f"#{at}"


def _key(match: Mapping[str, Any]) -> str:
    """Equal for matches that are equal but for their names; an empty value is as good as none."""
    kept = {key: value for key, value in match.items() if key != "name" and value not in ("", 0, False, [], {})}
    for key in ("uri", "scheme", "method", "authority"):
        if match.get(key) == {}:
            kept[key] = {}
    return json.dumps(kept, sort_keys=True)


def _unused(rule: str, why: str) -> Warned:
    return Warned(f"virtualService rule {rule} not used ({why})")


def _ineffective(rule: str, match: str, where: str) -> Warned:
    return Warned(f"virtualService rule {rule} match {match} is not used (duplicate/overlapping match in rule {where})")
