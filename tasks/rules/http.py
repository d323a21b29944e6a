"""Ask a web page whether a stage may go on."""

from typing import Annotated

from pydantic import Field

from prefect_delivery.actions import Outputs, action
from prefect_delivery.blocks.checks import HttpCheck
from prefect_delivery.tasks.rules.patience import Interval, measured

Url = Annotated[str, Field(pattern=r"^https?://")]
StatusCode = Annotated[int, Field(ge=100, le=599)]
Wait = Annotated[float, Field(gt=0, le=300)]


@action("rule/http")
def ask_page(
    url: Url,
    *,
    status: StatusCode = 200,
    contains: str | None = None,
    timeout: Wait = 10,
    interval: Interval | None = None,
) -> Outputs:
    """Hold when a GET of `url` has the right answer.

    Args:
        url: Page to ask. Proxies of the worker are not used.
        status: Status code that is right; a redirection is not followed.
        contains: Text that the answer must contain.
        timeout: Seconds to wait for the answer.
        interval: Seconds after which to ask again while the answer is wrong, until the
            rule's `timeout`; by default it is asked once.

    Raises:
        ActionFailed: There is no answer, or a wrong one.
    """
    check = HttpCheck(
        url=url, status=status, contains=contains, timeout=timeout, attempts=1
    )

    def measure() -> str:
        check.run(url)
        return f"status {status}"

    return measured(measure, interval)
