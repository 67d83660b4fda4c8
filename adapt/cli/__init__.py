"""The command line: one file a command, each imported only when it is called; `--help` never imports torch."""

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Sequence

from adapt import __version__
from adapt.errors import AdaptError, StoppedError

COMMANDS = {
    "fit": "fine-tune on a recipe's data, then compare with the untouched model",
    "evaluate": "compare a run's model (or a recipe's untouched one) on the test split",
    "merge": "write a run's adapter merged into its model, as a stock checkpoint",
    "compare": "put finished runs side by side, each paired with the first",
    "data": "check a recipe's data before training, or prepare it ahead of time",
    "cache": "show, fill or clear the cache of frozen features",
    "recipes": "list, show or copy the packaged recipes",
}
EPILOG = """examples:
  adapt fit --recipe quickstart
  adapt fit --recipe medical_ct.yaml data.root=/scans
  adapt fit --resume runs/medical_ct/2026-01-31_09-30-00
  adapt data check --recipe medical_ct.yaml data.root=/scans
  adapt evaluate runs/medical_ct/2026-01-31_09-30-00
  adapt compare runs/medical_ct/2026-01-31_09-30-00 runs/medical_ct/2026-02-01_18-00-00
  adapt merge runs/medical_ct/2026-02-01_18-00-00 --output merged
  adapt recipes copy medical_ct"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="adapt",
        description="Fine-tune Segment Anything on your own domain, and measure by how much it got better.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"adapt {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        command = subparsers.add_parser(name, help=summary, description=summary)
        importlib.import_module(f"adapt.cli.{name}").add_arguments(command)
        for leaf in _leaves(command):
            leaf.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _leaves(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return [leaf for action in below for child in action.choices.values() for leaf in _leaves(child)] or [parser]


def main(arguments: Sequence[str]) -> int:
    """Run one command.

    Returns:
        The exit code: 0 done, 1 an error to mend, 2 a wrong recipe or call, 130 interrupted, 128 and the
        number of the signal that stopped a training; or what the command
        itself returns, if it does (`data check`).
    """
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and (any(text.startswith("-") for text in rest) or "overrides" not in options):
        parser.error(f"unrecognised: {' '.join(rest)}; see adapt {options.command} --help")
    if rest:  # argparse stops at the first run of overrides; those behind an option are meant as well
        options.overrides.extend(rest)
    try:
        code: int | None = importlib.import_module(f"adapt.cli.{options.command}").run(options)
        sys.stdout.flush()  # so that a reader that left is noticed here, not at exit
    except StoppedError as stopped:
        print(f"adapt: {stopped}", file=sys.stderr)
        return stopped.exit_code
    except AdaptError as error:
        if options.debug:
            traceback.print_exc()
        print(f"adapt: error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("adapt: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        if not getattr(options, "print_config", True):
            raise  # a run that lost a worker is no success
        # the reader of our output left, as in `adapt recipes show x | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left unwritten goes nowhere
        return 0
    return code or 0


def entry_point() -> None:
    """The `adapt` command that the package installs."""
    sys.exit(main(sys.argv[1:]))
