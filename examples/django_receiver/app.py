"""A receiver with Django, in one file: keeps each event once, in the view's own transaction."""

import json
import os
from wsgiref.simple_server import make_server

import django  # type: ignore[import-untyped] # It ships no types.
from django.conf import settings  # type: ignore[import-untyped] # It ships no types.
from django.core.wsgi import get_wsgi_application  # type: ignore[import-untyped] # It ships no types.
from django.db import connection, transaction  # type: ignore[import-untyped] # It ships no types.
from django.http import HttpRequest  # type: ignore[import-untyped] # It ships no types.
from django.urls import path  # type: ignore[import-untyped] # It ships no types.

from payhooks.receiver import Event, Verifier, once, table_sql
from payhooks.receiver.django import webhook

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"]}},
    MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.environ["WEBHOOK_SECRET"],  # This example signs nothing of its own with it.
)
django.setup()
verifier = Verifier(os.environ["WEBHOOK_SECRET"])

with connection.cursor() as setup:
    setup.execute(table_sql())
    setup.execute("CREATE TABLE IF NOT EXISTS heard (id TEXT, type TEXT, data TEXT)")


@webhook(verifier)
def receive(request: HttpRequest, event: Event) -> None:
    """Keep the event. An error here is a 500, so that it is sent again."""
    with transaction.atomic(), once(connection, event) as first:
        if first:
            row = (event.id, event.type, json.dumps(event.data))
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO heard VALUES (%s, %s, %s)", row)


urlpatterns = [path("webhooks", receive)]

if __name__ == "__main__":
    make_server("127.0.0.1", int(os.environ["PORT"]), get_wsgi_application()).serve_forever()
