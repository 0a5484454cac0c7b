"""Programs from outside that tests run: a headless Chromium, with pages that have to say nothing, and Node.

Tests that need one that is missing are skipped, and the summary says in a line how many and of which files; where
``JAXGEOM_TESTS_NEED`` names it ("chromium node"), as CI does for all that it found or could install, they fail.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
NODE = shutil.which("node")
MISSING = "there is no "
"""How the reasons begin for which tests are left out."""


def missing(name: str, what: str) -> None:
    """Ends a test that needs a program that is not there."""
    if name in os.environ.get("JAXGEOM_TESTS_NEED", "").split():
        pytest.fail(f"{MISSING}{what}, but JAXGEOM_TESTS_NEED names {name}", pytrace=False)
    pytest.skip(MISSING + what)


def node() -> str:
    """The path of Node; skips the test that asks for it where there is none."""
    if NODE is None:
        missing("node", "Node")
    assert NODE is not None
    return NODE


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says in a line for each program which tests were left out."""
    left_out: dict[str, list[str]] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""
        if reason.startswith(MISSING):
            left_out.setdefault(reason, []).append(report.nodeid.split("::")[0])
    for reason, files in left_out.items():
        tests = "1 test" if len(files) == 1 else f"{len(files)} tests"
        line = f"LEFT OUT, since {reason}: {tests} of {', '.join(sorted(set(files)))}"
        terminalreporter.write_line(line, red=True, bold=True)


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser of Playwright; skips the tests that ask for it where there is none."""
    try:
        from playwright import sync_api as playwright
    except ImportError:
        missing("chromium", "Playwright")
    if CHROMIUM is None:
        missing("chromium", "Chromium")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


class Opened:
    """A page that has to say nothing and ask for nothing."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(address)
        self.page.wait_for_function("window.explorer")

    def __enter__(self) -> Any:
        return self.page

    def __exit__(self, kind: Any, *error: Any) -> None:
        self.context.close()
        if kind is None:
            assert self.complaints == []
            assert [url for url in self.requests if not url.startswith(("file:", "blob:", "data:"))] == []


def settled(page: Any) -> None:
    """Waits until what changed is drawn."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
