"""The command line: `python -m ocpp_server serve | check | verify | adjust …`. Every subcommand is one function.

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
        print(f"\n{first_start.welcome(settings)}\n", flush=True)
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


SUBCOMMANDS: dict[str, Subcommand] = {
    "serve": serve,
    "check": check,
    "verify": verify,
    "adjust": adjust,
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
    return parser


if __name__ == "__main__":
    sys.exit(main())
