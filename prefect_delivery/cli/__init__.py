"""The command line, `deliver`: a thin skin over definition, ledger and control."""

import gc

OBJECTS = 50_000
"""Made between two looks for garbage. Imports make many objects and no garbage, and the
default of 700 costs a command a seventh of its time."""


def main() -> None:
    """Run the command line with the arguments of this process."""
    gc.set_threshold(OBJECTS)
    from prefect_delivery.cli.app import run

    run()
