"""The other systems that the settings name, each with the engine that brings an outbox to it."""

from ocpp_server.central_system import CentralSystem
from ocpp_server.clock import Clock
from ocpp_server.delivery.destinations import Destinations
from ocpp_server.delivery.engine import Engine
from ocpp_server.delivery.event_outbox import EventOutbox
from ocpp_server.delivery.pace import DeliveryOptions
from ocpp_server.delivery.reading_outbox import ReadingOutbox
from ocpp_server.delivery.webhook import Webhook
from ocpp_server.forwarder import Forwarder
from ocpp_server.settings import Settings
from ocpp_server.storage.deliveries import Deliveries
from ocpp_server.storage.ledger import Ledger

_MEBIBYTE = 1024 * 1024


def destinations_of(settings: Settings, clock: Clock, ledger: Ledger, central: CentralSystem) -> Destinations:
    """All of them; nothing runs yet."""
    deliveries = Deliveries(ledger)
    engines: list[Engine] = []
    if settings.forward_url:
        options = DeliveryOptions(lanes=settings.forward_lanes, batch=settings.forward_batch)
        readings = ReadingOutbox(deliveries, central.site)
        engines.append(Engine(_forwarder(settings, clock), readings, deliveries, clock, options))
    events = EventOutbox(ledger.path, lambda: central.site.next_event_number - 1)
    for one in settings.webhooks():
        webhook = Webhook(one.name, one.url, one.key, one.types, clock.real_now)
        engines.append(Engine(webhook, events, deliveries, clock))
    if url := settings.rabbitmq_address():
        from ocpp_server.delivery.rabbitmq import RabbitMq, event_key, reading_key  # its package is an extra

        for source, key in ((ReadingOutbox(deliveries, central.site), reading_key), (events, event_key)):
            rabbit = RabbitMq(f"rabbitmq-{source.outbox}", url, settings.rabbitmq_exchange, key)
            engines.append(Engine(rabbit, source, deliveries, clock))
    return Destinations(engines, deliveries, central, clock, most_bytes=settings.outbox_mb * _MEBIBYTE)


def _forwarder(settings: Settings, clock: Clock) -> Forwarder:
    return Forwarder(
        settings.forward_url,
        clock.real_now,
        key=settings.forward_api_key,
        key_file=settings.forward_api_key_file,
        header=settings.forward_header,
        scheme=settings.forward_scheme,
        is_batch=settings.forward_batch > 1,
    )
