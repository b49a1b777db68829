"""`conclave`: the command line. Runs itself with the project's own .venv when started by another Python."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV_PYTHON = HERE / ".venv" / "bin" / "python"


def main() -> None:
    """Entry of the `conclave` script and of `python cli.py`."""
    try:
        from console.app import app
    except ModuleNotFoundError as err:
        _reexec_or_explain(err)
    else:
        app()


def _reexec_or_explain(err: ModuleNotFoundError) -> None:
    inside = Path(sys.prefix).resolve() == (HERE / ".venv").resolve()
    if VENV_PYTHON.exists() and not inside:
        os.execv(VENV_PYTHON, [str(VENV_PYTHON), str(HERE / "cli.py"), *sys.argv[1:]])
    sys.stderr.write(f"conclave: {err.name} is not installed; run `make setup` in {HERE}\n")
    sys.exit(1)


if __name__ == "__main__":
    if VENV_PYTHON.exists() and Path(sys.prefix).resolve() != (HERE / ".venv").resolve():
        os.execv(VENV_PYTHON, [str(VENV_PYTHON), *sys.argv])
    main()
