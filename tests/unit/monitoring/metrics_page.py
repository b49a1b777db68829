"""Writes docs/metrics.md from the code."""

from __future__ import annotations

from monitoring_files import ROOT, page

if __name__ == "__main__":
    (ROOT / "docs" / "metrics.md").write_text(page(), encoding="utf-8")
