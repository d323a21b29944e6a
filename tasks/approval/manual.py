"""Ask a person before the pipeline goes on."""

from prefect_delivery.actions import Job, Outputs, action


@action("approval/manual")
def ask(*, message: str = "", link: str | None = None, job: Job = Job()) -> Outputs:
    """Wait until somebody approves or rejects.

    A local run asks in the terminal; any run can be answered with `deliver approve` or
    `deliver reject`. The decision, the person and the comment are recorded in the
    ledger. `timeout` of the action says how long it waits.

    Args:
        message: What to look at before deciding.
        link: Where to look.

    Returns:
        At once, as waiting; the decision ends the action later.

    Source: CodePipeline user guide, "Add a manual approval action to a stage".
    """
    if message:
        job.log(message)
    if link:
        job.log(f"see {link}")
    return Outputs(waiting=True, summary=message or None, link=link)
