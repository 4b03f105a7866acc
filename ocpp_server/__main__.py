"""The command line: `python -m ocpp_server serve | check | verify | adjust | …`. Every subcommand is one function.

Exit code 2: the settings or the machine are not as they must be, with one sentence per problem.
"""

import argparse
import re
import sys
from collections.abc import Callable

from ocpp_server.settings import ENV_FILE, Settings, SettingsError, load_settings

Subcommand = Callable[[Settings, argparse.Namespace], int]


def serve(settings: Settings, _arguments: argparse.Namespace) -> int:
    """run the server alone, until SIGTERM"""
    from ocpp_server import app

    return app.main(settings)


def check(settings: Settings, _arguments: argparse.Namespace) -> int:
    """look at settings, files, ports, disk, clock and permissions, and say how to mend them"""
    from ocpp_server import site_check

    return site_check.main(settings)


def prepare(settings: Settings, _arguments: argparse.Namespace) -> int:
    """make what is missing, check, and print the addresses: what ./run does before it starts the site"""
    from ocpp_server import first_start, site_check

    try:
        first_start.make_env_file()
        first_start.make_data_folder(settings.data_dir)
    except OSError as error:
        print(f"first start: {error}", file=sys.stderr)  # the check below says how to mend it
    status = site_check.main(settings, starting=True)
    if status == 0:
        print(f"\n{first_start.welcome(settings)}\n{first_start.advice(settings)}\n", flush=True)
    return status


def dashboard(settings: Settings, _arguments: argparse.Namespace) -> int:
    """become the dashboard (Streamlit)"""
    from ocpp_server import dashboard_process

    return dashboard_process.main(settings)


def verify(settings: Settings, _arguments: argparse.Namespace) -> int:
    """recompute everything from the bookings and compare it with the totals and the files"""
    from ocpp_server import bookkeeping

    return bookkeeping.verify_books(settings)


def adjust(settings: Settings, arguments: argparse.Namespace) -> int:
    """book a correction of kWh for a tag, with a reason; the server may run or not"""
    from ocpp_server import bookkeeping

    return bookkeeping.adjust(settings, arguments.id_tag, arguments.kwh, arguments.reason, arguments.by)


def chargers(settings: Settings, arguments: argparse.Namespace) -> int:
    """list, approve, lock, forget charge points, or give one a password; the server may run or not"""
    from ocpp_server import charge_point_admin

    return charge_point_admin.chargers(settings, arguments)


SUBCOMMANDS: dict[str, Subcommand] = {
    "serve": serve,
    "check": check,
    "verify": verify,
    "adjust": adjust,
    "chargers": chargers,
    "prepare": prepare,
    "dashboard": dashboard,
}


def main() -> int:
    """Reads the settings and runs the subcommand that was asked for; gives the exit code."""
    arguments = _parser().parse_args(_with_decimal_points(sys.argv[1:]))
    try:
        settings = load_settings(ENV_FILE)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    return SUBCOMMANDS[arguments.subcommand](settings, arguments)


def _with_decimal_points(arguments: list[str]) -> list[str]:
    """`-1,25` as `-1.25`: argparse would take it for an option."""
    return [text.replace(",", ".") if re.fullmatch(r"-\d*,\d+", text) else text for text in arguments]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ocpp_server")
    subparsers = parser.add_subparsers(dest="subcommand", required=True)
    parsers = {name: subparsers.add_parser(name, help=act.__doc__) for name, act in SUBCOMMANDS.items()}
    adjusting = parsers["adjust"]
    adjusting.add_argument("id_tag", metavar="TAG", help="the card, as in users1.csv")
    adjusting.add_argument("kwh", metavar="KWH", help="kWh to add to what was used; negative gives back")
    adjusting.add_argument("--reason", required=True, help="why; it stays in the books")
    adjusting.add_argument("--by", default="command line", help="who")
    _add_deeds(parsers["chargers"])
    return parser


def _add_deeds(parser: argparse.ArgumentParser) -> None:
    """What can be done with charge points."""
    deeds = parser.add_subparsers(dest="deed", required=True)
    listing = deeds.add_parser("list", help="all of them, first those that wait for approval")
    listing.add_argument("--json", action="store_true", help="for programs")
    approving = deeds.add_parser("approve", help="let one in")
    approving.add_argument(
        "--min-profile",
        type=int,
        choices=range(4),
        help="least OCPP security profile: 0 none, 1 key, 2 TLS, 3 certificate",
    )
    locking = deeds.add_parser("lock", help="shut one out")
    forgetting = deeds.add_parser("forget", help="let go of one and its key; its bookings stay")
    giving = deeds.add_parser("set-password", help="give one a key (AuthorizationKey), which is printed once")
    how = giving.add_mutually_exclusive_group()
    how.add_argument("--stdin", action="store_true", help="read the key from standard input instead of making one")
    how.add_argument("--remove", action="store_true", help="take the key away")
    giving.add_argument("--send", action="store_true", help="send it to the charge point, which must be connected")
    for one in (approving, locking, forgetting, giving):
        one.add_argument("charge_point_id", metavar="ID", help="as in its address; case counts")


if __name__ == "__main__":
    sys.exit(main())
