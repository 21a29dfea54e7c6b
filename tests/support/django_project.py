"""The one Django project of a test process: Django can be configured only once."""

from typing import Any, Final

import django  # type: ignore[import-untyped] # It ships no types.
from django.conf import settings  # type: ignore[import-untyped] # It ships no types.

# Small, so that a test can send more than Django itself takes.
UPLOAD_BYTES_MAX: Final = 4_000
# What tests put their views into; call django.urls.clear_url_caches() afterwards.
urlpatterns: list[Any] = []


def configure() -> None:
    """Configure Django, unless that was done."""
    if settings.configured:
        return
    settings.configure(
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["testserver"],
        MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"],
        DATA_UPLOAD_MAX_MEMORY_SIZE=UPLOAD_BYTES_MAX,
        SECRET_KEY="of a test",
        USE_TZ=True,
    )
    django.setup()
