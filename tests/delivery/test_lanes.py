"""`delivery.lanes`: whatever happens, the positions tell exactly what is not settled."""

from hypothesis import given
from hypothesis import strategies as st

from ocpp_server.delivery.lanes import Lanes
from ocpp_server.delivery.outbox import DEFAULT, UNWANTED, Item

NAMES = "ABC"


def page(outbox: list[Item], after: dict[str, int], limit: int) -> list[Item]:
    """What a source gives."""
    return [item for item in outbox if item.number > after.get(item.lane, after[DEFAULT])][:limit]


@given(
    lanes=st.text(NAMES, min_size=1, max_size=30),
    acts=st.lists(st.tuples(st.sampled_from(("read", "settle", "fail", "room", "lag", "note")), st.integers(0, 9))),
)
def test_the_positions_tell_what_is_not_settled(lanes: str, acts: list[tuple[str, int]]) -> None:
    """A life that begins at any noted position finds each entry that was not settled then, and no other; in order."""
    outbox = [Item(number, lane, str(number), None) for number, lane in enumerate(lanes, start=1)]
    settled: list[Item] = []
    live = Lanes({DEFAULT: 0})
    default = 0
    for act, size in acts:
        ready = live.ready(0.0)
        match act:
            case "read":
                found = page(outbox, live.unread(), size)
                live.add(found, len(outbox) if len(found) < size else 0)
            case "settle" if ready:
                lane = ready[size % len(ready)]
                settled += lane.head(1 + size % 3)
                live.settle(lane, len(lane.head(1 + size % 3)))
            case "fail" if ready:
                ready[size % len(ready)].failures += 1
            case "room":
                live.make_room(size)
            case "lag":
                for name, after in list(live.lagging(0.0)):
                    assert after == {DEFAULT: UNWANTED, name: after[name]}
                    live.add_lagging(name, page(outbox, after, size + 1), size + 1)
            case "note":
                live.tidy()
                positions = live.positions()
                assert positions[DEFAULT] >= default
                default = positions[DEFAULT]
                waiting = page(outbox, positions, 100)
                assert waiting == [item for item in outbox if item not in settled]
                live = Lanes(positions) if size > 6 else live
    for name in NAMES:
        of_lane = [item.number for item in settled if item.lane == name]
        assert of_lane == sorted(set(of_lane))


def test_what_the_outbox_let_go_of_is_forgotten_but_for_what_is_under_way() -> None:
    """It may be accepted yet."""
    live = Lanes({DEFAULT: 0})
    live.add([Item(number, "AB"[number % 2], str(number), None) for number in range(1, 7)], 0)
    under_way = live.ready(0.0)[0]
    under_way.is_sending = True
    live.forget_up_to(4)

    assert [item.number for item in under_way.queue] == [1, 3, 5]
    assert live.positions() == {DEFAULT: 0, "A": 4}
