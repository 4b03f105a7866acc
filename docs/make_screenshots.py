"""`./run screenshots`: the pictures of the README, from a demo site of their own, light and dark.

Server, simulator and dashboard run on free ports and a folder that is thrown away; nothing of the site is touched.
"""

import argparse
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

PROJECT = Path(__file__).resolve().parent.parent
if str(PROJECT) not in sys.path:  # Python puts the folder of a script there, not that of the project
    sys.path.insert(0, str(PROJECT))

from playwright.sync_api import sync_playwright  # noqa: E402

from dashboard.login.accounts import Accounts  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PAGES = {
    "overview": "/",
    "sessions": "/sessions",
    "users": "/users",
    "report": "/report",
    "manage": "/manage_chargers",
}
SCHEMES = ("light", "dark")
SIZE = {"width": 1440, "height": 900}
LARGEST_BYTES = 200_000
CLOCK_FACTOR = 60
SESSIONS, LONGEST_SESSION_MIN = 5, 90
"""The pictures wait for so many, the oldest of so many minutes: on the demo's clock, a second each."""
PATIENCE_S = 300
CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
IS_STILL = """() => {
  const app = document.querySelector('[data-testid=stApp]');
  return app && app.dataset.testScriptState === 'notRunning' && !document.querySelector('[data-testid=stSkeleton]')
    && document.getAnimations().every(one => one.playState !== 'running');
}"""


def main() -> int:
    """0, or 1 with one sentence on standard error."""
    parser = argparse.ArgumentParser(prog="./run screenshots", description=__doc__)
    parser.add_argument("--folder", type=Path, default=PROJECT / "docs" / "screenshots", help="(%(default)s)")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    (PROJECT / "var").mkdir(exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="screenshots-", dir=PROJECT / "var") as made:
            take_all(Path(made), folder)
    except (RuntimeError, TimeoutError) as error:
        print(f"screenshots: {error}", file=sys.stderr)
        return 1
    return 0


def take_all(made: Path, folder: Path) -> None:
    data, password = made / "data", secrets.token_urlsafe(16)
    ocpp_port, api_port, dashboard_port = free_ports(3)
    environment = {name: value for name, value in os.environ.items() if not name.upper().startswith("EVQUOTA_")} | {
        "EVQUOTA_DATA_DIR": str(data),
        "EVQUOTA_OCPP_HOST": "127.0.0.1",
        "EVQUOTA_OCPP_PORT": str(ocpp_port),
        "EVQUOTA_API_PORT": str(api_port),
        "EVQUOTA_DASHBOARD_PORT": str(dashboard_port),
        "EVQUOTA_SITE_NAME": "Campus",
        "EVQUOTA_CLOCK_FACTOR": str(CLOCK_FACTOR),
        "EVQUOTA_CLOCK_ORIGIN": str(int(time.time())),
    }
    with ExitStack() as stack:

        def start(*arguments: str) -> None:
            stack.enter_context(running(arguments, environment, made / f"{arguments[-1].strip('-')}.log"))

        subprocess.run([sys.executable, "-m", "simulator.demo_data", str(data)], cwd=PROJECT, check=True)
        Accounts(data).set_password("admin", password)
        start("ocpp_server", "serve")
        wait_for_port(ocpp_port)
        start("simulator", "--url", f"ws://127.0.0.1:{ocpp_port}", "--demo")
        start("ocpp_server", "dashboard")
        wait_for_port(dashboard_port)
        wait_for_sessions(data)
        with sync_playwright() as playwright:
            path = CHROMIUM if CHROMIUM.exists() else None
            browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
            for scheme in SCHEMES:
                take(browser, f"http://127.0.0.1:{dashboard_port}", password, scheme, folder)
            browser.close()


@contextmanager
def running(arguments: tuple[str, ...], environment: dict[str, str], log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments], cwd=PROJECT, env=environment, stdout=output, stderr=output
        )
    try:
        yield
    finally:
        is_alive = process.poll() is None
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if not is_alive:
        raise RuntimeError(f"{arguments[0]} ended by itself: {log.read_text(errors='replace')[-500:]}")


def wait_for_sessions(data: Path) -> None:
    """Return once the site is as busy as the pictures want it."""
    print(f"waiting for {SESSIONS} sessions, one of {LONGEST_SESSION_MIN} demo minutes …", flush=True)
    latest = time.monotonic() + PATIENCE_S
    while time.monotonic() < latest:
        try:
            running_now = json.loads((data / "active_transactions.json").read_bytes()).values()
            site_time = json.loads((data / "server_status.json").read_bytes())["site_time"]
        except FileNotFoundError:
            running_now, site_time = {}.values(), ""
        begins = [datetime.fromisoformat(each["start_time"]) for each in running_now]
        if len(begins) >= SESSIONS:
            minutes = (datetime.fromisoformat(site_time) - min(begins)).total_seconds() / 60
            if minutes >= LONGEST_SESSION_MIN:
                return
        time.sleep(0.5)
    raise TimeoutError(f"the demo had not enough sessions after {PATIENCE_S} s")


def take(browser: "Browser", address: str, password: str, scheme: str, folder: Path) -> None:
    context = browser.new_context(viewport=SIZE, color_scheme=scheme, locale="en-GB")  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_S * 1000)
    page = context.new_page()
    page.goto(f"{address}/login")
    page.locator("[name=user]").fill("admin")
    page.locator("[name=password]").fill(password)
    page.locator("button").click()
    for name, path in PAGES.items():
        page.goto(address + path)
        settle(page)
        picture = folder / f"{name}-{scheme}.png"
        page.screenshot(path=picture)
        size = picture.stat().st_size
        print(f"{picture.name} {size // 1000} kB", flush=True)
        if size > LARGEST_BYTES:
            raise RuntimeError(f"{picture} has {size} bytes, more than {LARGEST_BYTES}")
    context.close()


def settle(page: "Page") -> None:
    """Wait until the figures are there and the charts drawn: two looks, because tables load their code late."""
    page.get_by_test_id("stHeading").first.wait_for()
    for _ in range(2):
        page.wait_for_function(IS_STILL)
        page.wait_for_timeout(2000)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


def wait_for_port(port: int) -> None:
    latest = time.monotonic() + PATIENCE_S
    while time.monotonic() < latest:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"nothing listens on port {port} after {PATIENCE_S} s")


if __name__ == "__main__":
    sys.exit(main())
