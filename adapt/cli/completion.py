"""Completion for shells: commands, options, packaged recipes and files, written where the shell looks for it."""

import argparse
import os
from pathlib import Path

from adapt.errors import RunError
from adapt.files import make_folder, write_text

SHELLS = ("bash", "zsh", "fish")
FOLDERS = {"RUN", "FOLDER", "LABELS"}
FILES = {"FILE", "INPUT", "MODEL", "PREDICTIONS", "TRUTH", "CHECKPOINT"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Two options beside the commands; each ends the program, as `--version` does."""
    parser.add_argument(
        "--install-completion",
        action=_Install,
        nargs="?",
        choices=SHELLS,
        metavar="SHELL",
        help="let the shell complete commands, options and recipes",
    )
    parser.add_argument(
        "--print-completion",
        action=_Print,
        nargs="?",
        choices=SHELLS,
        metavar="SHELL",
        help="print what that would install",
    )


class _Print(argparse.Action):
    def __call__(
        self, parser: argparse.ArgumentParser, namespace: object, values: object, option_string: str | None = None
    ) -> None:
        print(script(parser, _shell(parser, values)))
        parser.exit()


class _Install(argparse.Action):
    def __call__(
        self, parser: argparse.ArgumentParser, namespace: object, values: object, option_string: str | None = None
    ) -> None:
        shell = _shell(parser, values)
        try:
            print(install(parser, shell))
        except RunError as error:
            parser.exit(1, f"adapt: error: {error}\n")
        parser.exit()


def _shell(parser: argparse.ArgumentParser, named: object) -> str:
    """The shell that is named, or the one of whoever calls."""
    shell = str(named) if named else Path(os.environ.get("SHELL", "")).name
    if shell not in SHELLS:
        said = f"SHELL is {shell!r}, which has no completion here" if shell else "SHELL is not set"
        parser.error(f"{said}; name one: {', '.join(SHELLS)}")
    return shell


def install(parser: argparse.ArgumentParser, shell: str) -> str:
    """Write the script of a shell into the user's folder for such scripts; no start-up file is touched.

    Returns:
        What was written, what is left to do, and how to undo it.
    """
    place = _place(shell)
    make_folder(place.parent)
    write_text(place, script(parser, shell) + "\n")
    then = {
        "bash": f"A new shell loads it, if bash-completion is installed; if not, add to ~/.bashrc: source {place}",
        "zsh": f"If it is not there yet, add to ~/.zshrc, before compinit: fpath=({place.parent} $fpath)",
        "fish": "A new shell loads it.",
    }[shell]
    return f"written: {place}\n{then}\nTo undo: rm {place}"


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The completion script of a shell, made from the parser."""
    import shtab

    _say_what_is_completed(parser)
    return str(shtab.complete(parser, shell))


def _place(shell: str) -> Path:
    data = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser()
    settings = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    return {
        "bash": data / "bash-completion" / "completions" / "adapt",
        "zsh": data / "zsh" / "site-functions" / "_adapt",
        "fish": settings / "fish" / "completions" / "adapt.fish",
    }[shell]


def _say_what_is_completed(parser: argparse.ArgumentParser) -> None:
    """Mark the arguments that are recipes, folders or files; a metavar says which."""
    import shtab

    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                _say_what_is_completed(child)
        elif "--recipe" in action.option_strings or action.metavar == "RECIPE":
            action.complete = _recipes()  # type: ignore[attr-defined]
        elif action.metavar in FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif action.metavar in FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]


def _recipes() -> dict[str, object]:
    """Packaged recipes by name, or any YAML file."""
    from adapt.recipe import recipe_names

    names = " ".join(recipe_names())
    return {
        "bash": "_adapt_recipes",
        "zsh": "_adapt_recipes",
        "fish": "(_adapt_recipes)",
        "preamble": {
            "bash": f"_adapt_recipes() {{\n  compgen -W '{names}' -- \"$1\"\n"
            '  compgen -f -X \'!*.yaml\' -- "$1"\n  compgen -d -- "$1"\n}',
            "zsh": f"_adapt_recipes() {{\n  compadd {names}\n  _files -g '*.yaml'\n}}",
            "fish": f"function _adapt_recipes\n  printf '%s\\n' {names}\n"
            "  __fish_complete_suffix (commandline -ct) .yaml\nend",
        },
    }
