"""Plain bash: the work itself, and nothing beside it."""

from benchmarks.lab import call
from benchmarks.peers import Peer
from benchmarks.work import Actions, Burst, Delivery, Push, Work

DELIVERY = """
"$STEPS/source.sh" >/dev/null 2>&1
"$STEPS/build.sh" >"$WORK/build.log" 2>&1
"$STEPS/test.sh" unit >"$WORK/unit.log" 2>&1 & unit=$!
"$STEPS/test.sh" integration >"$WORK/integration.log" 2>&1 & integration=$!
wait $unit; wait $integration
"$STEPS/deploy.sh"
"""
SEQUENCE = 'for i in $(seq {count}); do /bin/true >"$WORK/$i.log" 2>&1; done'
PARALLEL = 'for i in $(seq {count}); do /bin/true >"$WORK/$i.log" 2>&1 & done; wait'
BURST = """
four() {{
  for step in 1 2 3 4; do /bin/true >"$WORK/$1-$step.log" 2>&1 || exit 1; done
}}
for i in $(seq {count}); do four $i & done; wait
"""


class Bash(Peer):
    name = "bash"

    def can(self, work: Work) -> bool:
        return not isinstance(work, Push)

    def run(self, work: Work) -> None:
        match work:
            case Delivery():
                script = DELIVERY
            case Actions(count, parallel):
                script = (PARALLEL if parallel else SEQUENCE).format(count=count)
            case Burst(count):
                script = BURST.format(count=count)
            case Push():
                raise NotImplementedError
        environment = self.lab.environment("bash")
        script = 'set -e; mkdir -p "$WORK" "$RELEASES"\n' + script
        call("bash", "-c", script, environment=environment)
