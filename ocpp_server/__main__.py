"""The command line: `python -m ocpp_server check | prepare | dashboard`. Every subcommand is one function.

Exit code 2: the settings or the machine are not as they must be, with one sentence per problem.
"""

import argparse
import sys
from collections.abc import Callable

from ocpp_server.settings import ENV_FILE, Settings, SettingsError, load_settings

Subcommand = Callable[[Settings], int]


def check(settings: Settings) -> int:
    """look at settings, files, ports, disk, clock and permissions, and say how to mend them"""
    from ocpp_server import site_check

    return site_check.main(settings)


def prepare(settings: Settings) -> int:
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


def dashboard(settings: Settings) -> int:
    """become the dashboard (Streamlit)"""
    from ocpp_server import dashboard_process

    return dashboard_process.main(settings)


SUBCOMMANDS: dict[str, Subcommand] = {"check": check, "prepare": prepare, "dashboard": dashboard}


def main() -> int:
    """Reads the settings and runs the subcommand that was asked for; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ocpp_server")
    subparsers = parser.add_subparsers(dest="subcommand", required=True)
    for name, subcommand in SUBCOMMANDS.items():
        subparsers.add_parser(name, help=subcommand.__doc__)
    arguments = parser.parse_args()
    try:
        settings = load_settings(ENV_FILE)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    return SUBCOMMANDS[arguments.subcommand](settings)


if __name__ == "__main__":
    sys.exit(main())
