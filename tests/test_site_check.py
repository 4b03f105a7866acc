"""`check`: each thing that can stand in the way, and how to mend it; and what the first start makes."""

import os
import resource
import socket
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path

import pytest
from certificates import CertificateFiles, Certificates

from ocpp_server import dashboard_process, first_start, site_check
from ocpp_server.settings import PROJECT_FOLDER, Settings
from ocpp_server.site_check import Finding, Level

USERS = "id_tag,name,surname,quota_kwh,unlimited\nRFID001,John,Doe,150,FALSE\n"


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o750)
    (folder / "users1.csv").write_text(USERS)
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def settings(data_folder: Path) -> Settings:
    return Settings(
        data_dir=data_folder,
        ocpp_host="127.0.0.1",
        ocpp_port=free_port(),
        api_port=free_port(),
        dashboard_port=free_port(),
    )


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def test_a_site_that_is_ready_passes(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0: warnings (such as no sign of NTP in a container) stop nothing."""
    assert site_check.main(settings, starting=True) == 0
    assert "error" not in {line.split(" ")[0] for line in capsys.readouterr().out.splitlines()}


def test_an_error_gives_exit_code_2_and_says_how_to_mend_it(
    settings: Settings, taken_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """One clear sentence, then the way out."""
    assert site_check.main(settings.model_copy(update={"ocpp_port": taken_port}), starting=True) == 2
    lines = capsys.readouterr().out.splitlines()
    position = lines.index(f"error    port {taken_port} (EVQUOTA_OCPP_PORT) is in use by another program")
    assert f"ss -ltnp 'sport = :{taken_port}'" in lines[position + 1]


def test_whatever_is_wrong_comes_with_a_way_to_mend_it(settings: Settings) -> None:
    """A finding without one is of no use."""
    findings = site_check.run_checks(settings)

    assert [finding for finding in findings if finding.level is not Level.OK and not finding.mend] == []


# --- Python, .env ---


@pytest.mark.parametrize(
    ("version", "largest_index", "level"),
    [((3, 11), 2**63 - 1, Level.OK), ((3, 10), 2**63 - 1, Level.ERROR), ((3, 12), 2**31 - 1, Level.WARNING)],
)
def test_python_is_new_and_has_64_bits(version: tuple[int, int], largest_index: int, level: Level) -> None:
    """There are no pandas wheels for 32 bits: the server runs, the dashboard does not."""
    assert site_check.check_python(version, largest_index).level is level


@pytest.mark.parametrize(("mode", "level"), [(0o600, Level.OK), (0o640, Level.WARNING), (0o604, Level.WARNING)])
def test_nobody_else_may_read_the_settings(mode: int, level: Level, tmp_path: Path) -> None:
    """.env is 0600: it may hold secrets."""
    env_file = tmp_path / ".env"
    env_file.touch()
    env_file.chmod(mode)

    assert site_check.check_env_file(env_file).level is level


def test_without_a_settings_file_the_defaults_hold(tmp_path: Path) -> None:
    """No warning: nothing is wrong."""
    assert site_check.check_env_file(tmp_path / ".env").level is Level.OK


# --- data folder ---


def data_finding(folder: Path) -> Finding:
    (finding,) = site_check.check_data_folder(folder)
    return finding


def test_a_data_folder_that_can_be_written_is_fine(data_folder: Path) -> None:
    """And nothing is left behind by trying."""
    assert data_finding(data_folder).level is Level.OK
    assert [path.name for path in data_folder.iterdir()] == ["users1.csv"]


def test_a_data_folder_that_can_be_made_is_fine(tmp_path: Path) -> None:
    """It is not made by looking."""
    assert data_finding(tmp_path / "a" / "b") == Finding(
        Level.OK, f"data folder {tmp_path / 'a' / 'b'} does not exist yet and can be made"
    )
    assert not (tmp_path / "a").exists()


def test_a_data_folder_that_cannot_be_written_is_an_error() -> None:
    """/proc takes no file from anybody, not from root either."""
    finding = data_finding(Path("/proc/evquota"))

    assert finding.level is Level.ERROR
    assert "cannot be written" in finding.what


def test_a_file_in_place_of_the_data_folder_is_an_error(tmp_path: Path) -> None:
    """No traceback."""
    (tmp_path / "data").touch()

    assert data_finding(tmp_path / "data").level is Level.ERROR


def test_a_data_folder_that_is_a_link_is_refused(data_folder: Path, tmp_path: Path) -> None:
    """Somebody may have planted it (T23)."""
    link = tmp_path / "link"
    link.symlink_to(data_folder)

    assert data_finding(link).level is Level.ERROR
    assert data_finding(link).mend == f"name the real folder: EVQUOTA_DATA_DIR={data_folder}"


@pytest.mark.parametrize(("mode", "level"), [(0o777, Level.ERROR), (0o755, Level.WARNING), (0o770, Level.OK)])
def test_a_data_folder_is_closed_to_strangers(mode: int, level: Level, data_folder: Path) -> None:
    """Who may write there gives himself a quota (T23); who may read there sees who charged when."""
    data_folder.chmod(mode)

    assert data_finding(data_folder).level is level


@pytest.mark.parametrize(
    ("folder", "kind", "level"),
    [
        ("/srv/data", "ext4", Level.OK),
        ("/mnt/share/data", "nfs4", Level.WARNING),
        ("/mnt/with blank/data", "cifs", Level.WARNING),
        ("/home/me/far", "fuse.sshfs", Level.WARNING),
        ("/mnt/shared", "ext4", Level.OK),
    ],
)
def test_a_network_file_system_is_recognised(folder: str, kind: str, level: Level, tmp_path: Path) -> None:
    """Locks and fsync of NFS and its kin do not keep what SQLite needs."""
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/sda1 / ext4 rw 0 0\nserver:/x /mnt/share nfs4 rw 0 0\n//nas/x /mnt/with\\040blank cifs rw 0 0\n"
        "me@host: /home/me/far fuse.sshfs rw 0 0\n"
    )

    assert site_check.file_system(Path(folder), mounts) == kind
    assert (kind in site_check.NETWORK_FILE_SYSTEMS) is (level is Level.WARNING)


def test_a_system_without_a_list_of_mounts_passes(data_folder: Path, tmp_path: Path) -> None:
    """Not every system has /proc/mounts."""
    assert site_check.check_file_system(data_folder, tmp_path / "none").level is Level.OK


# --- users1.csv ---


def test_users_are_counted(data_folder: Path) -> None:
    """So that an administrator sees that the right file is read."""
    assert site_check.check_users_file(data_folder) == Finding(Level.OK, "users1.csv has 1 users")


def test_a_bad_row_is_a_warning_that_names_it(data_folder: Path) -> None:
    """The other rows are in force."""
    (data_folder / "users1.csv").write_text(USERS + "RFID002,Jane,Smith,abc,FALSE\n")

    finding = site_check.check_users_file(data_folder)

    assert finding.level is Level.WARNING
    assert "row 3" in finding.what


@pytest.mark.parametrize(("has_ledger", "level"), [(False, Level.ERROR), (True, Level.WARNING)])
def test_a_file_that_is_no_table_of_users_is_reported(has_ledger: bool, level: Level, data_folder: Path) -> None:
    """With a ledger the last good table stays in force, so it stops no start (docs/files.md)."""
    (data_folder / "users1.csv").write_text("nothing of the kind\n")
    if has_ledger:
        (data_folder / "ledger.db").touch()

    assert site_check.check_users_file(data_folder).level is level


def test_a_missing_users_file_is_a_warning(data_folder: Path) -> None:
    """Missing is not "no users": the last good table stays in force."""
    (data_folder / "users1.csv").unlink()

    assert site_check.check_users_file(data_folder).level is Level.WARNING


def test_a_users_file_that_cannot_be_read_is_one_sentence(data_folder: Path) -> None:
    """A folder in its place, say."""
    (data_folder / "users1.csv").unlink()
    (data_folder / "users1.csv").mkdir()

    assert "cannot be read: Is a directory" in site_check.check_users_file(data_folder).what


# --- ports, listeners ---


@pytest.mark.parametrize("name", ["ocpp", "api", "dashboard"])
def test_a_port_in_use_is_an_error_that_names_the_setting(name: str, settings: Settings, taken_port: int) -> None:
    """Which port, which setting, and how to see who has it."""
    busy = settings.model_copy(update={f"{name}_port": taken_port})

    errors = [f for f in site_check.check_ports(busy, is_running=False) if f.level is Level.ERROR]

    assert [error.what for error in errors] == [
        f"port {taken_port} (EVQUOTA_{name.upper()}_PORT) is in use by another program"
    ]


def test_ports_in_use_by_the_running_site_are_fine(settings: Settings, taken_port: int) -> None:
    """`./run check` beside a running site; but a second start is refused."""
    (settings.data_dir / "server_status.json").write_text("{}")
    busy = settings.model_copy(update={"ocpp_port": taken_port})

    assert Level.ERROR not in {finding.level for finding in site_check.run_checks(busy)}
    assert Level.ERROR in {finding.level for finding in site_check.run_checks(busy, starting=True)}


def test_an_old_status_is_of_a_server_that_ended(data_folder: Path) -> None:
    """Older than 30 s means the server is not running (docs/files.md)."""
    status = data_folder / "server_status.json"
    assert not site_check.is_server_running(data_folder)

    status.write_text("{}")
    assert site_check.is_server_running(data_folder)

    os.utime(status, (0, 0))
    assert not site_check.is_server_running(data_folder)


def test_two_settings_cannot_name_the_same_port(settings: Settings) -> None:
    """Each alone would be free."""
    same = settings.model_copy(update={"api_port": settings.ocpp_port})

    assert [f.what for f in site_check.check_ports(same, is_running=False) if f.level is Level.ERROR] == [
        f"EVQUOTA_OCPP_PORT and EVQUOTA_API_PORT are both {settings.ocpp_port}"
    ]


def test_an_address_of_another_machine_is_an_error() -> None:
    """The setting is named, not the port."""
    finding = site_check.check_port("ocpp", "203.0.113.77", 9000)

    assert finding.level is Level.ERROR
    assert finding.what.startswith("203.0.113.77 (EVQUOTA_OCPP_HOST) is not an address of this machine")


def test_a_port_that_only_root_may_open_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below 1024, as a plain user."""

    def refuse(host: str, port: int) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(site_check, "_bind", refuse)

    assert site_check.check_port("ocpp", "0.0.0.0", 80).mend == "set EVQUOTA_OCPP_PORT in .env to 1024 or more"


def test_a_dashboard_open_to_the_network_is_worth_a_warning(settings: Settings) -> None:
    """Listeners other than OCPP's stay on this machine by default."""
    assert [*site_check.check_listeners(settings)] == []

    (finding,) = site_check.check_listeners(settings.model_copy(update={"dashboard_host": "0.0.0.0"}))
    assert finding.level is Level.WARNING


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "::ffff:192.168.1.5", "server.example.org", ""])
def test_a_dashboard_without_passwords_is_not_opened_to_the_network(settings: Settings, host: str) -> None:
    """T19: an error of `check`, which the first start makes good before it looks again; on loopback a warning."""
    open_to_all = settings.model_copy(update={"dashboard_host": host})
    (finding,) = site_check.check_dashboard_accounts(open_to_all)
    assert (finding.level, "python -m dashboard prepare" in finding.mend) == (Level.ERROR, True)
    for local in ("127.0.0.1", "::1", "localhost", "127.0.0.53"):
        (at_home,) = site_check.check_dashboard_accounts(settings.model_copy(update={"dashboard_host": local}))
        assert at_home.level is Level.WARNING

    (settings.data_dir / site_check.DASHBOARD_ACCOUNTS).touch()
    assert [*site_check.check_dashboard_accounts(open_to_all)] == []


