"""Questions are values, and those that are asked at each look are made once."""

from __future__ import annotations

from chaos.values.questions import Requests, Side, requests_to

HOST = "order-svc.staging.svc.cluster.local"


def test_a_hosts_question_is_one_object_for_each_side() -> None:
    assert requests_to(HOST) is requests_to(HOST)
    assert requests_to(HOST) == Requests(host=HOST)
    assert requests_to(HOST, Side.CALLED) == Requests(host=HOST, side=Side.CALLED) != requests_to(HOST)
