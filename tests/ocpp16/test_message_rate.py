"""The token bucket of a charge point."""

from ocpp_server.ocpp16.message_rate import Bucket, MessageRates


class Watch:
    """A clock that the test turns, in seconds."""

    def __init__(self) -> None:
        self.now = 500.0

    def __call__(self) -> float:
        return self.now


def flood(bucket: Bucket, watch: Watch, seconds: float) -> int:
    """Send as fast as messages are taken; the number of messages that were."""
    end, count = watch.now + seconds, 0
    while True:
        wait_s = bucket.take()
        if watch.now + wait_s > end:
            return count
        watch.now += wait_s
        count += 1


def test_a_burst_is_free_and_then_the_rate_holds() -> None:
    """T13: 20 a second after 200 at once."""
    watch = Watch()
    bucket = Bucket(20, watch)

    assert [bucket.take() for _ in range(200)] == [0.0] * 200
    assert round(bucket.take(), 6) == 0.05
    assert 200 <= flood(Bucket(20, watch), watch, 0.0) <= 201
    assert abs(flood(Bucket(20, watch), watch, 10.0) - 400) <= 1


def test_silence_fills_the_bucket_again() -> None:
    """T13: half of it in five seconds, never more than all of it."""
    watch = Watch()
    bucket = Bucket(20, watch)
    flood(bucket, watch, 0.0)
    watch.now += 5
    assert abs(flood(bucket, watch, 0.0) - 100) <= 1
    watch.now += 3600
    assert abs(flood(bucket, watch, 0.0) - 200) <= 1


def test_a_flood_is_a_minute_without_a_pause() -> None:
    """T13: whoever is within the rate for one message begins anew."""
    watch = Watch()
    bucket = Bucket(20, watch)
    flood(bucket, watch, 59.0)
    assert not bucket.is_flood
    flood(bucket, watch, 2.0)
    assert bucket.is_flood

    watch.now += 1
    bucket.take()
    assert not bucket.is_flood


def test_rate_0_is_no_limit() -> None:
    """The setting max_message_rate."""
    watch = Watch()
    bucket = Bucket(0, watch)

    assert not any(bucket.take() for _ in range(100_000))
    assert not bucket.is_flood


def test_a_charge_point_keeps_its_bucket() -> None:
    """T13: a new connection is no new burst; buckets that are full again are let go."""
    watch = Watch()
    rates = MessageRates(20, watch)
    flood(rates.of("CP1"), watch, 0.0)
    assert rates.of("CP1").take() > 0
    assert rates.of("CP2").take() == 0

    for number in range(2000):
        rates.of(f"X{number}")
    assert len(rates) < 1100
    assert rates.of("CP1").take() > 0
