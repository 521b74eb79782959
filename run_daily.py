#!/usr/bin/env python3
"""Run one research day: five notebooks, executed in order, kept under runs/<date>/<NN>/ with a report."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

from daybook.pipeline.run_command import main

if __name__ == "__main__":
    sys.exit(main())
