# Read by Buildbot as its master.cfg.
import os

from buildbot.plugins import changes, schedulers, steps, util, worker  # noqa: F401

NAMES = ("WORK", "RELEASES", "REPOSITORY", "COMMIT", "TOOLS", "MARKER")
ENVIRONMENT = {name: os.environ[name] for name in NAMES}
STEPS = os.environ["STEPS"]
WORKERS = ["one", "two"]
builders = []


def step(*command):
    return steps.ShellCommand(command=command, env=ENVIRONMENT, haltOnFailure=True)


def trigger(name):
    return steps.Trigger(schedulerNames=[name], waitForFinish=True)


def builder(name, *made):
    factory = util.BuildFactory(made)
    builders.append(util.BuilderConfig(name=name, workernames=WORKERS, factory=factory))


for kind in ("unit", "integration"):
    builder(kind, step(f"{STEPS}/test.sh", kind))
source, build, deploy = (step(f"{STEPS}/{n}.sh") for n in ("source", "build", "deploy"))
builder("delivery", source, build, trigger("tests"), deploy)
for count in (5, 20, 100):
    builder(f"sequence{count}", *(step("/bin/true") for _ in range(count)))
for number in range(20):
    builder(f"single{number}", step("/bin/true"))
for number in range(10):
    builder(f"four{number}", *(step("/bin/true") for _ in range(4)))
builder("parallel20", trigger("singles"))
mark = 'date +%s.%N >"$MARKER.new" && mv "$MARKER.new" "$MARKER"'
builder("push", step("sh", "-c", mark))

asked_for = [builder.name for builder in builders]
BuildmasterConfig = {
    "workers": [worker.Worker(name, "secret") for name in WORKERS],
    "protocols": {
        "pb": {"port": f"tcp:{os.environ['BENCH_WORKERS']}:interface=127.0.0.1"}
    },
    "buildbotNetUsageData": None,
    "db": {"db_url": "sqlite:///state.sqlite"},
    "www": {
        "port": f"tcp:{os.environ['BENCH_WEB']}:interface=127.0.0.1",
        "plugins": {},
        "change_hook_dialects": {"base": True},
    },
    "buildbotURL": f"http://127.0.0.1:{os.environ['BENCH_WEB']}/",
    "collapseRequests": False,
    "builders": builders,
    "schedulers": [
        schedulers.Triggerable("tests", ["unit", "integration"]),
        schedulers.Triggerable("singles", [f"single{n}" for n in range(20)]),
        schedulers.AnyBranchScheduler(
            "pushes",
            builderNames=["push"],
            treeStableTimer=None,
            change_filter=util.ChangeFilter(project="push"),
        ),
        *(
            schedulers.ForceScheduler(f"force-{name}", builderNames=[name])
            for name in asked_for
        ),
    ],
}
