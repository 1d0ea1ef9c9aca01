"""Bookinfo: where its manifests are, and what its services do on the lab."""

from __future__ import annotations

import textwrap
from pathlib import Path

DATA = Path(__file__).parents[3] / "shared" / "data" / "bookinfo"
BEHAVIOURS = textwrap.dedent("""\
    productpage:
      routes:
        - path: /productpage
          calls:
            - {url: "http://details:9080/details/0", timeout: 3s}
            - {url: "http://reviews:9080/reviews/0", timeout: 3s, fallback: {reviews: unavailable}, take: [version, ratings]}
    reviews-v2: &reviews
      routes:
        - path: /reviews/{id}
          calls:
            - {url: "http://ratings:9080/ratings/{id}", fallback: {ratings: unavailable}}
    reviews-v3: *reviews
""")
