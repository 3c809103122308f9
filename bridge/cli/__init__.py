"""The commands. Each is one short file that parses, calls the library and prints; this one finds them."""

from __future__ import annotations

import difflib
import importlib
import signal
import sys
from types import FrameType

import click

import bridge
from bridge.errors import BridgeError, CheckFailed, shortage

# In the order in which `bridge --help` lists them; the modules are imported when they are used.
COMMANDS = {
    "quickstart": "The whole way on real data that needs no download.",
    "convert": "Keras to ONNX or torch, and home again.",
    "finetune": "Train a converted network on your data.",
    "eval": "Metrics and throughput with ONNX Runtime.",
    "parity": "Do these files compute the same?",
    "inspect": "What is in a file, and what convert would do with it.",
}


class _Commands(click.Group):
    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"bridge.cli.{name}").command
        return command

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and (near := difflib.get_close_matches(args[0], COMMANDS, 1)):
            context.fail(f"No such command {args[0]!r}. Did you mean {near[0]}?")
        return super().resolve_command(context, args)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(bridge.__version__, prog_name="bridge")
def cli() -> None:
    """Keras networks as real, trainable PyTorch modules: convert, fine-tune, evaluate, go home, with proof.

    Exit code 0: done. 1: a check failed. 2: the input is wrong, in one message.
    """


def main() -> None:
    """The command `bridge`: turns the library's errors into one message and an exit code."""
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup has it ignored
            signal.signal(number, _stop)  # so that half-written outputs are removed
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        sys.exit(130)
    except (BridgeError, CheckFailed) as error:
        click.echo(f"bridge: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader of a pipe (head, say) has gone
        sys.stderr.close()
        sys.exit(0)
    except (MemoryError, OSError, RuntimeError) as error:
        if (known := shortage(error)) is None:
            raise
        click.echo(f"bridge: {known}", err=True)
        sys.exit(known.exit_code)


def _stop(signum: int, frame: FrameType | None) -> None:
    signal.signal(signum, signal.SIG_IGN)  # a second one must not stop the removal
    sys.exit(128 + signum)
