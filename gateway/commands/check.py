"""`llmgw check`: every mistake of a policy folder, and the outcome of the tests in it, offline."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.commands.judging import Providers
from gateway.policy.check import check
from gateway.settings import policy_environment, shipped_policies

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("check", help="compile a policy folder and run the tests inside it")
    parser.add_argument("folder", type=Path, nargs="?", default=shipped_policies(), help="default: %(default)s")
    parser.add_argument(
        "--judge",
        action="store_true",
        help="ask the models that judge answers of tests, which costs money; else such tests are skipped",
    )


def run(args: argparse.Namespace) -> int:
    logging.getLogger("llmgw").addHandler(logging.NullHandler())  # a provider that fails is told with the test
    asks = Providers() if args.judge else None
    return check(args.folder, policy_environment(os.environ), sys.stdout, asks)
