"""A receiver with Flask: keeps each event, once."""

import json
import os
import sqlite3
from contextlib import closing

from flask import Flask

from payhooks.receiver import Event, Verifier, once, table_sql
from payhooks.receiver.flask import webhook

app = Flask(__name__)
verifier = Verifier(os.environ["WEBHOOK_SECRET"])


def connect() -> sqlite3.Connection:
    """Return a connection to the application's database."""
    return sqlite3.connect(os.environ["DATABASE"])


with closing(connect()) as setup, setup:
    setup.execute(table_sql())
    setup.execute("CREATE TABLE IF NOT EXISTS heard (id TEXT, type TEXT, data TEXT)")


@app.post("/webhooks")
@webhook(verifier)
def receive(event: Event) -> None:
    """Keep the event. An error here is a 500, so that it is sent again."""
    with closing(connect()) as connection, connection, once(connection, event) as first:
        if first:
            row = (event.id, event.type, json.dumps(event.data))
            connection.execute("INSERT INTO heard VALUES (?, ?, ?)", row)


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ["PORT"]))
