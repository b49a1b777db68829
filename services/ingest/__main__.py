"""Starts ingest: python -m services.ingest"""

from libs.common.chassis import main
from services.ingest.app import IngestApp

main("ingest", IngestApp)
