"""`./run screenshots` makes every picture that the README shows, small enough for a repository."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PNG = b"\x89PNG\r\n\x1a\n"


def test_the_readme_shows_pictures_that_are_there() -> None:
    """Light and dark of each, at most 200 kB."""
    shown = set(re.findall(r"docs/screenshots/([\w-]+\.png)", (PROJECT / "README.md").read_text(encoding="utf-8")))

    assert shown == {path.name for path in (PROJECT / "docs" / "screenshots").glob("*.png")}
    assert {name.replace("-light", "-dark") for name in shown} == {name for name in shown if "-dark" in name}
    for name in shown:
        picture = (PROJECT / "docs" / "screenshots" / name).read_bytes()
        assert picture.startswith(PNG)
        assert len(picture) <= 200_000


@pytest.mark.prove
@pytest.mark.timeout(1200)
def test_the_script_makes_them(tmp_path: Path) -> None:
    """From a demo of its own, on free ports; what it started has ended when it ends."""
    command = [sys.executable, str(PROJECT / "docs" / "make_screenshots.py"), "--folder", str(tmp_path)]

    subprocess.run(command, cwd=tmp_path, check=True, timeout=1100)

    assert {path.name for path in tmp_path.glob("*.png")} == {
        path.name for path in (PROJECT / "docs" / "screenshots").glob("*.png")
    }
