"""What is wrong with a configuration, in lines that a person can act on."""

from __future__ import annotations


class ConfigError(Exception):
    """One or more problems in the configuration; each line gives file, key path, what is allowed and what is near."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
