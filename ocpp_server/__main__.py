"""The command line: `python -m ocpp_server serve | check | verify | adjust | …`. Every subcommand is one function.

What it takes is in `command_line`; what it imports, it imports when it is asked for.
Exit code 2: the settings or the machine are not as they must be, with one sentence per problem.
"""

import argparse
import sys

from ocpp_server import command_line
from ocpp_server.command_line import Subcommand
from ocpp_server.env_file import SettingsError
from ocpp_server.settings import ENV_FILE, Settings, load_settings


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


def set_aside(settings: Settings, arguments: argparse.Namespace) -> int:
    """energy that was not booked and waits for a person: list, show, accept or drop it; the server may run or not"""
    from ocpp_server import set_aside_command

    return set_aside_command.set_aside(settings, arguments)


def month(settings: Settings, arguments: argparse.Namespace) -> int:
    """the month that quotas count in: show it, take a wrong one back, confirm the clock; the server may run or not"""
    from ocpp_server import month_command

    return month_command.month(settings, arguments)


def chargers(settings: Settings, arguments: argparse.Namespace) -> int:
    """list, approve, lock, forget charge points, or give one a password; the server may run or not"""
    from ocpp_server import charge_point_admin

    return charge_point_admin.chargers(settings, arguments)


def users(settings: Settings, arguments: argparse.Namespace) -> int:
    """list, add, change, block, remove, import or export users; the server may run or not"""
    from ocpp_server import user_admin

    return user_admin.users(settings, arguments)


def explain(settings: Settings, arguments: argparse.Namespace) -> int:
    """say why a session went as it did, or how a card stands; the server may run or not"""
    from ocpp_server import explain as explaining

    return explaining.explain(settings, arguments)


def status(settings: Settings, arguments: argparse.Namespace) -> int:
    """say whether the server runs and is well, who charges, and what it is worried about"""
    from ocpp_server import operating

    return operating.status(settings, arguments)


def stop(settings: Settings, arguments: argparse.Namespace) -> int:
    """have a session stopped by the running server"""
    from ocpp_server import operating

    return operating.stop(settings, arguments)


def command(settings: Settings, arguments: argparse.Namespace) -> int:
    """send any call of OCPP 1.6 to a connected charge point and print its answer"""
    from ocpp_server import operating

    return operating.command(settings, arguments)


def report(settings: Settings, arguments: argparse.Namespace) -> int:
    """who used how much in a month: as a table, for a spreadsheet or for a program"""
    from ocpp_server import report_command

    return report_command.report(settings, arguments)


def backup(settings: Settings, arguments: argparse.Namespace) -> int:
    """write ledger, users and archive into one file; the server may run or not"""
    from ocpp_server import backup_command

    return backup_command.backup(settings, arguments)


def restore(settings: Settings, arguments: argparse.Namespace) -> int:
    """go back to a backup, while no server runs; what was there is kept"""
    from ocpp_server import backup_command

    return backup_command.restore(settings, arguments)


def token(settings: Settings, arguments: argparse.Namespace) -> int:
    """where the secret of the control API is; show it, or make a new one"""
    from ocpp_server import backup_command

    return backup_command.token(settings, arguments)


SUBCOMMANDS: dict[str, Subcommand] = {
    "serve": Subcommand(serve),
    "check": Subcommand(check),
    "verify": Subcommand(verify),
    "adjust": Subcommand(adjust, command_line.adjust_arguments),
    "set-aside": Subcommand(set_aside, command_line.set_aside_arguments),
    "month": Subcommand(month, command_line.month_arguments),
    "chargers": Subcommand(chargers, command_line.chargers_arguments),
    "users": Subcommand(users, command_line.users_arguments),
    "explain": Subcommand(explain, command_line.explain_arguments),
    "status": Subcommand(status, command_line.status_arguments),
    "stop": Subcommand(stop, command_line.stop_arguments),
    "command": Subcommand(command, command_line.command_arguments),
    "report": Subcommand(report, command_line.report_arguments),
    "backup": Subcommand(backup, command_line.backup_arguments),
    "restore": Subcommand(restore, command_line.restore_arguments),
    "token": Subcommand(token, command_line.token_arguments),
    "prepare": Subcommand(prepare),
    "dashboard": Subcommand(dashboard),
}


def main() -> int:
    """Reads the settings and runs the subcommand that was asked for; gives the exit code."""
    arguments = command_line.parse(SUBCOMMANDS, sys.argv[1:])
    try:
        settings = load_settings(ENV_FILE)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    return SUBCOMMANDS[arguments.subcommand].act(settings, arguments)


if __name__ == "__main__":
    sys.exit(main())
