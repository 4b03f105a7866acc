"""`python -m bench.dashboard`: the overview of 40 charge points and 1,000 users: first view, and many viewers at once.

The dashboard is a process on a core of its own, behind its login; its files are renewed every 2 s. The first view is
a real browser's, started anew each time; the viewers are `dashboard_viewer`s, which cost less than browsers.
"""

import argparse
import asyncio
import os
import secrets
import statistics
import sys
import tempfile
import time
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode

from bench import processes, report
from bench.dashboard_site import LargeSite
from bench.dashboard_viewer import Seen, Viewer
from dashboard.login.accounts import Accounts
from ocpp_server import dashboard_process
from ocpp_server.env_file import PREFIX
from ocpp_server.settings import PROJECT_FOLDER, Settings

CHROMIUM = Path("/usr/bin/chromium")
_ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking")
_APART_S = 0.25
_SETTLE_S = 10.0


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.dashboard", description=__doc__)
    parser.add_argument("--chargers", type=int, default=40, help="charge points (%(default)s)")
    parser.add_argument("--users", type=int, default=1000, help="rows of users1.csv (%(default)s)")
    parser.add_argument("--viewers", type=int, default=20, help="open pages at once (%(default)s)")
    parser.add_argument("--seconds", type=float, default=40.0, help="measured (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="first views (%(default)s)")
    options = parser.parse_args()
    folder = PROJECT_FOLDER / "var"
    folder.mkdir(exist_ok=True)
    print("\n".join(report.machine(folder)), flush=True)
    with tempfile.TemporaryDirectory(prefix="dashboard-", dir=folder) as made:
        _run(Path(made), options)
    print(f"- load average at the end: {os.getloadavg()[0]:.2f}")


def _run(folder: Path, options: argparse.Namespace) -> None:
    site = LargeSite(folder, options.chargers, options.users)
    site.write()
    password = secrets.token_urlsafe(16)
    Accounts(folder).set_password("viewer", password)
    port, (core, other) = processes.free_port(), processes.cores()
    settings = Settings(_env_file=None, data_dir=folder, dashboard_port=port, api_port=0)  # type: ignore[call-arg]
    own = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
    environment = own | dashboard_process.environment(settings)
    arguments = dashboard_process.command(settings, PROJECT_FOLDER / "dashboard" / "asgi.py")[1:]
    with processes.server(arguments, port, core, folder / "dashboard.log", environment) as pid, site.renewed():
        address = f"127.0.0.1:{port}"
        cookie = _log_in(f"http://{address}", password)
        for number in range(options.rounds):
            used, took = processes.cpu_s(pid), _first_view(address, cookie)
            told = "" if number else " (nobody had looked before)"
            share = f"{processes.cpu_s(pid) - used:.1f} s of CPU in the dashboard"
            print(f"- first view in a new browser: {took:.1f} s, {share}{told}", flush=True)
        with processes.pinned(other):
            asyncio.run(_watch(pid, address, cookie, options.viewers, options.seconds))


def _log_in(address: str, password: str) -> str:
    """Give the cookie of the session, as a header."""
    jar = CookieJar()
    browser = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(jar))
    form = browser.open(f"{address}/login").read().decode()
    token = form.partition('name="token" value="')[2].partition('"')[0]
    fields = urlencode({"token": token, "next": "/healthz", "user": "viewer", "password": password}).encode()
    browser.open(urllib.request.Request(f"{address}/login", fields, {"Origin": address})).read()
    return "; ".join(f"{one.name}={one.value}" for one in jar)


def _first_view(address: str, cookie: str) -> float:
    """Seconds from asking for the page to the tiles and the charge points, in a browser that has nothing in its cache.

    The start of the browser itself does not count.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = CHROMIUM if CHROMIUM.exists() else None
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        pairs = (pair.partition("=") for pair in cookie.split("; "))
        context.add_cookies([{"name": name, "value": value, "url": f"http://{address}"} for name, _, value in pairs])
        page = context.new_page()
        page.set_default_timeout(120_000)
        begin = time.perf_counter()
        page.goto(f"http://{address}/", wait_until="commit")
        page.get_by_test_id("stMetric").nth(3).wait_for()
        page.get_by_test_id("stDataFrame").locator("canvas").first.wait_for()
        took = time.perf_counter() - begin
        browser.close()
    return took


async def _watch(pid: int, address: str, cookie: str, number: int, seconds: float) -> None:
    seen = Seen()
    viewers = [Viewer(address, cookie, seen) for _ in range(number)]
    async with asyncio.TaskGroup() as group:
        tasks = []
        for viewer in viewers:
            tasks.append(group.create_task(viewer.run()))
            await asyncio.sleep(_APART_S)
        await asyncio.gather(*(viewer.is_open.wait() for viewer in viewers))
        await asyncio.sleep(_SETTLE_S)
        used, begin, seen.is_measuring = processes.cpu_s(pid), time.perf_counter(), True
        await asyncio.sleep(seconds)
        took, seen.is_measuring = time.perf_counter() - begin, False
        share = 100 * (processes.cpu_s(pid) - used) / took
        for task in tasks:
            task.cancel()
    _tell(seen, number, took, share, processes.rss_bytes(pid))


def _tell(seen: Seen, number: int, took: float, share: float, rss_bytes: int) -> None:
    times = sorted(1000 * each for each in seen.reruns_s)
    if not times or seen.failures:
        sys.exit(f"the viewers saw no refresh, or errors: {seen.failures[:3]}")
    p95 = times[int(len(times) * 0.95)]
    print(
        f"- {number} viewers for {took:.0f} s: {share:.0f} % of one core, {len(times) / took:.1f} refreshes/s, "
        f"median {statistics.median(times):.0f} ms, p95 {p95:.0f} ms, worst {times[-1]:.0f} ms; "
        f"{seen.received_bytes / took / 1000:.0f} kB/s in {seen.messages / took:.0f} messages/s; "
        f"{rss_bytes / 1e6:.0f} MB resident"
    )


if __name__ == "__main__":
    main()
