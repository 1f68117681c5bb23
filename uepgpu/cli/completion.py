"""``uepgpu completion``."""

from __future__ import annotations

from typing import Literal

from uepgpu.cli.app import app

__all__ = ["completion"]


@app.command
def completion(shell: Literal["bash", "zsh", "fish"], /) -> int:
    """Print what makes a shell complete commands, options and their choices.

    bash: uepgpu completion bash > ~/.local/share/bash-completion/completions/uepgpu

    zsh: uepgpu completion zsh > a file _uepgpu in a folder of $fpath

    fish: uepgpu completion fish > ~/.config/fish/completions/uepgpu.fish

    Parameters
    ----------
    shell
        bash, zsh or fish.
    """
    print(app.generate_completion(shell=shell))
    return 0
