"""`python -m services.risk`."""

from libs.common.chassis import main
from services.risk.app import RiskApp

main("risk", RiskApp)
