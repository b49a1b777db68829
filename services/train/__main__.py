"""`python -m services.train`."""

from libs.common.chassis import main
from services.train.app import TrainApp

main("train", TrainApp)
