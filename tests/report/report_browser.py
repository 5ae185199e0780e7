"""A page as the job composes it, and a browser that says what became of it."""

import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from hsae.report.page import compose
from hsae.report.read import Material
from hsae.report.sections import all_sections
from hsae.report.summary import facts, footer, lede

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def page_of(material: Material, *, title: str = "Do teachers help?") -> str:
    """The page as the job composes it."""
    return compose(
        title=title,
        lede=lede(material),
        facts=facts(material),
        sections=all_sections(material, seed=0),
        footer=footer([]),
    )


@dataclass
class Seen:
    """What a browser made of a page."""

    dom: str
    console: list[str]

    def told(self) -> dict:
        """What the probe in the page said."""
        found = re.search(r'<script type="application/json" id="probe">(.*?)</script>', self.dom, re.DOTALL)
        assert found, "the probe did not run to its end"
        return json.loads(found[1])


def browse(page: str, folder: Path, *, probe: str = "{}") -> Seen:
    """Opens the page from disk in headless Chromium and evaluates the expression `probe` in it."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    tail = (
        "<script>addEventListener('load', () => { const said = document.createElement('script');"
        "said.type = 'application/json'; said.id = 'probe';"
        f"said.textContent = JSON.stringify({probe}); document.body.append(said); }});</script>"
    )
    file = folder / "report.html"
    file.write_text(page.replace("</body>", tail + "</body>"), encoding="utf-8")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *(
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--no-first-run",
            ),
            *("--enable-logging=stderr", "--v=0", "--window-size=1400,3000", "--virtual-time-budget=5000"),
            *(f"--user-data-dir={profile}", "--dump-dom", file.as_uri()),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return Seen(done.stdout, console)
