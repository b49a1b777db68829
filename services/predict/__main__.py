"""`python -m services.predict`."""

from libs.common.chassis import main
from services.predict.app import PredictApp

main("predict", PredictApp)
