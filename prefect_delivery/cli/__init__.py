"""The command line, `deliver`: a thin skin over definition, ledger and control."""


def main() -> None:
    """Run the command line with the arguments of this process."""
    from prefect_delivery.cli.app import run

    run()
