"""A receiver with FastAPI: keeps each event, once."""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI

from payhooks.receiver import Event, Verifier, once, table_sql
from payhooks.receiver.fastapi import install, webhook

app = FastAPI()
install(app)
verifier = Verifier(os.environ["WEBHOOK_SECRET"])


@contextmanager
def transaction() -> Iterator[sqlite3.Connection]:
    """Yield a connection whose work is committed at the end, or not at all."""
    with closing(sqlite3.connect(os.environ["DATABASE"])) as connection, connection:
        yield connection


with transaction() as setup:
    setup.execute(table_sql())
    setup.execute("CREATE TABLE IF NOT EXISTS heard (id TEXT, type TEXT, data TEXT)")


@app.post("/webhooks", status_code=204)
def receive(event: Annotated[Event, Depends(webhook(verifier))]) -> None:
    """Keep the event. An error here is a 500, so that it is sent again."""
    with transaction() as connection, once(connection, event) as first:
        if first:
            row = (event.id, event.type, json.dumps(event.data))
            connection.execute("INSERT INTO heard VALUES (?, ?, ?)", row)


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