def test_passwords_that_are_missing_do_not_stop_the_first_start(settings: Settings) -> None:
    """`./run` makes them between its check and the start."""
    (finding,) = site_check.check_dashboard_accounts(settings)

    assert finding in site_check.run_checks(settings)
    assert finding not in site_check.run_checks(settings, starting=True)


# --- disk, clock, open files ---


@pytest.mark.parametrize(("free_mib", "level"), [(63, Level.ERROR), (64, Level.WARNING), (1024, Level.OK)])
def test_a_full_disk_is_seen_before_it_hurts(free_mib: int, level: Level) -> None:
    """Error below 64 MiB, warning below 1 GiB."""
    assert site_check.check_disk(free_mib * 2**20, Path("/data")).level is level


def test_a_clock_that_was_never_set_is_an_error(tmp_path: Path) -> None:
    """A small computer without a battery starts in 1970 (F17)."""
    synchronised = (tmp_path,)

    assert site_check.check_clock(datetime(1970, 1, 1, tzinfo=UTC), synchronised).level is Level.ERROR
    assert site_check.check_clock(datetime(2025, 1, 1, tzinfo=UTC), synchronised).level is Level.OK


def test_a_clock_that_nobody_keeps_right_is_a_warning(tmp_path: Path) -> None:
    """With the way to switch NTP on."""
    finding = site_check.check_clock(datetime(2026, 1, 1, tzinfo=UTC), (tmp_path / "none",))

    assert finding.level is Level.WARNING
    assert "timedatectl set-ntp true" in finding.mend


