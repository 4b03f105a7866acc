"""Each module of the core reaches full branch coverage from its own test file alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
WITHOUT_BRANCHES = {"__init__", "changes", "commands", "events"}
"""Declarations only; what reads them is tested."""
MODULES = sorted({path.stem for path in (PROJECT / "ocpp_server" / "core").glob("*.py")} - WITHOUT_BRANCHES)


@pytest.mark.prove
@pytest.mark.timeout(300)
@pytest.mark.parametrize("module", MODULES)
def test_a_module_of_the_core_is_covered_by_its_own_tests(module: str, tmp_path: Path) -> None:
    """A rule that only another module's tests reach has no test of its own."""
    name = {"records": "site"}.get(module, module)
    report = tmp_path / "coverage.json"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"tests/core/test_{name}.py"]
    command += [f"--cov=ocpp_server.core.{module}", "--cov-branch", f"--cov-report=json:{report}"]
    environment = {"PATH": "/usr/bin:/bin", "COVERAGE_FILE": str(tmp_path / ".coverage"), "HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
    (covered,) = json.loads(report.read_text())["files"].values()
    assert (covered["missing_lines"], covered["missing_branches"]) == ([], [])
