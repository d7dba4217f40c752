"""The entry point `retouch`: finds a command's module when the command is called, not before."""

import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from retouch.cli.failures import Session, explain
from retouch.cli.logs import keep_quiet
from retouch.equivalents import fields_for
from retouch.errors import Cancelled

COMMANDS = {
    "inpaint": "Repaint the masked part of a picture.",
    "serve": "Serve a model over HTTP.",
    "batch": "Repaint the rows of tables and folders.",
    "models": "List, show and download checkpoints.",
    "package": "Pack a checkpoint for MLflow or Azure ML.",
    "replay": "Make a saved result again and say whether it is identical.",
    "doctor": "Show what is installed, and test that a fill works here.",
    "data": "Build training data from packages with free licences.",
    "train": "Train or fine-tune an inpainting checkpoint.",
    "evaluate": "Measure a checkpoint, and compare two.",
}
"""Name and one-line help of each command; its module is `retouch.cli.<name>`, with a typer `app`."""


class LazyGroup(TyperGroup):
    """A group that lists its commands from a table, and imports only the one that runs."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the signature is typer's
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:  # noqa: ARG002
        """Return a stand-in that carries the name and help alone."""
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name]) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return name, command and remaining arguments, with the real command in the stand-in's place."""
        name, stand_in, rest = super().resolve_command(ctx, args)
        return name, load(name) if name in COMMANDS else stand_in, rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; of an option that it does not have, tell what it is called here."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            _name_equivalent(error)
            raise

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command line; every failure ends here, as a message and an exit code."""
        words = args[0] if args else extra.get("args")
        is_standalone = extra.pop("standalone_mode", True)
        # What cannot even be parsed is answered in JSON too.
        session = Session(as_json="--json" in (sys.argv[1:] if words is None else words))
        keep_quiet()
        try:
            code = super().main(*args, **(extra | {"standalone_mode": False}), obj=session)
            if code == Cancelled.exit_code:  # typer swallows the interrupt
                code = explain(Cancelled("interrupted"), session)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - the command line's one handler; some panic past `Exception`
            code = explain(error, session)
        if is_standalone:
            sys.exit(code)
        return code


def _name_equivalent(error: Any) -> None:
    """Add to click's complaint about an unknown option the options that do what it does in other tools."""
    if not hasattr(error, "possibilities") or not hasattr(error, "option_name") or error.ctx is None:
        return
    flags = {param.name: param.opts[0] for param in error.ctx.command.params}
    wanted = fields_for(error.option_name.lstrip("-").replace("-", "_"))
    if wanted and all(field in flags for field in wanted):
        error.message += f". Here it is {' and '.join(flags[field] for field in wanted)}."
        error.possibilities = None


def load(name: str) -> Any:
    """Import the module of a command and return the click command of its `app`."""
    return typer.main.get_command(import_module(f"retouch.cli.{name}").app)


app = typer.Typer(
    cls=LazyGroup,
    rich_markup_mode=None,  # rich would triple the time that --help takes
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 the work failed, 2 bad usage or input, 3 blocked by safety, 130 interrupted.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from retouch import __version__

        typer.echo(f"retouch {__version__}")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[  # noqa: ARG001 - its callback does the work
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Text-guided image inpainting: repaint exactly the masked part of a picture."""
    if debug:
        Session.of(ctx).start_debugging()


def main() -> None:
    """Run the command line of this process."""
    try:
        app()
    except KeyboardInterrupt:  # before typer's own handler stands
        sys.exit(explain(Cancelled("interrupted"), Session()))
