"""The command ``deep-protection``: its subcommands, and how every error ends."""

import os
import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from deep_protection.cli.classify import classify_command
from deep_protection.cli.client import client_command
from deep_protection.cli.console import say_error
from deep_protection.cli.demo import demo_command
from deep_protection.cli.detect import detect_app
from deep_protection.cli.doctor import doctor_command
from deep_protection.cli.experiment import experiment_app
from deep_protection.cli.extract_text import extract_text_command
from deep_protection.cli.purify import purify_command
from deep_protection.cli.real_world import real_world_command
from deep_protection.cli.restore import dejpeg_command, denoise_command, inpaint_command, upscale_command
from deep_protection.cli.serve import serve_command
from deep_protection.errors import DeepProtectionError

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

app = typer.Typer(
    name="deep-protection",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("purify")(purify_command)
app.command("classify")(classify_command)
app.add_typer(detect_app, name="detect")
app.command("denoise")(denoise_command)
app.command("dejpeg")(dejpeg_command)
app.command("inpaint")(inpaint_command)
app.command("upscale")(upscale_command)
app.command("extract-text")(extract_text_command)
app.command("serve")(serve_command)
app.command("client")(client_command)
app.command("real-world")(real_world_command)
app.command("demo")(demo_command)
app.command("doctor")(doctor_command)
app.add_typer(experiment_app, name="experiment")


def _say_version(asked: bool) -> None:
    if asked:
        from deep_protection import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Restore images that may have been perturbed to fool a classifier. No training, any classifier."""


def main() -> None:
    """Run the command; every error is one line on stderr that says what to do, with an exit code that is not 0."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name may hold what cannot be printed
    sys.exit(_run())


def _run() -> int:
    try:
        code = app(standalone_mode=False)
    except DeepProtectionError as error:
        say_error(str(error))
        return 1
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (as in `| head`): not an error of ours, but nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        # Usage errors, of whichever click typer was built on: both have these two attributes.
        message, exit_code = getattr(error, "format_message", None), getattr(error, "exit_code", None)
        if message is not None and exit_code is not None:
            say_error(f"{message()} See deep-protection --help.")
            return int(exit_code)
        if os.environ.get("DEEP_PROTECTION_DEBUG"):
            raise
        say_error(f"unexpected {type(error).__name__}: {error}; set DEEP_PROTECTION_DEBUG=1 to see where")
        return 1
    if code == INTERRUPTED:  # typer turns Ctrl-C into this code by itself
        say_error("interrupted; what was finished is kept, run the same command again to go on")
    return code if isinstance(code, int) else 0
