"""``python -m chaos`` is ``chaosctl``."""

from chaos.cli import main

main()
