"""Row 44: a hook of a rollout hangs, prints 1 GB, prints bytes that are no text, or is
ended by a signal.

It is ended after its time; its output is shown up to a limit, with a note, as text that
is safe to show, and takes little memory; a signal is named. Where the hook has failed,
the rollout is undone and says which hook it was.

pytest tests/faults/test_row_44_misbehaving_hooks.py -k "seed17-"
"""

import random
import resource
from collections.abc import Callable
from unicodedata import category

import pytest
from auditor import audit
from host_shop import Shop
from seeds import number_of, seeded

from prefect_delivery.blocks import Hooks, HostEnvironment
from prefect_delivery.errors import RolloutFailed
from prefect_delivery.ledger import Release
from prefect_delivery.lines import MIB
from prefect_delivery.rollout import roll_out

HANGS = "echo begun; trap '' TERM; sleep 600"
FLOODS = "head -c 1000000000 /dev/zero | tr '\\0' x; echo; exit 3"
BINARY = "head -c 300000 /dev/urandom; printf '\\033[2J\\000\\377'; exit 3"
SIGNALS = {"SEGV": "SIGSEGV", "KILL": "SIGKILL", "ABRT": "SIGABRT", "PIPE": "SIGPIPE"}


@seeded()
def test_a_hook_harms_nothing_but_its_rollout(shop: Shop, seed: str) -> None:
    chance = random.Random(seed)
    lines: list[str] = []
    name = chance.choice([*SIGNALS])
    hook, failure = [
        (f"kill -{name} $$", SIGNALS[name]),
        (BINARY, "exit code 3"),
        (HANGS, "did not end within"),
        (FLOODS, "exit code 3"),
    ][number_of(seed) % 4]
    when = chance.choice(["before", "after"])
    good = shop.host(service=None)
    hooks = Hooks.model_validate(
        {when: [hook], "timeout": 0.005 if hook is HANGS else 1}
    )
    bad = shop.host(service=None, hooks=hooks)
    one, two = shop.release("one"), shop.release("two")
    into(shop, good, one, lines.append)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(RolloutFailed, match=failure) as failed:
        into(shop, bad, two, lines.append)

    assert f"hook '{hook}'" in failed.value.message
    assert good.observe() == one.digest == shop.current()
    controls = {char for line in lines for char in line if category(char) == "Cc"}
    assert controls <= {"\t"}
    assert sum(map(len, lines)) < 70 * MIB
    if hook is FLOODS:
        assert "(output after the first 64 MiB not shown)" in lines
        taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert taken < 200 * 1024, f"{taken} KiB"
    audit(shop.ledger, {shop.environment: good})


def into(
    shop: Shop, host: HostEnvironment, release: Release, log: Callable[[str], None]
) -> None:
    roll_out(shop.ledger, host, shop.environment, release, execution_id="", log=log)
