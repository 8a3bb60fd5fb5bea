# SPDX-License-Identifier: Apache-2.0
"""Writes the golden values of tiny models to Tests/EngineTests/Fixtures/models. Run it with .venv/bin/python."""

import pathlib

import reference_models

if __name__ == "__main__":
    reference_models.write(pathlib.Path(__file__).resolve().parent.parent / "EngineTests" / "Fixtures" / "models")