@pytest.mark.parametrize(
    ("soft", "hard", "level"),
    [
        (1024, 4096, Level.OK),
        (256, 1024, Level.OK),
        (256, 512, Level.ERROR),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, Level.OK),
    ],
)
def test_enough_open_files_are_allowed(soft: int, hard: int, level: Level) -> None:
    """supervisord raises the soft limit to 1024 if the hard one lets it."""
    assert site_check.check_open_files(soft, hard).level is level


# --- the first start ---


def test_the_first_start_makes_settings_that_only_the_owner_reads(tmp_path: Path) -> None:
    """From .env.example, 0600; a second start leaves them alone."""
    (tmp_path / ".env.example").write_text("#EVQUOTA_OCPP_PORT=9000\n")

    assert first_start.make_env_file(tmp_path)
    assert (tmp_path / ".env").read_text() == "#EVQUOTA_OCPP_PORT=9000\n"
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert not first_start.make_env_file(tmp_path)


def test_the_first_start_makes_a_data_folder_with_users(tmp_path: Path) -> None:
    """0750 also where git made it 0755; a second start leaves the users alone."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)

    assert first_start.make_data_folder(folder)
    assert (folder / "users1.csv").read_bytes() == (PROJECT_FOLDER / "users1.example.csv").read_bytes()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750
    assert stat.S_IMODE((folder / "users1.csv").stat().st_mode) & 0o137 == 0

    (folder / "users1.csv").write_text(USERS)
    assert not first_start.make_data_folder(folder)
    assert (folder / "users1.csv").read_text() == USERS


def test_the_example_never_replaces_the_users_of_a_site_that_has_run(tmp_path: Path) -> None:
    """A lost users1.csv: the last good table stays in force, not John Doe's."""
    (tmp_path / "ledger.db").touch()

    assert not first_start.make_data_folder(tmp_path)
    assert not (tmp_path / "users1.csv").exists()


