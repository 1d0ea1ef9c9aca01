"""``chaosctl lint``: faults and pitfalls in manifests, before anything is applied.

``rules`` are pure; ``reading`` finds files and reads them; ``reports`` print what was found; ``repository`` puts them together.
No cluster is asked here, and nothing is written.
"""
