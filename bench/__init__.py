"""How fast evquota is, as a ratio to a bare `ocpp` + `websockets` server in the same run (docs/performance.md)."""
