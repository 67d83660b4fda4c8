"""`adapt push`: a run's model to the Hugging Face Hub."""

import argparse
from pathlib import Path

from adapt.errors import RecipeError, RunError
from adapt.recipe import check_repo, load_recipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `adapt push`."""
    parser.add_argument("run_folder", metavar="RUN", help="folder of a finished run: runs/<recipe>/<time>")
    parser.add_argument("--repo", metavar="OWNER/NAME", help="repository that receives it; by default the recipe's")
    parser.add_argument("--adapter-only", action="store_true", help="push the adapter, and no merged model")
    parser.add_argument("--public", action="store_true", help="everyone may see a repository that is created")
    parser.add_argument(
        "--pictures", type=int, metavar="N", help="show N pictures of test objects in the card: images of your data"
    )
    parser.add_argument("--replace", action="store_true", help="write over a repository that holds something else")
    parser.add_argument("--dry-run", action="store_true", help="write what would be pushed to --output, push nothing")
    parser.add_argument("--output", metavar="FOLDER", help="with --dry-run: a new folder")
    parser.add_argument("overrides", nargs="*", metavar="hub.key=value", help="replaces a value of the recipe's hub")


def run(options: argparse.Namespace) -> None:
    """Check the options, then push."""
    if options.dry_run != (options.output is not None):
        raise RecipeError(
            "--dry-run writes what would be pushed, and --output FOLDER says where; give both, or neither"
        )
    other = [text for text in options.overrides if not text.startswith("hub.")]
    if other:
        raise RecipeError(
            f"{other[0]} would change what the run was; push takes keys of hub alone, as in hub.card.license"
        )
    run_folder = Path(options.run_folder)
    if not (run_folder / "recipe.yaml").is_file():
        raise RunError(f"{run_folder} is not the folder of a run: it has no recipe.yaml. Give runs/<recipe>/<time>")
    overrides = list(options.overrides)
    if options.adapter_only:
        overrides.append("hub.adapter_only=true")
    if options.public:
        overrides.append("hub.private=false")
    if options.pictures is not None:
        overrides.append(f"hub.pictures={options.pictures}")
    settings = load_recipe(run_folder / "recipe.yaml", overrides).hub
    repo = options.repo or settings.repo
    if repo is None:
        raise RecipeError("push needs to know where to: --repo owner/name, or hub.repo in the recipe")
    try:
        check_repo(repo)
    except ValueError as error:
        raise RecipeError(f"--repo {error}") from None
    from rich.console import Console

    from adapt.jobs import push

    if options.dry_run:
        push.write_dry_run(run_folder, settings, repo=repo, output=Path(options.output))
    else:
        push.push(run_folder, settings, repo=repo, replace=options.replace, console=Console(stderr=True))
