"""`maestro completion`: the script that makes a shell complete commands and options."""

from __future__ import annotations

import click

from maestro.cli.app import App
from maestro.cli.options import output_options

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@output_options
@click.pass_obj
def command(app: App, shell: str) -> None:
    """Print the completion script of SHELL.

    For bash: eval "$(maestro completion bash)" in ~/.bashrc.
    """
    from click.shell_completion import get_completion_class

    from maestro.cli.main import maestro

    found = get_completion_class(shell)
    assert found is not None, "click knows these three"
    script = found(maestro, {}, "maestro", "_MAESTRO_COMPLETE").source()
    if app.output.as_json:
        app.output.json({"shell": shell, "script": script})
    else:
        app.output.text(script)
