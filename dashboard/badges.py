"""The colours of badges in tables, by the state that they stand for."""

from typing import Final, Literal, TypeAlias

from dashboard.quotas import QuotaState

BadgeColor: TypeAlias = Literal["red", "orange", "blue", "green", "violet", "gray"]
"""Those of `st.badge` that are in use."""

QUOTA_COLORS: Final = {
    QuotaState.OVER: "red",
    QuotaState.USED_UP: "red",
    QuotaState.NEAR: "orange",
    QuotaState.OK: "green",
    QuotaState.NO_LIMIT: "blue",
    QuotaState.NO_ENERGY: "gray",
    QuotaState.BLOCKED: "violet",
    QuotaState.EXPIRED: "violet",
    QuotaState.UNREADABLE: "orange",
    QuotaState.UNLISTED: "gray",
}
