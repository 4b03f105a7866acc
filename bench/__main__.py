"""`./run bench`: measures evquota beside a bare server and prints a table. Exit code 1: the books are wrong."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from bench import report
from bench.measure import Options, run_rounds
from bench.processes import BenchError


def main() -> int:
    """Run all rounds and print the report; the exit code."""
    options = _options()
    options.folder.mkdir(parents=True, exist_ok=True)
    print("\n".join(report.machine(options.folder)), flush=True)
    rounds = []
    try:
        for number, one in enumerate(run_rounds(options), start=1):
            rounds.append(one)
            speeds = ", ".join(f"{server} {result.messages_per_s:,.0f}/s" for server, result in one.results.items())
            print(f"round {number} of {options.rounds}: {speeds}", file=sys.stderr, flush=True)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print("\n".join(["", *report.table(options, rounds), "", *report.remarks(options, rounds)]))
    return 1 if any(one.wrong for one in rounds) else 0


def _options() -> Options:
    standard = Options()
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of 2 s: does it run, are the books right")
    parser.add_argument("--chargers", type=int, default=standard.chargers, help="charge points (%(default)s)")
    parser.add_argument("--users", type=int, default=standard.users, help="rows of users1.csv (%(default)s)")
    parser.add_argument("--rounds", type=int, default=standard.rounds, help="A B A B … (%(default)s)")
    parser.add_argument("--seconds", type=float, default=standard.closed_s, help="measured, closed loop (%(default)s)")
    parser.add_argument("--rate", type=float, default=standard.open_rate, help="messages/s, open loop (%(default)s)")
    parser.add_argument("--uvloop-peer", action="store_true", help="the bare server on uvloop, too")
    parser.add_argument("--folder", type=Path, default=standard.folder, help="where ledgers are written (%(default)s)")
    arguments = parser.parse_args()
    options = replace(
        standard,
        chargers=arguments.chargers,
        users=arguments.users,
        rounds=arguments.rounds,
        closed_s=arguments.seconds,
        open_rate=arguments.rate,
        with_uvloop_peer=arguments.uvloop_peer,
        folder=arguments.folder,
    )
    if arguments.quick:
        options = replace(options, rounds=1, closed_s=2.0, warm_up_s=0.3, open_s=1.0, reconnects=1)
    return options


if __name__ == "__main__":
    sys.exit(main())
