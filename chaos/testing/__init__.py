"""For tests of suites, listeners and kinds: a shop in memory whose whole runs last milliseconds, in virtual time.

>>> from chaos.testing.shop import Shop
>>> finished = Shop(bears=0.0).harness(report_dir=folder).run(experiment)
"""
