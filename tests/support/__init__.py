"""What tests share: one module for each kind of helper. Fixtures that tests share are in ``tests/conftest.py``."""
