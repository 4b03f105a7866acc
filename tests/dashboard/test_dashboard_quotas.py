"""Who is over, near or within the quota; accounts share."""

from datetime import date
from types import MappingProxyType

import pytest

from dashboard.quotas import QuotaState, UserLine, quota_counts, quota_state, search, user_lines
from dashboard.records import Site, UserRow, UserTable, Wh

TODAY = date(2026, 11, 20)


def site(rows: list[UserRow], usage: dict[str, int]) -> Site:
    return Site(users=UserTable(tuple(rows)), usage=MappingProxyType({tag: Wh(used) for tag, used in usage.items()}))


def row(id_tag: str, quota_kwh: float | None = 150, account: str = "", **more: object) -> UserRow:
    quota = None if quota_kwh is None else Wh(round(quota_kwh * 1000))
    fields = {"person": "", "is_unlimited": quota is None} | more
    return UserRow(id_tag=id_tag, account=account or id_tag, quota=quota, **fields)  # type: ignore[arg-type]


def lines_by_card(rows: list[UserRow], usage: dict[str, int]) -> dict[str, UserLine]:
    return {line.id_tag: line for line in user_lines(site(rows, usage), TODAY)}


@pytest.mark.parametrize(
    ("used_wh", "percent", "state"),
    [
        (0, 0, QuotaState.OK),
        (119_999, 79, QuotaState.OK),
        (120_000, 80, QuotaState.NEAR),
        (149_550, 99, QuotaState.NEAR),  # 99.7 %
        (149_900, 99, QuotaState.NEAR),
        (149_901, 99, QuotaState.USED_UP),
        (150_000, 100, QuotaState.USED_UP),
        (150_001, 100, QuotaState.OVER),
        (153_000, 102, QuotaState.OVER),
    ],
)
def test_percent_is_rounded_down_and_less_than_100_wh_left_is_used_up(
    used_wh: int, percent: int, state: QuotaState
) -> None:
    """accounting.md 12; "100 % near limit" never shows."""
    line = lines_by_card([row("A")], {"A": used_wh})["A"]

    assert line.percent == percent
    assert line.state is state


def test_no_limit_has_neither_percent_nor_rest() -> None:
    """It is neither 0 nor an empty bar."""
    line = lines_by_card([row("A", None)], {"A": 900_000})["A"]

    assert line.state is QuotaState.NO_LIMIT
    assert line.percent is None
    assert line.left is None


def test_a_quota_of_0_is_no_energy_at_all() -> None:
    """users1.csv: 0 means no energy; used energy makes it over."""
    assert quota_state(Wh(0), Wh(0)) is QuotaState.NO_ENERGY
    assert quota_state(Wh(1), Wh(0)) is QuotaState.OVER


def test_a_small_quota_is_used_up_by_one_percent() -> None:
    """The smaller of 0.1 kWh and 1 %."""
    assert quota_state(Wh(989), Wh(1000)) is QuotaState.NEAR
    assert quota_state(Wh(991), Wh(1000)) is QuotaState.USED_UP


def test_rows_of_one_account_share_quota_and_usage_and_count_once() -> None:
    """docs/files.md, users1.csv, `account`."""
    lines = lines_by_card([row("A", account="team"), row("B", account="team")], {"A": 100_000, "B": 40_000})

    assert [(line.used, line.left) for line in lines.values()] == [(140_000, 10_000)] * 2
    assert quota_counts(lines.values()) == (0, 1)


def test_a_blocked_or_expired_card_says_so_beside_its_quota() -> None:
    """The last day of an expiry date still works."""
    lines = lines_by_card(
        [
            row("A", is_blocked=True),
            row("B", expiry_date=date(2026, 11, 19)),
            row("C", expiry_date=TODAY),
            row("D", is_blocked=True),
        ],
        {"D": 160_000},
    )

    assert lines["A"].states == ["blocked"]
    assert lines["B"].states == ["expired"]
    assert lines["C"].states == ["ok"]
    assert lines["D"].states == ["blocked", "over"]


def test_a_row_without_a_readable_quota_is_not_called_unlimited() -> None:
    """Never turn an unreadable value into something else."""
    line = lines_by_card([row("A", None, is_unlimited=False, is_readable=False)], {})["A"]

    assert line.state is QuotaState.UNREADABLE


def test_of_differing_rows_of_one_card_the_stricter_counts() -> None:
    """Blocked before not blocked, limited before unlimited, the smaller quota."""
    line = lines_by_card([row("A", None), row("A", 200), row("A", 100, is_blocked=True)], {})["A"]

    assert line.quota == 100_000
    assert line.states == ["blocked"]


def test_usage_finds_its_row_exactly_or_else_uniquely_without_case() -> None:
    """OCPP 1.6 §7.28: idTag is a CiString. What belongs to nobody is still shown."""
    lines = lines_by_card([row("a1"), row("b1"), row("B1")], {"A1": 5, "B1": 7, "b1": 1, "x": 3})

    assert {tag: line.used for tag, line in lines.items()} == {"a1": 5, "b1": 1, "B1": 7, "x": 3}
    assert lines["x"].state is QuotaState.UNLISTED


def test_every_word_of_a_search_must_be_found() -> None:
    """In name, card or account, in any order."""
    lines = user_lines(site([row("0012", person="Ayşe Yılmaz"), row("0013", person="Ayşe Kaya")], {}), TODAY)

    assert [line.id_tag for line in search(lines, "YIL ayse")] == ["0012"]
    assert [line.id_tag for line in search(lines, "0013")] == ["0013"]
    assert len(search(lines, " ")) == 2


def test_trouble_stands_first_and_the_order_is_steady() -> None:
    """Within one state by folded name, then card."""
    rows = [row("1", person="Çağla"), row("2", person="Anna"), row("3", person="Zoë"), row("4", person="Bo")]
    lines = user_lines(site(rows, {"3": 160_000, "4": 130_000}), TODAY)

    assert [line.person for line in lines] == ["Zoë", "Bo", "Anna", "Çağla"]
