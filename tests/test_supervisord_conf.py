"""The shipped supervisord configurations (T21, F5, F25)."""

from configparser import RawConfigParser
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
SITE = PROJECT / "supervisord.conf"
DEMO = PROJECT / "deploy" / "demo-supervisord.conf"


def parsed(path: Path) -> RawConfigParser:
    parser = RawConfigParser(inline_comment_prefixes=(";", "#"))
    parser.read_string(path.read_text(encoding="ascii"))
    return parser


def programs(parser: RawConfigParser) -> dict[str, dict[str, str]]:
    return {
        section.removeprefix("program:"): dict(parser[section])
        for section in parser.sections()
        if section.startswith("program:")
    }


@pytest.fixture(params=[SITE, DEMO], ids=["site", "demo"])
def conf(request: pytest.FixtureRequest) -> RawConfigParser:
    return parsed(request.param)


def test_only_a_unix_socket_of_the_owner_controls_it(conf: RawConfigParser) -> None:
    """No TCP port (CVE-2017-11610, CVE-2019-12105), and nobody else may use the socket (T21)."""
    assert "inet_http_server" not in conf
    assert conf["unix_http_server"]["chmod"] == "0700"
    assert conf["supervisorctl"]["serverurl"] == "unix://" + conf["unix_http_server"]["file"]


def test_no_user_is_named(conf: RawConfigParser) -> None:
    """`user=` would stop every start that is not root's (T21)."""
    assert all("user" not in conf[section] for section in conf.sections())


def test_files_are_closed_to_strangers(conf: RawConfigParser) -> None:
    """umask 027 for supervisord and for every program."""
    assert conf["supervisord"]["umask"] == "027"
    assert {program["umask"] for program in programs(conf).values()} == {"027"}


def test_every_path_starts_at_the_configuration_itself(conf: RawConfigParser) -> None:
    """The folder can be anywhere, and supervisord be started from anywhere."""
    paths = [conf["unix_http_server"]["file"], conf["supervisord"]["logfile"], conf["supervisord"]["pidfile"]]
    for program in programs(conf).values():
        paths += [program["directory"], program["stdout_logfile"]]

    assert [path for path in paths if not path.startswith("%(here)s")] == []


def test_a_program_is_started_again_for_ever(conf: RawConfigParser) -> None:
    """supervisord's own default gives up after three attempts (F5)."""
    for program in programs(conf).values():
        assert (program["autorestart"], program["startsecs"], program["startretries"]) == ("true", "3", "999999")


def test_a_program_gets_time_to_end_and_takes_its_children_along(conf: RawConfigParser) -> None:
    """TERM, 15 s for the last commit (F1), then the whole group."""
    for program in programs(conf).values():
        assert (program["stopsignal"], program["stopwaitsecs"]) == ("TERM", "15")
        assert (program["stopasgroup"], program["killasgroup"]) == ("true", "true")


def test_logs_are_bounded(conf: RawConfigParser) -> None:
    """supervisord's own default is 50 MB times ten (F25)."""
    assert (conf["supervisord"]["logfile_maxbytes"], conf["supervisord"]["logfile_backups"]) == ("5MB", "5")
    for program in programs(conf).values():
        assert (program["stdout_logfile_maxbytes"], program["stdout_logfile_backups"]) == ("5MB", "5")
        assert program["redirect_stderr"] == "true"


def test_a_program_becomes_python_itself(conf: RawConfigParser) -> None:
    """`exec`: signals reach the program; unbuffered: its lines reach the log; no blank in a path can split it."""
    for program in programs(conf).values():
        assert program["command"].startswith("""/bin/sh -c 'exec "${EVQUOTA_VENV:-.venv}/bin/python" -u -m """)


def test_the_server_starts_before_the_dashboard() -> None:
    """And so does the demo, which has the simulator besides."""
    site, demo = programs(parsed(SITE)), programs(parsed(DEMO))

    assert [(name, program["priority"]) for name, program in site.items()] == [("server", "10"), ("dashboard", "20")]
    assert [*demo] == ["server", "dashboard", "simulator"]


def test_the_demo_is_the_site_with_files_of_its_own() -> None:
    """Both can run at the same time, and a change to one is made to the other."""
    demo = DEMO.read_text().replace("/../var/demo.sock", "/var/supervisor.sock")
    demo = demo.replace("/../var/demo/", "/var/").replace("%(here)s/..", "%(here)s")
    as_site = RawConfigParser(inline_comment_prefixes=(";", "#"))
    as_site.read_string(demo)
    as_site.remove_section("program:simulator")
    site = parsed(SITE)

    assert {name: dict(as_site[name]) for name in as_site} == {name: dict(site[name]) for name in site}
