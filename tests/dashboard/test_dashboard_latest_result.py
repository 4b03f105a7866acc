"""What is made of the files is made once, until a file changes."""

from datetime import date

from dashboard.latest_result import LatestResult


def test_it_is_made_again_only_for_another_object_or_another_day() -> None:
    """Equal is not the same: to find that out would cost as much as to make it."""
    made: list[tuple[object, ...]] = []

    def count(*inputs: object) -> int:
        made.append(inputs)
        return len(made)

    result, rows = LatestResult(count), ["a row"]

    assert [result(rows, date(2026, 11, 20)), result(rows, date(2026, 11, 20))] == [1, 1]
    assert result(rows, date(2026, 11, 21)) == 2
    assert result(list(rows), date(2026, 11, 21)) == 3
    assert result(None, date(2026, 11, 21)) == 4
    assert made[0] == (rows, date(2026, 11, 20))
