"""`adapt label`: label a folder of images round by round, with a model that learns from each."""

import argparse
from pathlib import Path

STAGES = ("assisted", "semi-automatic", "automatic")
FORMATS = ("coco", "label_studio", "cvat")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `adapt label`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    about = "make a label folder for images that nobody has labelled"
    init = _action(actions, "init", about)
    init.add_argument("--recipe", required=True, metavar="NAME", help="of the images that are labelled by hand")
    init.add_argument("--images", type=Path, required=True, metavar="FOLDER", help="the images that are not")
    _overrides(init)
    suggest = _action(actions, "suggest", "let a model draw, and hand out the pictures that need a look most")
    suggest.add_argument("model", metavar="MODEL", help="folder of a run, folder or Hub id of a checkpoint, adapt:tiny")
    suggest.add_argument("--stage", choices=STAGES, default=STAGES[0], help="whose masks are kept without a look")
    suggest.add_argument("--prompts", type=Path, metavar="FILE", help="clicks and boxes: JSON, CSV or COCO boxes")
    suggest.add_argument("--label", metavar="NAME", help="of masks without a prompt, if the recipe has several")
    suggest.add_argument("--format", choices=FORMATS, default=FORMATS[0], help="of the file for review")
    suggest.add_argument(
        "--address", default="/data/local-files/?d=", metavar="PREFIX", help="where Label Studio finds the pictures"
    )
    _overrides(suggest)
    review = _action(actions, "import", "take a review back: COCO JSON, or an export of Label Studio or CVAT")
    review.add_argument("file", type=Path, metavar="FILE", help="as the program for review has written it")
    accept = _action(actions, "accept", "let the quality gate judge the round by a run that was trained on it")
    accept.add_argument("run_folder", type=Path, metavar="RUN", help="folder of the run: runs/<recipe>/<time>")
    accept.add_argument("--before", type=Path, metavar="RUN", help="to compare with; by default that of the last round")
    _action(actions, "refuse", "end the round, and train on none of its masks")
    _action(actions, "status", "rounds, masks by stage, minutes saved, verdicts")


def _action(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, about: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=about, description=about)
    parser.add_argument("folder", type=Path, metavar="LABELS", help="the label folder")
    return parser


def _overrides(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="replaces a value of the recipe")


def run(options: argparse.Namespace) -> int:
    """Do one step of the loop; a round that the gate refuses ends with 1."""
    from adapt.labelling.project import make_project, open_project

    if options.action == "init":
        from adapt.recipe import find_recipe, load_recipe

        recipe = find_recipe(options.recipe)
        make_project(
            options.folder.expanduser(),
            name=recipe.stem,
            recipe=load_recipe(recipe, options.overrides),
            unlabelled=options.images.expanduser(),
        )
        return 0
    project = open_project(options.folder.expanduser())
    match options.action:
        case "suggest":
            from rich.console import Console

            from adapt.labelling.opening import load_for
            from adapt.labelling.suggesting import Wish, suggest

            prompts = None if options.prompts is None else options.prompts.expanduser()
            wish = Wish(options.stage, prompts, options.label, options.format, options.address)
            suggest(project, load_for(project, options.model, options.overrides), wish, console=Console(stderr=True))
        case "import":
            from adapt.labelling.reviewing import import_review

            import_review(project, options.file.expanduser())
        case "accept":
            from adapt.labelling.closing import accept

            return 0 if accept(project, options.run_folder, before=options.before).accepted else 1
        case "refuse":
            from adapt.labelling.closing import refuse

            refuse(project)
        case "status":
            from adapt.labelling.status import show_status

            show_status(project)
    return 0
