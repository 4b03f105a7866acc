"""The arguments of every subcommand, as argparse wants them. What a subcommand does is in `__main__` and below it.

Every subcommand is documented, with its exit codes, in docs/command-line.md.
"""

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ocpp_server.settings import Settings


def no_arguments(_parser: argparse.ArgumentParser) -> None:
    """A subcommand that takes none."""


@dataclass(frozen=True, slots=True)
class Subcommand:
    """What it does, with its exit code, and what it takes. The docstring of `act` is its line in the help."""

    act: Callable[[Settings, argparse.Namespace], int]
    add_arguments: Callable[[argparse.ArgumentParser], None] = no_arguments


def parse(subcommands: Mapping[str, Subcommand], arguments: Sequence[str]) -> argparse.Namespace:
    """The arguments, with `subcommand` naming one. Ends the process with 2 and the usage where they are wrong."""
    return parser_of(subcommands).parse_args(_with_decimal_points(arguments))


def parser_of(subcommands: Mapping[str, Subcommand]) -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(prog="python -m ocpp_server")
    subparsers = parser.add_subparsers(dest="subcommand", required=True)
    for name, subcommand in subcommands.items():
        subcommand.add_arguments(subparsers.add_parser(name, help=subcommand.act.__doc__))
    return parser


def _with_decimal_points(arguments: Sequence[str]) -> list[str]:
    """`-1,25` as `-1.25`: argparse would take it for an option."""
    return [text.replace(",", ".") if re.fullmatch(r"-\d*,\d+", text) else text for text in arguments]


def adjust_arguments(parser: argparse.ArgumentParser) -> None:
    """A correction of the books."""
    parser.add_argument("id_tag", metavar="TAG", help="the card, as in users1.csv")
    parser.add_argument("kwh", metavar="KWH", help="kWh to add to what was used; negative gives back")
    parser.add_argument("--reason", required=True, help="why; it stays in the books")
    parser.add_argument("--by", default="command line", help="who")


def set_aside_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be done with energy that waits for a person."""
    deeds = parser.add_subparsers(dest="deed", required=True)
    listing = deeds.add_parser("list", help="what waits; or what was decided")
    states = ("open", "accepted", "dropped", "withdrawn", "all")
    listing.add_argument("--state", choices=states, default="open", help="open, unless told")
    listing.add_argument("--charger", metavar="ID", help="only of this charge point")
    showing = deeds.add_parser("show", help="one with its readings")
    accepting = deeds.add_parser("accept", help="it did flow: book it")
    accepting.add_argument("--kwh", metavar="KWH", help="how much; needed for a stop that fits no session")
    accepting.add_argument("--tag", metavar="TAG", help="whose it is; for a stop that fits no session")
    dropping = deeds.add_parser("drop", help="it never flowed: book nothing")
    for one in (accepting, dropping):
        one.add_argument("--reason", required=True, help="why; it stays in the books")
        one.add_argument("--by", default="command line", help="who")
    for one in (showing, accepting, dropping):
        one.add_argument("number", metavar="NUMBER", type=_transaction_id, help="its number in the list")
    for one in (listing, showing, accepting, dropping):
        _add_json(one)


def month_arguments(parser: argparse.ArgumentParser) -> None:
    """What a person can say of the open month."""
    deeds = parser.add_subparsers(dest="deed", required=True)
    _add_json(deeds.add_parser("show", help="the open month, what the clock shows, and whether it is suspect"))
    undoing = deeds.add_parser("undo", help="take back a month that was opened by mistake")
    undoing.add_argument("month", metavar="YYYY-MM", help="the month that is open by mistake")
    undoing.add_argument("--to", metavar="YYYY-MM", required=True, help="the month that it is; the clock must show it")
    undoing.add_argument("--reason", required=True, help="why; it stays in the books")
    confirming = deeds.add_parser("confirm", help="the clock is right: open the month that it shows")
    confirming.add_argument("month", metavar="YYYY-MM", help="that month")
    for one in (undoing, confirming):
        one.add_argument("--by", default="command line", help="who")


def chargers_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be done with charge points."""
    deeds = parser.add_subparsers(dest="deed", required=True)
    listing = deeds.add_parser("list", help="all of them, first those that wait for approval")
    listing.add_argument("--json", action="store_true", help="for programs")
    editing = deeds.add_parser("edit", help="change its row of chargers.csv")
    for name in ("name", "brand", "note"):
        editing.add_argument(f"--{name}", metavar="TEXT", help=f"column {name}; '' empties it")
    editing.add_argument("--energy-unit", metavar="UNIT", help="Wh or kWh; '' for what its brand has")
    editing.add_argument("--max-kw", metavar="KW", help="the most of one connector; '' for what its brand has")
    editing.add_argument("--access", metavar="WORD", help="quota, free or closed")
    editing.add_argument("--ping", choices=("on", "off"), help="whether the server pings its connection")
    editing.add_argument("--configure", choices=("on", "off"), help="whether it may be configured at boot")
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
    for one in (editing, approving, locking, forgetting, giving):
        one.add_argument("charge_point_id", metavar="ID", help="as in its address; case counts")


