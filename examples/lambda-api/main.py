"""A function behind an HTTP API: greets whoever is named in the query."""

import json
from typing import Any


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    query = event.get("queryStringParameters") or {}
    name = query.get("name", "world").strip()
    if not name or len(name) > 100:
        return answer(400, {"error": "name must have 1 to 100 characters"})
    return answer(200, {"greeting": f"Hello, {name}!"})


def answer(status: int, body: dict[str, str]) -> dict[str, Any]:
    headers = {"content-type": "application/json"}
    return {"statusCode": status, "headers": headers, "body": json.dumps(body)}
