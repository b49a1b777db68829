"""Runs as MLflow shows them: settings, figures and the manifest of every model, in an SQLite file."""

from __future__ import annotations

import json
import logging
import math
import os
import warnings
from typing import Any

import msgspec

from libs.core.agents.artifact import Manifest
from libs.core.types.subjects import interval_token
from libs.research.training.dataset import DataProblem

LONGEST = 250
"""Characters of a setting that are kept."""


class Tracker:
    """Writes models as runs of one experiment a series."""

    def __init__(self, uri: str) -> None:
        """`uri`: sqlite:///FILE, or the address of an MLflow server.

        Raises:
            DataProblem: MLflow is missing, or the address cannot be used.
        """
        if not uri.startswith(("sqlite:///", "http://", "https://")):
            raise DataProblem(f"--track {uri}: write sqlite:///FILE, or the http address of an MLflow server")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        with warnings.catch_warnings():
            # What it says of the libraries beneath it is not for people who train.
            warnings.simplefilter("ignore")
            try:
                from mlflow.exceptions import MlflowException
                from mlflow.tracking import MlflowClient
            except ImportError as err:
                lacks = f"a library that is missing ({err}); pip install 'conclave[train]'"
                raise DataProblem(f"--track needs {lacks}") from None
            try:
                self._client: Any = MlflowClient(tracking_uri=uri)
                self._client.search_experiments(max_results=1)
            except (MlflowException, OSError) as err:
                raise DataProblem(f"--track {uri} cannot be used: {str(err).splitlines()[0]}") from None

    def model(self, manifest: Manifest) -> str:
        """Record a model; returns the id of its run."""
        experiment = self._experiment(f"{manifest.symbol} {interval_token(manifest.interval_s)}")
        tags = {
            "mlflow.runName": manifest.model_id,
            "agent": manifest.agent,
            "kind": manifest.kind,
            "data_hash": manifest.data_hash,
            "set_hash": manifest.set_hash,
        }
        run = self._client.create_run(experiment, tags=tags).info.run_id
        settings = {
            **manifest.params,
            "seed": manifest.seed,
            "samples": manifest.samples,
            "sampling": manifest.sampling,
        }
        for key, value in settings.items():
            text = value if isinstance(value, str) else json.dumps(msgspec.to_builtins(value))
            self._client.log_param(run, key, text[:LONGEST])
        for key, number in manifest.metrics.items():
            if math.isfinite(number):
                self._client.log_metric(run, key, number)
        for step, fold in enumerate(manifest.folds):
            for key, number in fold.items():
                if isinstance(number, float) and math.isfinite(number):
                    self._client.log_metric(run, f"fold_{key}", number, step=step)
        self._client.set_terminated(run)
        return str(run)

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        return str(found.experiment_id if found else self._client.create_experiment(name))
