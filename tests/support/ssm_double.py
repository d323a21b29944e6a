"""A double of Systems Manager: moto says Success and runs nothing.

Each command really runs, by this machine's shell, with the state of its instance in a
folder of its own. `aws s3 cp` there is a program of ours that asks the emulator.
"""

import os
import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

from aws import Answering

Data = dict[str, Any]
AWS = """#!/bin/sh
place=${{4#s3://}}
exec curl -sSf --noproxy '*' --user test:test --aws-sigv4 aws:amz:eu-west-1:s3 -o "$5" "{address}/$place"
"""


class SystemsManager:
    """Agents on instances.

    Attributes:
        commands: What was sent, by id.
        holds: Whether commands go on until they are cancelled.
        nodes: Ids of managed nodes, by tag value.
    """

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = folder
        self.commands: dict[str, Data] = {}
        self.holds = False
        self.nodes: dict[str, list[str]] = {}
        programs = folder / "bin"
        programs.mkdir(parents=True)
        (programs / "aws").write_text(AWS.format(address=address))
        (programs / "aws").chmod(0o755)
        self.path = f"{programs}:{os.environ['PATH']}"

    @property
    def operations(self) -> dict[str, Answering]:
        return {
            "DescribeInstanceInformation": self.look,
            "SendCommand": self.send,
            "ListCommands": lambda asked: {
                "Commands": [{"Status": self.commands[asked["CommandId"]]["Status"]}]
            },
            "ListCommandInvocations": lambda asked: {
                "CommandInvocations": self.commands[asked["CommandId"]]["found"]
            },
            "CancelCommand": self.cancel,
        }

    def look(self, asked: Data) -> Data:
        (wanted,) = asked["Filters"]
        found = [id_ for value in wanted["Values"] for id_ in self.nodes.get(value, [])]
        return {"InstanceInformationList": [{"InstanceId": each} for each in found]}

    def send(self, asked: Data) -> Data:
        number = str(uuid4())
        (script,) = asked["Parameters"]["commands"]
        found = (
            [] if self.holds else [self._ran(i, script) for i in asked["InstanceIds"]]
        )
        bad = any(each["Status"] != "Success" for each in found)
        status = "InProgress" if self.holds else "Failed" if bad else "Success"
        self.commands[number] = {"Status": status, "found": found, "asked": asked}
        return {"Command": {"CommandId": number}}

    def cancel(self, asked: Data) -> Data:
        self.commands[asked["CommandId"]]["Status"] = "Cancelled"
        return {}

    def _ran(self, instance: str, script: str) -> Data:
        done = subprocess.run(
            ["sh", "-c", script],
            env={
                "PATH": self.path,
                "INSTANCE": instance,
                "PREFECT_DELIVERY_STATE": str(self.folder / instance),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return {
            "InstanceId": instance,
            "Status": "Failed" if done.returncode else "Success",
            "CommandPlugins": [{"Output": done.stdout}],
        }
