"""A site with books to look at."""

from pathlib import Path

from ocpp_caller import OcppCaller
from server_process import ServerProcess, make_site


def make_charged_site(data_dir: Path) -> Path:
    """A site that served two sessions of RFID001, together 1.5 kWh, and was stopped in order."""
    site = make_site(data_dir)
    with ServerProcess(site) as server:
        with OcppCaller(server.url, "CP1") as charge_point:
            charge_point.charge("RFID001", 1000)
            charge_point.charge("RFID001", 500, meter_start=2_000_000)
        assert server.stop() == 0
    (site / "reserve.bin").unlink()  # 16 MiB that each copy would hold
    return site
