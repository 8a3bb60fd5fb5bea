# SPDX-License-Identifier: Apache-2.0
"""Writes the golden values of tiny models to Tests/EngineTests/Fixtures/models. Run it with .venv/bin/python.

    golden_models.py [NAME …]       all of them unless named
"""

import pathlib
import sys

import reference_models

if __name__ == "__main__":
    reference_models.write(
        pathlib.Path(__file__).resolve().parent.parent / "EngineTests" / "Fixtures" / "models", names=sys.argv[1:])
