"""One site, built once, for all tests of what is in it."""

import logging
import time

import pytest
from tests.site import project, reading

from singlefilter import site as room


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> reading.Site:
    home = project.make(tmp_path_factory.mktemp("site") / "home")
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    log = logging.getLogger("singlefilter.site.building")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    start = time.process_time()  # others may be at work on this machine
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SINGLEFILTER_HOME", str(home))
            index = room.build(["quick"])
    finally:
        log.removeHandler(handler)
        log.setLevel(logging.NOTSET)
    assert index == home / "build" / "quick" / "site" / "index.html"
    return reading.Site(index.parent, "".join(said), time.process_time() - start)
