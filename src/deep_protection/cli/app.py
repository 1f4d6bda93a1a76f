"""The command ``deep-protection``: its subcommands, and how every error ends."""

import os
import sys
from io import TextIOWrapper
from typing import Annotated, ClassVar

import typer

from deep_protection.cli._lazy import Lazy, LazyGroup
from deep_protection.cli.console import say_error
from deep_protection.errors import DeepProtectionError

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


class _Commands(LazyGroup):
    panels: ClassVar[dict[str, dict[str, Lazy]]] = {
        "Protect a classifier": {
            "classify": Lazy(
                "classify:classify_command", "Name what is in images; with --protect, as the protected classifier does."
            ),
            "detect": Lazy("detect:detect_app", "Say which images were tampered with to fool a classifier."),
            "certify": Lazy(
                "certify:certify_command", "Promise answers that no change of an image up to a radius moves."
            ),
        },
        "Restore images": {
            "purify": Lazy("purify:purify_command", "Restore images that may have been tampered with."),
            "denoise": Lazy("restore:denoise_command", "Take noise out of images."),
            "dejpeg": Lazy("restore:dejpeg_command", "Take the blocks of strong JPEG compression out of images."),
            "inpaint": Lazy("restore:inpaint_command", "Fill holes in images."),
            "upscale": Lazy("restore:upscale_command", "Draw images two or four times as large."),
        },
        "Maps": {
            "extract-text": Lazy("extract_text:extract_text_command", "Take the lettering out of maps, and read it."),
        },
        "Evaluate": {
            "demo": Lazy("demo:demo_command", "Attack photographs and compare the answers: bare, filtered, protected."),
            "experiment": Lazy(
                "experiment:experiment_app", "Attack images, defend them, and write down what a classifier says."
            ),
            "real-world": Lazy(
                "real_world:real_world_command",
                "Perturb an image on one model, restore it, and ask another about all of them.",
            ),
        },
        "Serve": {
            "serve": Lazy("serve:serve_command", "Serve all of this over HTTP, with a page at /."),
            "client": Lazy("client:client_command", "Send images to such a service and write down what it makes."),
        },
        "This installation": {
            "doctor": Lazy("doctor:doctor_command", "Show versions, device, classifiers and extras, and try a fit."),
        },
    }


app = typer.Typer(
    cls=_Commands,
    name="deep-protection",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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
        code = app(prog_name="deep-protection", standalone_mode=False)
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
            if message():  # a group without arguments has shown its help, and says no more
                context = getattr(error, "ctx", None)
                say_error(f"{message()} See {context.command_path if context else 'deep-protection'} --help.")
            return int(exit_code)
        if os.environ.get("DEEP_PROTECTION_DEBUG"):
            raise
        say_error(f"unexpected {type(error).__name__}: {error}; set DEEP_PROTECTION_DEBUG=1 to see where")
        return 1
    if code == INTERRUPTED:  # typer turns Ctrl-C into this code by itself
        say_error("interrupted; what was written is whole")
    return code if isinstance(code, int) else 0
