"""What serving needs: nothing of what models were trained with."""

from __future__ import annotations

import subprocess
import sys

TRAINING = ("torch", "xgboost", "lightgbm", "catboost", "sklearn", "onnx", "polars", "pandas", "mlflow", "optuna")


def test_predict_and_every_kind_of_model_load_without_what_trained_them() -> None:
    code = (
        "import sys, importlib, services.predict.app, libs.common.onnx\n"
        "from libs.core.agents.model import AGENTS\n"
        "for agent in AGENTS:\n"
        "    try: importlib.import_module(f'libs.core.agents.{agent}_model')\n"
        "    except ModuleNotFoundError as err: assert err.name.endswith('_model'), err\n"
        f"print([name for name in {TRAINING!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
