"""A Prometheus of the test's own, and Grafana's macros as Grafana fills them in."""

from __future__ import annotations

import json
import math
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import yaml
from monitoring_files import PROMETHEUS, load

from libs.common.embedded.ports import free_port

RATE_INTERVAL = "20s"
"""What Grafana makes of $__rate_interval for a short time and a scrape each five seconds."""


class Prometheus:
    """Debian's server on deploy/prometheus/embedded.yml, asking each second what it would ask each five."""

    def __init__(self, binary: str, var: Path, folder: Path) -> None:
        config = load(PROMETHEUS / "embedded.yml")
        config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(PROMETHEUS / "*.rules.yml")]
        config["alerting"]["alertmanagers"][0]["file_sd_configs"][0]["files"] = [str(PROMETHEUS / "alertmanagers.yml")]
        for sd in config["scrape_configs"][0]["file_sd_configs"]:
            # Its paths begin at the repository's root; the state of this stack lies elsewhere.
            sd["files"] = [path.replace("../../var", str(var)) for path in sd["files"]]
        folder.mkdir()
        file = folder / "prometheus.yml"
        file.write_text(yaml.safe_dump(config))
        self.url = f"http://127.0.0.1:{free_port()}"
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    binary,
                    f"--config.file={file}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address={self.url.removeprefix('http://')}",
                ],
                stdout=log,
                stderr=log,
            )

    def ask(self, expr: str) -> list[dict[str, Any]]:
        """The answer to an instant query; fails with Prometheus's own words."""
        query = urllib.parse.urlencode({"query": expr})
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/query?{query}", timeout=10) as answer:
                data = json.load(answer)["data"]
        except urllib.error.HTTPError as err:
            raise AssertionError(f"{expr}: {err.read().decode()}") from None
        except OSError:
            return []  # it is still starting
        rows: list[dict[str, Any]] = data["result"]
        return rows

    def knows(self, expr: str) -> bool:
        """Whether anything is answered that is a number."""
        return any(not math.isnan(float(row["value"][1])) for row in self.ask(expr))

    def firing(self) -> set[str]:
        """Names of the alerts that fire now."""
        return {row["metric"]["alertname"] for row in self.ask('ALERTS{alertstate="firing"}')}

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


def promql(expr: str, service: str) -> str:
    """An expression of a panel as Grafana asks it."""
    return expr.replace("$__rate_interval", RATE_INTERVAL).replace("$service", service)


def sql(text: str, minutes: float = 30) -> str:
    """A statement of a panel as Grafana asks it for the last `minutes`."""
    until = time.time_ns()
    since = until - int(minutes * 60e9)
    text = re.sub(r"\$__unixEpochNanoFilter\((\w+)\)", rf"\1 >= {since} AND \1 <= {until}", text)
    assert "$__" not in text, f"a macro that this test does not know: {text}"
    return text
