"""Grounds that several tests of faults stand on: each is started once a module."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from tests.support.fault_proxy import FaultProxy
from tests.support.faulted import OnPostgres, ground
from tests.support.own_postgres import own_postgres
from tests.support.server import Server


@pytest.fixture(scope="module")
def on_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnPostgres]:
    with ExitStack() as stack:
        postgres = stack.enter_context(own_postgres(max_connections="30"))
        line = stack.enter_context(FaultProxy(postgres.port))
        url = postgres.make_database("payhooks").replace(f":{postgres.port}", f":{line.port}")
        server = Server(tmp_path_factory.mktemp("server"), url)
        yield OnPostgres(stack.enter_context(ground(server)), postgres, line)
