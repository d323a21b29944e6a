"""Row 21: several executions, each driven by a process of its own, race for a stage.

One at a time is inside, which a lock made by the build itself witnesses. In mode
`superseded` the newest gets through, in `queued` all do, in the order of their numbers;
in `parallel` nobody waits for anybody.

pytest tests/faults/test_row_21_race_for_a_stage.py -k "seed17-"
"""

import random
import time
from pathlib import Path

from projects import Project
from seeds import number_of, seeded

from prefect_delivery.engine.state import Status

MODES = ["superseded", "queued", "parallel"]


@seeded()
def test_one_at_a_time_is_inside(project: Project, tmp_path: Path, seed: str) -> None:
    chance, mode = random.Random(seed), MODES[number_of(seed) % len(MODES)]
    inside, order = tmp_path / "inside", tmp_path / "order"
    order.touch()
    # Making a folder fails when it is there.
    alone = [f"mkdir {inside}", "sleep 0.1", f"rmdir {inside}"]
    project.publish(
        *(alone if mode != "parallel" else []),
        f'echo "$N" >> {order}',
        options={"environment": {"N": "#{variables.n}"}},
        variables={"n": {"default": "0"}},
        mode=mode,
    )
    started, drivers = [], []
    for number in range(1, chance.randint(2, 5) + 1):
        started.append(project.start(variables={"n": str(number)}))
        drivers.append(project.in_child(started[-1], stay=True))
        time.sleep(chance.choice([0, 0, 0.1, 0.3]))

    assert [driver.wait() for driver in drivers] == [0] * len(drivers)

    ends = [project.ledger.executions.get(each.id).status for each in started]
    through = [int(line) for line in order.read_text().split()]
    if mode == "superseded":
        assert ends[-1] is Status.SUCCEEDED
        assert set(ends) <= {Status.SUCCEEDED, Status.SUPERSEDED}
    else:
        assert sorted(through) == [*range(1, len(started) + 1)]
    if mode == "queued":
        assert set(ends) == {Status.SUCCEEDED}
    if mode != "parallel":
        assert through == sorted(through)
    # In parallel, the environment itself refuses all but one at a time.
    project.audit()