def explain_arguments(parser: argparse.ArgumentParser) -> None:
    """A session or a card."""
    parser.add_argument("what", metavar="TRANSACTION|TAG", help="the number of a session, or a card")
    parser.add_argument("--tag", action="store_true", help="it is a card, though it is a number")
    parser.add_argument("--json", action="store_true", help="all of it, for programs")


def status_arguments(parser: argparse.ArgumentParser) -> None:
    """How the site is."""
    _add_json(parser)


def stop_arguments(parser: argparse.ArgumentParser) -> None:
    """Which session ends."""
    parser.add_argument("transaction_id", metavar="TRANSACTION", type=_transaction_id, help="number of the session")
    _add_json(parser)


def command_arguments(parser: argparse.ArgumentParser) -> None:
    """A call to a charge point."""
    parser.add_argument("charge_point_id", metavar="CHARGER", help="its id, as in its address; case counts")
    parser.add_argument("action", metavar="ACTION", help="a call of OCPP 1.6, such as GetConfiguration")
    parser.add_argument("payload", metavar="JSON", nargs="?", default="{}", help="its payload; - reads standard input")
    _add_json(parser)


def report_arguments(parser: argparse.ArgumentParser) -> None:
    """Which month, and how."""
    parser.add_argument("--month", metavar="YYYY-MM", help="the month; this one, if it is left out")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--format", choices=("csv", "xlsx"), help="write files for a spreadsheet instead of a table")
    _add_json(how)
    parser.add_argument("--output", metavar="FILE", help="where to write it; - is standard output")


def backup_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to."""
    parser.add_argument("file", metavar="FILE", help="a ZIP that is made; it is not there yet")


def restore_arguments(parser: argparse.ArgumentParser) -> None:
    """Where from."""
    parser.add_argument("file", metavar="FILE", help="what `backup` made, or a nightly ledger of data/backup")
    parser.add_argument("--books-only", action="store_true", help="leave users1.csv and chargers.csv as they are")


def token_arguments(parser: argparse.ArgumentParser) -> None:
    """A secret of the control API."""
    parser.add_argument("--viewer", action="store_true", help="the one that may only look, instead of the operator's")
    parser.add_argument("--show", action="store_true", help="print the token itself")
    parser.add_argument("--new", action="store_true", help="make a new one, for the next start of the server")


def _add_json(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--json", action="store_true", help="for programs")


def _transaction_id(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of a session")
    return int(text)


def users_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be done with users."""
    deeds = parser.add_subparsers(dest="deed", required=True)
    deeds.add_parser("list", help="all of them, with what is left").add_argument(
        "--json", action="store_true", help="for programs"
    )
    adding = deeds.add_parser("add", help="a new one")
    quota = deeds.add_parser("set-quota", help="how much a month")
    blocking = deeds.add_parser("block", help="the card charges no more until it is unblocked")
    unblocking = deeds.add_parser("unblock", help="the card charges again")
    removing = deeds.add_parser("remove", help="no user any more; what was used stays in the books")
    for one in (adding, quota, blocking, unblocking, removing):
        one.add_argument("id_tag", metavar="TAG", help="the card, as in users1.csv")
    quota.add_argument("kwh", metavar="KWH", help="kWh a month, or the word unlimited")
    adding.add_argument("--quota", metavar="KWH", help="kWh a month")
    adding.add_argument("--unlimited", action="store_true", help="no quota")
    for name in ("name", "surname", "account", "email", "note"):
        adding.add_argument(f"--{name}", metavar="TEXT", help=f"column {name}")
    adding.add_argument("--expiry-date", metavar="YYYY-MM-DD", help="last day the card works")
    importing = deeds.add_parser("import", help="take users over from such a file")
    importing.add_argument("file", metavar="FILE", help="a table with the columns of users1.csv")
    importing.add_argument("--replace", action="store_true", help="remove the users that are not in it")
    importing.add_argument("--dry-run", action="store_true", help="only say what would change")
    importing.add_argument("--force", action="store_true", help="also if most users would be removed")
    exporting = deeds.add_parser("export", help="write the users in force to a new file")
    exporting.add_argument("file", metavar="FILE", help="a name that is free, or - for standard output")
