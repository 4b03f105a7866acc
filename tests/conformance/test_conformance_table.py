"""docs/conformance.md and the tests of this folder say the same."""

import ast
import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "conformance.md"
RESULTS = {"pass", "not applicable", "not yet"}
CASES = (
    *("001", "003", "004_1", "004_2", "005_1", "007", "061", "010", "011_1", "011_2", "012", "026", "028"),
    *("013", "014", "017_1", "017_2", "018_1", "030", "031", "019_1", "019_2", "021", "040_1", "040_2"),
    *("023_1", "023_2", "023_3", "024", "032_1", "037_1", "037_3", "039", "064"),
    *("042_1", "042_2", "043_1", "043_3", "043_4", "043_5", "044_1", "044_2", "044_3", "045_1", "045_2"),
    *("046", "047", "048_1", "048_2", "048_3", "048_4", "049", "051", "052", "053", "054", "055"),
    *("056", "057", "059", "066", "067", "073", "074", "075_1", "075_2", "076", "077", "078", "079", "080", "081"),
    *("083", "085", "086", "087", "088"),
)
"""The cases for a Central System in the compliance tool of November 2025."""


def rows() -> list[tuple[str, str, str]]:
    """Case, result and last column of each row."""
    return re.findall(
        r"^\| TC_(\w+) \| [^|]+ \| ([^|]+) \| ([^|]+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )


def names_by_case() -> dict[str, str]:
    """The name of the test of each case."""
    names = (
        node.name
        for path in sorted(HERE.glob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_tc_")
    )
    return {re.sub(r"^test_tc_(\d{3}(?:_\d)?)_.*", r"\1", name): name for name in names}


def test_every_case_has_one_row() -> None:
    """All 77, none twice, none that does not exist."""
    assert len(CASES) == 77
    assert sorted(case for case, _, _ in rows()) == sorted(CASES)


def test_every_pass_names_its_test_and_every_test_is_a_pass() -> None:
    """A case without a test says why instead."""
    named = {case: re.findall(r"`(test_tc_\w+)`", why) for case, result, why in rows() if result == "pass"}
    others = {case: why.strip() for case, result, why in rows() if result != "pass"}

    assert named == {case: [name] for case, name in names_by_case().items()}
    assert all(why and "test_tc_" not in why for why in others.values())


def test_the_results_are_those_that_the_page_explains() -> None:
    """pass, not applicable, not yet."""
    assert {result for _, result, _ in rows()} <= RESULTS
    assert all(f"- **{result}**" in PAGE.read_text(encoding="utf-8") for result in RESULTS)
