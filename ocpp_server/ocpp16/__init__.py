"""The only place that knows OCPP 1.6J: sockets, frames, messages in both directions."""
