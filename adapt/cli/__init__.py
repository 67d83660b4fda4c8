"""The command line: one file a command, each imported only when it is called; `--help` never imports torch."""

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Sequence

from adapt import __version__
from adapt.cli import completion
from adapt.errors import AdaptError, ProcessLostError, StoppedError
from adapt.wording import printable

COMMANDS = {
    "fit": "fine-tune on a recipe's data, then compare with the untouched model",
    "evaluate": "compare a run's model (or a recipe's untouched one) on the test split",
    "predict": "segment new images, volumes or scenes, from prompts or without",
    "label": "label images round by round, with a model that draws and learns",
    "merge": "write a run's adapter merged into its model, as a stock checkpoint",
    "score": "score predictions of any program against a truth: label maps, or COCO files",
    "push": "push a run's model to the Hugging Face Hub, with its card",
    "pull": "start a recipe from a model that was pushed",
    "convert": "write an original .pth of SAM, SAM-HQ or MedSAM as a checkpoint folder",
    "export": "write a run's model as ONNX, checked, for programs without PyTorch",
    "demo": "serve a local page to try a model on: click, compare, save the mask",
    "compare": "put finished runs side by side, each paired with the first",
    "data": "check a recipe's data before training, or prepare it ahead of time",
    "cache": "show, fill or clear the cache of frozen features",
    "doctor": "show what this machine can run, and what a checkpoint is",
    "recipes": "list, show or copy the packaged recipes",
}
EPILOG = """examples:
  adapt fit --recipe quickstart
  adapt fit --recipe medical_ct.yaml data.root=/scans
  adapt fit --resume runs/medical_ct/2026-01-31_09-30-00
  adapt data check --recipe medical_ct.yaml data.root=/scans
  adapt evaluate runs/medical_ct/2026-01-31_09-30-00
  adapt compare runs/medical_ct/2026-01-31_09-30-00 runs/medical_ct/2026-02-01_18-00-00
  adapt score predictions truth --group-pattern '^(patient[0-9]+)_'
  adapt predict runs/medical_ct/2026-01-31_09-30-00 scans --output masks
  adapt label suggest labels runs/medical_ct/2026-01-31_09-30-00 --format cvat
  adapt merge runs/medical_ct/2026-02-01_18-00-00 --output merged
  adapt push runs/medical_ct/2026-02-01_18-00-00 --repo my-team/sam-ct
  adapt demo runs/medical_ct/2026-02-01_18-00-00 --images scans
  adapt convert medsam_vit_b.pth --output medsam
  adapt recipes copy medical_ct"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="adapt",
        description="Fine-tune Segment Anything on your own domain, and measure by how much it got better.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"adapt {__version__}")
    completion.add_arguments(parser)
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
    if not arguments:
        parser.print_help(sys.stderr)
        return 2
    options, rest = parser.parse_known_args(arguments)
    if rest and (any(text.startswith("-") for text in rest) or "overrides" not in options):
        parser.error(f"unrecognised: {' '.join(rest)}; see adapt {options.command} --help")
    if rest:  # argparse stops at the first run of overrides; those behind an option are meant as well
        options.overrides.extend(rest)
    try:
        code: int | None = importlib.import_module(f"adapt.cli.{options.command}").run(options)
        sys.stdout.flush()  # so that a reader that left is noticed here, not at exit
    except StoppedError as stopped:
        print(printable(f"adapt: {stopped}"), file=sys.stderr)
        return stopped.exit_code
    except AdaptError as error:
        if options.debug:
            traceback.print_exc()
        print(printable(f"adapt: error: {error}"), file=sys.stderr)
        if isinstance(error, ProcessLostError):
            _end_now(error.exit_code)
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


def _end_now(code: int) -> None:
    """End without Python's farewell, in which connections to lost processes are closed: that took 10 s."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def entry_point() -> None:
    """The `adapt` command that the package installs."""
    sys.exit(main(sys.argv[1:]))
