"""The program itself: its commands, what it says when called with nothing, and how it ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from roadstead.cli.commands import LazyGroup
from roadstead.cli.exits import ExitCode
from roadstead.cli.failures import Failures
from roadstead.cli.refusals import Refused
from roadstead.cli.terminal import COLORS, color_choice, color_from, say
from roadstead.errors import RoadsteadError

# Set by the shell that asks for completions.
COMPLETION = "_ROADSTEAD_COMPLETE"

HELP = ["-h", "--help"]

TEACHING = """\
Roadstead is an OCI registry for container images, charts and other artifacts.

  roadstead serve                          # start a registry on localhost:5000
  roadstead check                          # find out what is wrong, if anything is
  roadstead user create anna               # add a person who may sign in
  roadstead project create team            # make a project
  roadstead member add team anna --role developer
  roadstead user reset-password admin      # set a new password
  roadstead config explain                 # what can be set, and how

Every command explains itself: roadstead serve --help
"""

_MEMBERS = {
    "serve": ("roadstead.cli.serve:serve", "Start the registry."),
    "worker": ("roadstead.cli.worker:worker", "Run background jobs in a process of their own."),
    "migrate": ("roadstead.cli.migrate:migrate", "Bring the database's schema up to date."),
    "check": ("roadstead.cli.check:check", "Look for problems, and say what to do about them."),
    "config": ("roadstead.cli.config:config", "Show, validate and explain the settings."),
    "user": ("roadstead.cli.user:user", "List, add and change the people who may sign in."),
    "project": ("roadstead.cli.project:project", "Make, list and change projects."),
    "member": ("roadstead.cli.member:member", "Say who may do what in a project."),
    "role": ("roadstead.cli.role:role", "Make, list and delete roles that members can have."),
    "robot": ("roadstead.cli.robot:robot", "Make, list and change accounts for programs."),
    "issuer": ("roadstead.cli.issuer:issuer", "Say whose identity tokens may stand for a robot's secret."),
    "group": ("roadstead.cli.group:group", "Make, list and change groups of people."),
    "session": (
        "roadstead.cli.session:session",
        "See and end where somebody is signed in.",
    ),
    "quota": ("roadstead.cli.quota:quota", "Say how much a project may hold, and see how much it does."),
    "label": ("roadstead.cli.label:label", "Make, list and delete words to mark artifacts with."),
    "network-rules": (
        "roadstead.cli.network_rules:network_rules",
        "See and change from which networks people may come.",
    ),
    "configuration": (
        "roadstead.cli.configuration:configuration",
        "See and change what can be changed while the registry runs.",
    ),
    "audit": ("roadstead.cli.audit:audit", "See, export and purge who did what."),
    "login": ("roadstead.cli.login:login", "Sign in to a server, and keep it for `--server URL`."),
    "logout": ("roadstead.cli.login:logout", "Forget how to sign in to a server."),
    "key": ("roadstead.cli.key:key", "List and rotate the keys that sign tokens."),
    "help": ("roadstead.cli.help:help_command", "Show the help of a command."),
}

_EXIT_CODES = "Exit codes: " + ", ".join(f"{code.value} {code.meaning}" for code in ExitCode) + "."


def _print_version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from roadstead import __version__

        click.echo(f"roadstead {__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    members=_MEMBERS,
    invoke_without_command=True,
    context_settings={"help_option_names": HELP, "max_content_width": 100},
    epilog=_EXIT_CODES,
    examples=[
        ("Start a registry on localhost:5000", "roadstead serve"),
        ("The help of a command", "roadstead help user create"),
    ],
)
@click.option(
    "--color", type=click.Choice(COLORS), default="auto", help="Use colour. NO_COLOR=1 is the same as never."
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version,
    help="Print the version and exit.",
)  # fmt: skip
@click.pass_context
def roadstead(ctx: click.Context, color: str) -> None:
    """An OCI registry for container images, charts and other artifacts."""
    ctx.color = color_choice(color)
    if ctx.invoked_subcommand is None:
        click.echo(TEACHING, nl=False)


def run(arguments: Sequence[str]) -> int:  # noqa: PLR0911 - a table of endings
    """Run one command line; returns its exit code.  Nothing but a defect of click escapes from here."""
    failures = Failures(arguments, color_from(arguments))
    try:
        if COMPLETION in os.environ:
            roadstead.main(list(arguments), prog_name="roadstead", complete_var=COMPLETION)
        # Not `main`, which takes a broken pipe for a failure.
        with roadstead.make_context("roadstead", list(arguments)) as context:
            result = roadstead.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except RoadsteadError as error:
        return failures.explained(error)
    except Refused as error:
        return failures.refused(error)
    except click.ClickException as error:
        return failures.usage(error)
    except (click.Abort, KeyboardInterrupt):
        say("Interrupted.")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return _nobody_reads()
    except OSError as error:
        return failures.system(error)
    except Exception as error:  # noqa: BLE001 - the last line of defence tells what it can
        return failures.unexplained(error)
    return result if isinstance(result, int) else ExitCode.DONE


def _nobody_reads() -> ExitCode:
    """Who read our output has gone, as `head` does: that is no failure."""
    # Keep the interpreter from writing to the pipe again when it ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
    return ExitCode.DONE
