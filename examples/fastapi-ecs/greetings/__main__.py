"""Serve the greetings by HTTP."""

import os

import uvicorn
from fastapi import FastAPI

from greetings import greeting

app = FastAPI()


@app.get("/hello/{name}")
def hello(name: str) -> dict[str, str]:
    return {"greeting": greeting(name)}


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


if __name__ == "__main__":
    host, port = os.environ.get("HOST", "127.0.0.1"), os.environ.get("PORT", "8080")
    uvicorn.run(app, host=host, port=int(port))
