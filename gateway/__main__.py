"""The command line: llmgw serve | check | policy | templates | explain | render | replay | keys | cache | certificates |
export."""

from __future__ import annotations

import argparse
import sys

from gateway.commands import (
    cache,
    certificates,
    check,
    explain,
    export,
    keys,
    policy,
    render,
    replay,
    serve,
    templates,
)

_COMMANDS = {
    "serve": serve,
    "check": check,
    "policy": policy,
    "templates": templates,
    "explain": explain,
    "render": render,
    "replay": replay,
    "keys": keys,
    "cache": cache,
    "certificates": certificates,
    "export": export,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="llmgw", description="An OpenAI-compatible LLM gateway.")
    subparsers = parser.add_subparsers(dest="command", required=True)
    for command in _COMMANDS.values():
        command.add_parser(subparsers)
    arguments = parser.parse_args()
    sys.exit(_COMMANDS[arguments.command].run(arguments))


if __name__ == "__main__":
    main()
