"""`python -m services.execute`."""

from libs.common.chassis import main
from services.execute.app import ExecuteApp

main("execute", ExecuteApp)
