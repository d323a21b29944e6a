"""A double of Lambda's Invoke: moto needs Docker images for it that CI has not.

The functions are Python functions; what they raise is answered as Lambda answers it.
"""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

from aws import Handler, served

Function = Callable[[dict[str, Any]], Any]


@contextmanager
def lambdas(functions: dict[str, Function]) -> Iterator[str]:
    """The address of a Lambda service that has these functions."""

    class Double(Handler):
        def do_POST(self) -> None:
            event = json.loads(self.body())
            name = unquote(self.path.split("/")[3])
            headers = {"X-Amz-Log-Result": base64.b64encode(b"START\nhello").decode()}
            if name not in functions:
                said = {"Type": "User", "Message": f"Function not found: {name}"}
                error = {"X-Amzn-Errortype": "ResourceNotFoundException"}
                self.answer(404, json.dumps(said).encode(), error)
                return
            try:
                returned = functions[name](event)
            except Exception as error:  # noqa: BLE001 - a function may raise anything
                returned = {
                    "errorMessage": str(error),
                    "errorType": type(error).__name__,
                }
                headers["X-Amz-Function-Error"] = "Unhandled"
            self.answer(200, json.dumps(returned).encode(), headers)

    with served(Double) as address:
        yield address
