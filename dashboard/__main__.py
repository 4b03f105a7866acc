"""`python -m dashboard prepare | password`: the accounts of the dashboard. docs/security.md tells of them."""

import argparse
import getpass
import shlex
import sys
from pathlib import Path

from dashboard.login.accounts import FILE, Accounts, Role
from dashboard.login.options import folder_of_site, take_env_file


def main() -> int:
    """0, or 2 with one sentence on standard error."""
    arguments = _parser().parse_args()
    try:
        take_env_file()
        folder = folder_of_site()
        if not folder.is_dir():
            print(f"there is no data folder {folder}: start the site once with ./run", file=sys.stderr)
            return 2
        if arguments.deed == "prepare":
            return _prepare(folder)
        return _set_password(folder, arguments.account, is_stdin=arguments.stdin)
    except (OSError, ValueError) as error:
        print(f"dashboard accounts: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dashboard")
    deeds = parser.add_subparsers(dest="deed", required=True)
    deeds.add_parser("prepare", help="make the accounts that are missing, and print their passwords once")
    password = deeds.add_parser("password", help="set a new password; who is signed in with the old one is signed out")
    password.add_argument("account", choices=[role.value for role in Role])
    password.add_argument("--stdin", action="store_true", help="read it from standard input instead of asking twice")
    return parser


def _prepare(folder: Path) -> int:
    made = Accounts(folder).make_missing()
    if made:
        print("Passwords of the dashboard, shown this once; only their hashes are kept:")
        for name, password in made.items():
            print(f"  {name:<8} {password}")
        print(f"Another one: {_command('password', 'ACCOUNT')}\n", flush=True)
    return 0


def _set_password(folder: Path, account: str, *, is_stdin: bool) -> int:
    if is_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = getpass.getpass(f"New password of {account}: ")
        if password != getpass.getpass("Once more: "):
            print("the two are not the same: nothing was changed", file=sys.stderr)
            return 2
    Accounts(folder).set_password(account, password)
    print(f"password of {account} changed in {folder / FILE}; whoever was signed in with the old one is signed out")
    return 0


def _command(*words: str) -> str:
    python = Path(sys.executable)
    here = python.relative_to(Path.cwd()) if python.is_relative_to(Path.cwd()) else python
    return shlex.join([str(here), "-m", "dashboard", *words])


if __name__ == "__main__":
    sys.exit(main())