def test_the_example_of_users_has_no_problem(tmp_path: Path) -> None:
    """It is what a newcomer begins with."""
    first_start.make_data_folder(tmp_path)

    assert site_check.check_users_file(tmp_path) == Finding(Level.OK, "users1.csv has 3 users")


def test_the_welcome_names_the_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The charger needs this machine's address in the network, not 0.0.0.0."""
    monkeypatch.setattr(first_start, "lan_address", lambda: "192.168.1.5")

    assert first_start.welcome(Settings()).splitlines() == [
        "Dashboard: http://127.0.0.1:8501",
        "Address to type into a charger: ws://192.168.1.5:9000/CHARGER_ID",
    ]
    assert first_start.reachable("fd00::1") == "[fd00::1]"


def test_with_a_certificate_the_welcome_names_it(
    tls_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A charger accepts only a name of the certificate, so it is told one; not where the files are no good."""
    monkeypatch.setattr(first_start, "lan_address", lambda: "192.168.1.5")
    with_both = tls_settings.model_copy(update={"ocpp_host": "0.0.0.0", "ocpp_port": 9000, "ocpp_tls_port": 9443})
    with_tls_alone = with_both.model_copy(update={"min_security_profile": 2})
    damaged = with_both.model_copy(update={"tls_key": tmp_path})

    assert first_start.welcome(with_both).splitlines()[1:] == [
        "Address to type into a charger: ws://192.168.1.5:9000/CHARGER_ID",
        "  with TLS: wss://127.0.0.1:9443/CHARGER_ID",
    ]
    assert first_start.welcome(with_tls_alone).splitlines()[1:] == [
        "Address to type into a charger: wss://127.0.0.1:9443/CHARGER_ID",
    ]
    assert first_start.welcome(damaged).endswith("wss://192.168.1.5:9443/CHARGER_ID")


def test_the_machine_has_an_address_of_its_own() -> None:
    """Found without sending anything; 127.0.0.1 where there is no network."""
    assert socket.inet_aton(first_start.lan_address())


# --- TLS ---


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture
def tls_settings(settings: Settings, certificates: Certificates) -> Settings:
    return with_files(settings, certificates.server())


def with_files(settings: Settings, files: CertificateFiles) -> Settings:
    changed = {"tls_certificate": files.certificate, "tls_key": files.key, "ocpp_tls_port": free_port()}
    return settings.model_copy(update=changed)


def tls_findings(settings: Settings, now: datetime | None = None) -> list[Finding]:
    return list(site_check.check_tls(settings, now or datetime.now(UTC)))


def test_a_site_without_tls_hears_nothing_of_it(settings: Settings) -> None:
    """Most sites have none."""
    assert tls_findings(settings) == []


def test_a_site_with_tls_passes(tls_settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """The certificate, and its port beside the other three."""
    assert site_check.main(tls_settings, starting=True) == 0
    said = capsys.readouterr().out
    assert "certificate holds until 20" in said
    assert f"port {tls_settings.ocpp_tls_port} (EVQUOTA_OCPP_TLS_PORT) is free" in said
    assert "(EVQUOTA_OCPP_PORT) is free" in said


def test_a_port_that_is_not_opened_is_not_looked_at(tls_settings: Settings, taken_port: int) -> None:
    """Where all must use TLS, another program may have the port without."""
    alone = tls_settings.model_copy(update={"min_security_profile": 2, "ocpp_port": taken_port})

    assert {finding.level for finding in site_check.check_ports(alone, is_running=False)} == {Level.OK}


def test_a_taken_tls_port_is_an_error(tls_settings: Settings, taken_port: int) -> None:
    """By the name of its own setting; the host is that of the other port."""
    taken = tls_settings.model_copy(update={"ocpp_tls_port": taken_port})

    (error,) = [one for one in site_check.check_ports(taken, is_running=False) if one.level is Level.ERROR]
    assert f"port {taken_port} (EVQUOTA_OCPP_TLS_PORT) is in use" in error.what


@pytest.mark.parametrize(
    ("days", "level", "said"),
    [
        (365, Level.OK, "holds until"),
        (31, Level.OK, "holds until"),
        (29, Level.WARNING, "expires on"),
        (0.01, Level.WARNING, "expires on"),
        (-0.01, Level.WARNING, "expired on"),
        (-10, Level.WARNING, "expired on"),
    ],
)
def test_the_end_of_a_certificate_is_told_in_time(
    settings: Settings, certificates: Certificates, days: float, level: Level, said: str
) -> None:
    """30 days before. One that has expired stops no start: quotas hold for who connects all the same."""
    (finding,) = tls_findings(with_files(settings, certificates.server(days=days)))

    assert finding.level is level
    assert said in finding.what


def test_a_certificate_of_the_future_is_told(tls_settings: Settings) -> None:
    """Most often it is the clock that is wrong."""
    (finding,) = tls_findings(tls_settings, datetime(2020, 1, 1, tzinfo=UTC))

    assert finding.level is Level.WARNING
    assert "clock" in finding.mend


@pytest.mark.parametrize(
    ("mode", "is_safe"), [(0o600, True), (0o640, True), (0o400, True), (0o644, False), (0o660, False)]
)
def test_the_private_key_is_for_nobody_else(tls_settings: Settings, mode: int, is_safe: bool) -> None:
    """0640 at most; the group is the one that the server runs in."""
    assert tls_settings.tls_key is not None
    tls_settings.tls_key.chmod(mode)

    warnings = [finding for finding in tls_findings(tls_settings) if finding.level is Level.WARNING]
    assert [finding.mend for finding in warnings] == ([] if is_safe else [f"chmod 640 '{tls_settings.tls_key}'"])


def test_files_that_cannot_be_used_are_an_error(tls_settings: Settings, certificates: Certificates) -> None:
    """In the words of the start."""
    (finding,) = tls_findings(tls_settings.model_copy(update={"tls_key": certificates.server().key}))

    assert finding.level is Level.ERROR
    assert "do not belong together" in finding.what
    assert finding.mend


def test_a_certificate_of_a_charge_point_is_not_for_a_server(settings: Settings, certificates: Certificates) -> None:
    """It would load, and then each charge point would refuse it."""
    (finding,) = tls_findings(with_files(settings, certificates.self_signed("CP1")))

    assert finding.level is Level.ERROR
    assert "not for a server" in finding.what


# --- the dashboard's process ---


def test_the_dashboard_listens_where_the_settings_say(settings: Settings, tmp_path: Path) -> None:
    """supervisord cannot read .env, so the launcher does."""
    command = dashboard_process.command(settings, tmp_path / "asgi.py")

    assert command[1:6] == ["-u", "-m", "streamlit", "run", str(tmp_path / "asgi.py")]
    assert f"--server.port={settings.dashboard_port}" in command
    assert "--server.address=127.0.0.1" in command
    assert "--browser.gatherUsageStats=false" in command


def test_the_dashboard_is_not_started_open_to_the_network_without_passwords(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and one sentence (T19); with passwords it starts."""
    started: list[str] = []
    monkeypatch.setattr(os, "execve", lambda path, arguments, environment: started.append(path))
    monkeypatch.chdir(PROJECT_FOLDER)
    (tmp_path / "dashboard").mkdir()
    (tmp_path / "dashboard" / "asgi.py").touch()
    open_to_all = settings.model_copy(update={"dashboard_host": "0.0.0.0"})

    assert dashboard_process.main(open_to_all, tmp_path) == 2
    told = capsys.readouterr().err
    assert (told.count("\n"), "EVQUOTA_DASHBOARD_HOST=0.0.0.0" in told) == (1, True)
    assert started == []

    (settings.data_dir / site_check.DASHBOARD_ACCOUNTS).touch()
    dashboard_process.main(open_to_all, tmp_path)
    assert len(started) == 1


@pytest.mark.parametrize(
    ("host", "port", "url"),
    [
        ("127.0.0.1", 9001, "http://127.0.0.1:9001"),
        ("0.0.0.0", 9001, "http://127.0.0.1:9001"),
        ("::", 9001, "http://[::1]:9001"),
        ("10.0.0.5", 80, "http://10.0.0.5:80"),
        ("127.0.0.1", 0, None),
    ],
)
def test_the_dashboard_is_told_where_the_api_is(settings: Settings, host: str, port: int, url: str | None) -> None:
    """From this machine; a port that is not known yet is not told."""
    given = dashboard_process.environment(settings.model_copy(update={"api_host": host, "api_port": port}))

    assert given.get("EVQUOTA_API_URL") == url


def test_the_dashboard_believes_only_trusted_proxies_about_addresses(settings: Settings) -> None:
    """uvicorn would believe every program on this machine by itself."""
    proxies = settings.model_copy(update={"trusted_proxies": (ip_network("10.0.0.0/30"), ip_network("::1"))})

    assert dashboard_process.environment(settings)["FORWARDED_ALLOW_IPS"] == ""
    assert dashboard_process.environment(proxies)["FORWARDED_ALLOW_IPS"] == "10.0.0.0/30,::1/128"


def test_the_dashboard_gets_the_settings_in_its_environment(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It imports nothing of the server."""
    (tmp_path / "dashboard").mkdir()
    (tmp_path / "dashboard" / "asgi.py").touch()
    started: list[dict[str, str]] = []
    monkeypatch.setattr(os, "execve", lambda path, arguments, environment: started.append(environment))
    monkeypatch.chdir(PROJECT_FOLDER)

    dashboard_process.main(settings, tmp_path)

    assert started[0]["EVQUOTA_DATA_DIR"] == str(settings.data_dir)
    assert started[0]["PATH"] == os.environ["PATH"]
    assert Path.cwd() == tmp_path


def test_a_dashboard_whose_port_is_in_use_ends_with_one_sentence(
    settings: Settings, taken_port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2."""
    (tmp_path / "dashboard").mkdir()
    (tmp_path / "dashboard" / "asgi.py").touch()

    assert dashboard_process.main(settings.model_copy(update={"dashboard_port": taken_port}), tmp_path) == 2
    assert capsys.readouterr().err.startswith(f"port {taken_port} (EVQUOTA_DASHBOARD_PORT) is in use")


def test_a_dashboard_that_is_not_there_is_one_sentence(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2."""
    assert dashboard_process.main(settings, tmp_path) == 2
    assert "dashboard/asgi.py does not exist" in capsys.readouterr().err
