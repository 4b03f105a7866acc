"""The front door under coverage-guided fuzzing. FUZZ_SECONDS sets how long, FUZZ_CORPUS a folder that is kept."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("atheris_frames.py")
SECONDS = int(os.environ.get("FUZZ_SECONDS", "60"))


@pytest.mark.prove
@pytest.mark.timeout(SECONDS + 300)
def test_no_bytes_that_atheris_finds_raise(tmp_path: Path) -> None:
    """T9: decoding, translating and answering, with the code's own branches as a guide."""
    if subprocess.run([sys.executable, "-c", "import atheris"], capture_output=True).returncode != 0:
        pytest.skip(f"no atheris for Python {sys.version_info.major}.{sys.version_info.minor} on this machine")
    corpus = os.environ.get("FUZZ_CORPUS", str(tmp_path / "corpus"))
    limits = [f"-max_total_time={SECONDS}", "-max_len=4096", "-timeout=20", "-rss_limit_mb=1024"]

    done = subprocess.run([sys.executable, PROGRAM, *limits, corpus], capture_output=True, text=True, cwd=tmp_path)

    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    runs = re.search(r"Done (\d+) runs", done.stderr)
    assert runs is not None
    print(f"\n{runs[1]} runs in {SECONDS} s")
    assert int(runs[1]) > 1000
