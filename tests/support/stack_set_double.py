"""A double of CloudFormation's stack sets.

moto ends each operation at once and ignores the ids of some; ministack has none. Here an
operation ends when it was looked at twice, an id is taken only once, and one operation
goes on at a time, as the service's documentation says.
"""

from typing import Any

from aws import Refusal

Data = dict[str, Any]


class StackSets:
    """Stack sets by name.

    Attributes:
        stacks: Of each set, by account and region, with the parameters.
        operations: By id; `Status` is what it ends with.
        fails: Reason for which the next operation fails.
    """

    def __init__(self) -> None:
        self.sets: dict[str, Data] = {}
        self.stacks: dict[str, dict[tuple[str, str], Any]] = {}
        self.operations: dict[str, Data] = {}
        self.started: list[tuple[str, Data]] = []
        self.fails: str | None = None

    @property
    def answers(self) -> dict[str, Any]:
        return {
            "DescribeStackSet": lambda q: {"StackSet": self._set(q)},
            "CreateStackSet": self.create,
            "UpdateStackSet": lambda q: self.operate("UPDATE", q),
            "CreateStackInstances": lambda q: self.operate("CREATE", q),
            "StopStackSetOperation": self.stop,
            "DescribeStackSetOperation": self.look,
            "ListStackSetOperations": lambda _: {"Summaries": self._summaries()},
            "ListStackSetOperationResults": lambda q: {
                "Summaries": [
                    {
                        "Account": "1",
                        "Region": "eu-west-1",
                        "Status": "FAILED",
                        "StatusReason": self.operations[q["OperationId"]]["why"],
                    }
                ]
            },
            "ListStackInstances": lambda q: {
                "Summaries": [
                    {"Account": account, "Region": region}
                    for account, region in self.stacks[self._set(q)["StackSetName"]]
                ]
            },
        }

    def create(self, asked: Data) -> Data:
        name = asked["StackSetName"]
        if name in self.sets:
            raise Refusal("NameAlreadyExistsException", f"{name} exists")
        kept = {k: v for k, v in asked.items() if k != "ClientRequestToken"}
        self.sets[name] = {**kept, "StackSetId": f"{name}:id"}
        self.stacks[name] = {}
        return {"StackSetId": f"{name}:id"}

    def operate(self, action: str, asked: Data) -> Data:
        name, operation = self._set(asked)["StackSetName"], asked["OperationId"]
        if operation in self.operations:
            raise Refusal("OperationIdAlreadyExistsException", operation)
        if any(each["looks"] > 0 for each in self.operations.values()):
            raise Refusal("OperationInProgressException", "another goes on")
        self.started.append((action, asked))
        self.operations[operation] = {
            "looks": 2,
            "ends": "FAILED" if self.fails else "SUCCEEDED",
            "why": self.fails,
        }
        self.fails = None
        if action == "UPDATE":
            self.sets[name]["TemplateBody"] = asked["TemplateBody"]
        places = asked.get("DeploymentTargets", asked)
        accounts = [
            *places.get("Accounts", []),
            *places.get("OrganizationalUnitIds", []),
        ]
        for account in accounts:
            for region in asked["Regions"]:
                self.stacks[name][account, region] = asked.get("ParameterOverrides", [])
        return {"OperationId": operation}

    def stop(self, asked: Data) -> Data:
        self.operations[asked["OperationId"]] |= {"looks": 1, "ends": "STOPPED"}
        return {}

    def look(self, asked: Data) -> Data:
        found = self.operations.get(asked["OperationId"])
        if found is None:
            raise Refusal("OperationNotFoundException", "no such operation")
        found["looks"] -= 1
        status = "RUNNING" if found["looks"] > 0 else found["ends"]
        return {
            "StackSetOperation": {"OperationId": asked["OperationId"], "Status": status}
        }

    def _summaries(self) -> list[Data]:
        return [
            {
                "OperationId": operation,
                "Status": "RUNNING" if each["looks"] > 0 else each["ends"],
            }
            for operation, each in self.operations.items()
        ]

    def _set(self, asked: Data) -> Data:
        if asked["StackSetName"] not in self.sets:
            raise Refusal("StackSetNotFoundException", "no such stack set")
        return self.sets[asked["StackSetName"]]
