"""Rounds: each server in turn, fresh, on the same core with the same load; and whether ours kept its books right."""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench import processes
from bench.load import Plan, Result
from bench.processes import BenchError
from ocpp_server.env_file import PREFIX
from ocpp_server.settings import PROJECT_FOLDER, Settings

EVQUOTA, BARE, BARE_UVLOOP = "evquota", "bare ocpp + websockets", "bare, on uvloop"
_SESSION_H = 20
_QUOTA_KWH = 100_000
_LONGEST_RUN_S = 240


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for. Times in seconds."""

    chargers: int = 200
    users: int = 1000
    rounds: int = 3
    closed_s: float = 6.0
    warm_up_s: float = 1.0
    open_s: float = 4.0
    open_rate: float = 1000.0
    reconnects: int = 2
    with_uvloop_peer: bool = False
    has_peers: bool = True
    forward_url: str = ""
    """Where evquota forwards readings to; blank: nowhere."""
    folder: Path = PROJECT_FOLDER / "var"
    """The ledgers are written here: the disk that counts."""

    @property
    def servers(self) -> tuple[str, ...]:
        """Ours first."""
        if not self.has_peers:
            return (EVQUOTA,)
        return (EVQUOTA, BARE, BARE_UVLOOP) if self.with_uvloop_peer else (EVQUOTA, BARE)


@dataclass(frozen=True, slots=True)
class Round:
    """The results of one round by server, and what is wrong with our books."""

    results: dict[str, Result]
    wrong: list[str]


def run_rounds(options: Options) -> Iterator[Round]:
    """Round after round, the servers in turn within each. Raises BenchError."""
    for _ in range(options.rounds):
        results: dict[str, Result] = {}
        wrong: list[str] = []
        for name in options.servers:
            with _session_folder(options.folder) as folder:
                if name == EVQUOTA:
                    results[name], wrong = _measure_evquota(options, folder)
                else:
                    results[name] = _measure_bare(options, folder, is_uvloop=name == BARE_UVLOOP)
        yield Round(results, wrong)


@contextmanager
def _session_folder(folder: Path) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=folder) as made:
        yield Path(made)


def _measure_bare(options: Options, folder: Path, *, is_uvloop: bool) -> Result:
    port, core = processes.free_port(), processes.cores()[0]
    arguments = ["-m", "bench.bare_server", str(port), *(["uvloop"] if is_uvloop else [])]
    with processes.server(arguments, port, core, folder / "bare.log", _environment()) as pid:
        return _load(options, port, pid, reads_configuration=False)


def _measure_evquota(options: Options, folder: Path) -> tuple[Result, list[str]]:
    """Our server as it is shipped, with users who have used some of their quota already; then its books."""
    data_dir = folder / "data"
    data_dir.mkdir(mode=0o750)
    used_wh = {tag: 500 * (number % 40) for number, tag in enumerate(_id_tags(options.users))}
    _write_users(data_dir / "users1.csv", used_wh)
    (data_dir / "energy_usage.json").write_text(json.dumps({tag: wh / 1000 for tag, wh in used_wh.items()}))
    port, core = processes.free_port(), processes.cores()[0]
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        data_dir=data_dir,
        ocpp_host="127.0.0.1",
        ocpp_port=port,
        api_port=0,
        timezone="UTC",
        max_message_rate=0,
        forward_url=options.forward_url,
    )
    environment = _environment() | settings.as_environment()
    with processes.server(["-m", "ocpp_server", "serve"], port, core, folder / "server.log", environment) as pid:
        result = _load(options, port, pid, reads_configuration=True)
    return result, _wrong_books(data_dir, used_wh, result, environment)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}


def _id_tags(users: int) -> list[str]:
    return [f"BENCH{number:05d}" for number in range(users)]


def _write_users(path: Path, used_wh: Mapping[str, int]) -> None:
    rows = [f"{tag},User,{tag},{_QUOTA_KWH},FALSE" for tag in used_wh]
    path.write_text("\n".join(["id_tag,name,surname,quota_kwh,unlimited", *rows, ""]))


def _load(options: Options, port: int, server_pid: int, *, reads_configuration: bool) -> Result:
    """Run the load in a process on the other core. Raises BenchError if it fails."""
    now = datetime.now(UTC)
    core = processes.cores()[1]
    stride = max(1, options.users // options.chargers)
    plan = Plan(
        port=port,
        server_pid=server_pid,
        chargers=options.chargers,
        id_tags=tuple(_id_tags(options.users)[::stride]),
        session_from=(now - timedelta(hours=_SESSION_H)).isoformat(),
        session_until=now.isoformat(),
        reads_configuration=reads_configuration,
        may_spin=core is not None,
        warm_up_s=options.warm_up_s,
        closed_s=options.closed_s,
        open_s=options.open_s,
        open_rate=options.open_rate,
        reconnects=options.reconnects,
        reconnect_rate=options.chargers,
    )
    with processes.pinned(core if core is not None else processes.cores()[0]):
        done = _run("bench.load", given=json.dumps(asdict(plan)))
    if done.returncode != 0:
        raise BenchError(f"the load ended with status {done.returncode}:\n{done.stderr[-2000:]}")
    return Result(**json.loads(done.stdout))


def _wrong_books(
    data_dir: Path, used_wh: Mapping[str, int], result: Result, environment: Mapping[str, str]
) -> list[str]:
    """What is wrong after the stop: energy by tag against what was sent, to the Wh; and what `verify` says."""
    wrong = [f"{count} x {problem}" for problem, count in result.problems.items()]
    sent = Counter(used_wh) + Counter(result.energy_wh)
    booked = _booked_wh(data_dir)
    wrong += [
        f"{tag}: {booked[tag]} Wh booked, {sent[tag]} Wh sent"
        for tag in sorted(sent.keys() | booked.keys())
        if booked[tag] != sent[tag]
    ]
    verify = _run("ocpp_server", "verify", environment=environment)
    return wrong if verify.returncode == 0 else [*wrong, f"verify: {verify.stdout}{verify.stderr}"]


def _run(
    module: str, *arguments: str, given: str = "", environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    try:
        return subprocess.run(
            command,
            input=given,
            env=dict(environment or _environment()),
            capture_output=True,
            text=True,
            timeout=_LONGEST_RUN_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{module} did not end within {_LONGEST_RUN_S} s") from error


def _booked_wh(data_dir: Path) -> Counter[str]:
    """Wh by tag as published; early in a month the sessions reach into the one before, which is in the archive."""
    booked: Counter[str] = Counter()
    for path in (data_dir / "energy_usage.json", *data_dir.glob("archive/energy_usage-*.json")):
        for tag, kwh in json.loads(path.read_text()).items():
            booked[tag] += round(kwh * 1000)
    return booked
