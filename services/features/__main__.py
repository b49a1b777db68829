"""python -m services.features"""

from libs.common.chassis import main
from services.features.app import App

if __name__ == "__main__":
    main("features", App)
